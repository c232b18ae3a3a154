//! The source of a cell in the form that is compiled: the local variables of its outermost block
//! are kept, and the expression at its end is returned.

use std::{collections::HashSet, fmt::Write as _};

use super::{
    grammar::Outline,
    lexer::{Kind, shebang, tokens},
};

/// Name under which a cell finds the function that keeps its local variables.
pub(super) const KEEP: &str = "__aikit_keep";

/// A cell in the form that is compiled.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Prepared {
    /// The source with the same lines: local variables are kept, the last expression is returned.
    pub(super) source: String,
    /// The source as it was written, except that the last expression is returned.
    pub(super) plain: String,
    /// Names that occur in it.
    pub(super) names: HashSet<String>,
    /// Whether what it returns is shown.
    pub(super) shows: bool,
    /// Whether what it returns is that of a statement, a call.
    pub(super) ends_with_call: bool,
}

/// The code without a first line for the shell; the others keep their numbers.
pub(super) fn without_shebang(code: &str) -> &str {
    &code[shebang(code)..]
}

/// Prepares the source of a cell.
pub(super) fn prepare(code: &str) -> Prepared {
    let code = without_shebang(code);
    let tokens = tokens(code);
    let outline = Outline::read(&tokens);
    let call = outline.statements.last().filter(|last| last.is_call);
    let ends_with_call = outline.unread.is_none() && call.is_some();
    let shown_from = outline.unread.or_else(|| Some(call?.start));
    let hides = tokens.last().is_some_and(|token| token.is(";"));
    let (mut source, mut plain) = (String::new(), String::new());
    let mut copied = 0;
    for statement in &outline.statements {
        if statement.locals.is_empty() {
            continue;
        }
        source.push_str(&code[copied..statement.end]);
        copied = statement.end;
        let names = statement.locals.join(",");
        let _ = write!(source, ";{KEEP}('{names}',function() return {names} end);");
    }
    let shown_from = shown_from.unwrap_or(code.len());
    source.push_str(&code[copied..shown_from]);
    plain.push_str(&code[..shown_from]);
    for text in [&mut source, &mut plain] {
        if shown_from < code.len() {
            text.push_str("return ");
            text.push_str(&code[shown_from..]);
        }
    }
    let names = tokens.iter().filter(|token| token.kind == Kind::Name);
    Prepared {
        source,
        plain,
        names: names.map(|token| token.text.to_owned()).collect(),
        shows: !hides,
        ends_with_call,
    }
}

/// Whether `code` has something that no following line can mend, such as a string without an end.
pub(super) fn is_broken(code: &str) -> bool {
    tokens(code).iter().any(|token| token.kind == Kind::Invalid)
}

/// How many blocks and brackets are open at the end of `code`.
pub(super) fn open_blocks(code: &str) -> usize {
    let mut depth = 0_usize;
    for token in tokens(code) {
        match token.text {
            "do" | "then" | "function" | "repeat" | "(" | "{" | "["
                if matches!(token.kind, Kind::Keyword | Kind::Symbol) =>
            {
                depth += 1;
            }
            "end" | "until" | "elseif" | ")" | "}" | "]"
                if matches!(token.kind, Kind::Keyword | Kind::Symbol) =>
            {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &str) {
        let source = prepare(code).source.replace(KEEP, "K");
        assert_eq!(source, expected, "{code}");
    }

    #[test]
    fn the_last_expression_is_returned() {
        let cases = [
            ("1 + 1", "return 1 + 1"),
            ("1, 2", "return 1, 2"),
            ("x", "return x"),
            ("x = 1", "x = 1"),
            ("f(x)", "return f(x)"),
            ("x = 1\nx + 1", "x = 1\nreturn x + 1"),
            ("f() g{}", "f() return g{}"),
            ("x = f\n(y)", "x = f\n(y)"),
            ("return 1", "return 1"),
            ("for i = 1, 2 do f(i) end", "for i = 1, 2 do f(i) end"),
            ("'a':upper()", "return 'a':upper()"),
            ("-- only this", "-- only this"),
            ("#t", "return #t"),
            ("#t + 1", "return #t + 1"),
            ("#!/usr/bin/env aikit\n#t", "\nreturn #t"),
            ("#!/usr/bin/env aikit", ""),
            ("f() + 1", "return f() + 1"),
            ("f() == 3", "return f() == 3"),
            ("f() and g()", "return f() and g()"),
            ("('x'):rep(3) .. 'y'", "return ('x'):rep(3) .. 'y'"),
            ("f(), 2", "return f(), 2"),
            ("x = 1\nf(x) + 1", "x = 1\nreturn f(x) + 1"),
            ("f()\n-1", "return f()\n-1"),
            ("f()\n#t", "f()\nreturn #t"),
            ("f() g() + 1", "f() return g() + 1"),
            ("x = f() + 1", "x = f() + 1"),
            ("if x then", "return if x then"),
        ];
        for (code, expected) in cases {
            check(code, expected);
        }
    }

    #[test]
    fn local_variables_of_the_outermost_block_are_kept() {
        let cases = [
            ("local x = 1", "local x = 1;K('x',function() return x end);"),
            (
                "local a <const>, b <close> = 1, f()\nprint(a)",
                "local a <const>, b <close> = 1, f();K('a',function() return a end);\nreturn print(a)",
            ),
            (
                "local function f() local y = 1 end",
                "local function f() local y = 1 end;K('f',function() return f end);",
            ),
            ("do local x = 1 end", "do local x = 1 end"),
            (
                "local x = f\n(g)() y = 1",
                "local x = f\n(g)();K('x',function() return x end); y = 1",
            ),
            ("local f <close> = g()", "local f <close> = g()"),
        ];
        for (code, expected) in cases {
            check(code, expected);
        }
    }

    #[test]
    fn a_semicolon_hides_the_value() {
        assert!(prepare("1 + 1").shows);
        assert!(!prepare("1 + 1;").shows);
        assert!(!prepare("f();").shows);
    }

    #[test]
    fn open_blocks_are_counted() {
        let cases = [
            ("if x then", 1),
            ("if x then\nelseif y then", 1),
            ("for i = 1, 2 do\n  f(function()", 3),
            ("f('do (')", 0),
            ("t = {", 1),
        ];
        for (code, expected) in cases {
            assert_eq!(open_blocks(code), expected, "{code}");
        }
    }

    #[test]
    fn deep_nesting_is_given_up_not_overflown() {
        let code = format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(prepare(&code).source.starts_with("return "));
    }
}
