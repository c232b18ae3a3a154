//! Reads the outline of a cell: its statements, the local variables they declare, and the
//! expression at its end that is to be shown.

use std::{collections::HashSet, fmt::Write as _};

use super::lexer::{Kind, Token, shebang, tokens};

/// Deepest nesting that is read; Lua itself gives up at 200.
const DEPTH_MAX: usize = 190;

/// Operators between two operands.
const BINARY: &[&str] = &[
    "+", "-", "*", "/", "//", "^", "%", "&", "~", "|", ">>", "<<", "..", "<", "<=", ">", ">=",
    "==", "~=", "and", "or",
];

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

#[derive(Debug, Default)]
struct Statement<'a> {
    start: usize,
    end: usize,
    locals: Vec<&'a str>,
    is_call: bool,
}

#[derive(Debug, Default)]
struct Outline<'a> {
    statements: Vec<Statement<'a>>,
    /// Where the first statement begins that is none, if there is one.
    unread: Option<usize>,
}

impl<'a> Outline<'a> {
    fn read(tokens: &[Token<'a>]) -> Self {
        let mut reader = Reader {
            tokens,
            at: 0,
            depth: 0,
        };
        let mut outline = Self::default();
        while let Some(token) = reader.peek() {
            let start = token.start;
            let statement = reader.statement();
            // No statement begins with an operator, so a call before one is the beginning of an
            // expression.
            let statement = statement.filter(|it| !(it.is_call && reader.is_at_operator()));
            let Some(mut statement) = statement else {
                outline.unread = Some(start);
                break;
            };
            statement.start = start;
            statement.end = tokens[reader.at - 1].end();
            let is_empty = tokens[reader.at - 1].start == start && token.is(";");
            if !is_empty {
                outline.statements.push(statement);
            }
        }
        outline
    }
}

/// Recognises Lua's grammar; answers `None` where the text does not follow it.
struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn is(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.is(text))
    }

    fn is_at_operator(&self) -> bool {
        BINARY.iter().any(|operator| self.is(operator))
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        self.at += usize::from(found);
        found
    }

    fn want(&mut self, text: &str) -> Option<()> {
        self.take(text).then_some(())
    }

    fn name(&mut self) -> Option<&'a str> {
        let token = self.peek().filter(|token| token.kind == Kind::Name)?;
        self.at += 1;
        Some(token.text)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let read = (self.depth <= DEPTH_MAX).then(|| read(self)).flatten();
        self.depth -= 1;
        read
    }

    fn block(&mut self) -> Option<()> {
        self.nested(|reader| {
            while let Some(token) = reader.peek() {
                if ["end", "else", "elseif", "until"]
                    .iter()
                    .any(|it| token.is(it))
                {
                    return Some(());
                }
                reader.statement()?;
            }
            Some(())
        })
    }

    fn block_to_end(&mut self) -> Option<()> {
        self.block()?;
        self.want("end")
    }

    fn statement(&mut self) -> Option<Statement<'a>> {
        let token = self.peek()?;
        if token.kind != Kind::Keyword && !token.is(";") && !token.is("::") {
            return self.call_or_assignment();
        }
        self.at += 1;
        match token.text {
            ";" | "break" => {}
            "::" => {
                self.name()?;
                self.want("::")?;
            }
            "goto" => drop(self.name()?),
            "do" => self.block_to_end()?,
            "while" => {
                self.expression()?;
                self.want("do")?;
                self.block_to_end()?;
            }
            "repeat" => {
                self.block()?;
                self.want("until")?;
                self.expression()?;
            }
            "if" => self.conditional()?,
            "for" => self.loop_over()?,
            "function" => {
                self.name()?;
                while self.take(".") {
                    self.name()?;
                }
                if self.take(":") {
                    self.name()?;
                }
                self.function_body()?;
            }
            "local" => return self.local(),
            "return" => {
                let ends = ["end", "else", "elseif", "until", ";"]
                    .iter()
                    .any(|it| self.is(it));
                if !ends && self.peek().is_some() {
                    self.expressions()?;
                }
                self.take(";");
            }
            _ => return None,
        }
        Some(Statement::default())
    }

    fn conditional(&mut self) -> Option<()> {
        loop {
            self.expression()?;
            self.want("then")?;
            self.block()?;
            if !self.take("elseif") {
                break;
            }
        }
        if self.take("else") {
            self.block()?;
        }
        self.want("end")
    }

    fn loop_over(&mut self) -> Option<()> {
        self.name()?;
        if self.take("=") {
            self.expressions()?;
        } else {
            while self.take(",") {
                self.name()?;
            }
            self.want("in")?;
            self.expressions()?;
        }
        self.want("do")?;
        self.block_to_end()
    }

    fn local(&mut self) -> Option<Statement<'a>> {
        let mut locals = Vec::new();
        if self.take("function") {
            locals.push(self.name()?);
            self.function_body()?;
        } else {
            loop {
                let name = self.name()?;
                let attribute = if self.take("<") {
                    let attribute = self.name()?;
                    self.want(">")?;
                    attribute
                } else {
                    ""
                };
                // What is closed at the end of the cell is of no use after it.
                if attribute != "close" {
                    locals.push(name);
                }
                if !self.take(",") {
                    break;
                }
            }
            if self.take("=") {
                self.expressions()?;
            }
        }
        Some(Statement {
            locals,
            ..Statement::default()
        })
    }

    fn call_or_assignment(&mut self) -> Option<Statement<'a>> {
        let is_call = self.suffixed()?;
        if self.is("=") || self.is(",") {
            if is_call {
                return None;
            }
            while self.take(",") {
                if self.suffixed()? {
                    return None;
                }
            }
            self.want("=")?;
            self.expressions()?;
            return Some(Statement::default());
        }
        is_call.then_some(Statement {
            is_call,
            ..Statement::default()
        })
    }

    fn expressions(&mut self) -> Option<()> {
        self.expression()?;
        while self.take(",") {
            self.expression()?;
        }
        Some(())
    }

    fn expression(&mut self) -> Option<()> {
        const UNARY: &[&str] = &["not", "-", "#", "~"];
        self.nested(|reader| {
            loop {
                while UNARY.iter().any(|operator| reader.take(operator)) {}
                reader.operand()?;
                if !BINARY.iter().any(|operator| reader.take(operator)) {
                    return Some(());
                }
            }
        })
    }

    fn operand(&mut self) -> Option<()> {
        let token = self.peek()?;
        let is_constant = matches!(token.kind, Kind::Number | Kind::Text)
            || ["nil", "true", "false", "..."]
                .iter()
                .any(|it| token.is(it));
        if is_constant {
            self.at += 1;
            return Some(());
        }
        if self.is("{") {
            return self.table();
        }
        if self.take("function") {
            return self.function_body();
        }
        self.suffixed().map(drop)
    }

    /// Reads a variable, a call or what is in parentheses; answers whether it is a call.
    fn suffixed(&mut self) -> Option<bool> {
        if self.take("(") {
            self.expression()?;
            self.want(")")?;
        } else {
            self.name()?;
        }
        let mut is_call = false;
        while let Some(token) = self.peek() {
            if self.take(".") {
                self.name()?;
                is_call = false;
            } else if self.take("[") {
                self.expression()?;
                self.want("]")?;
                is_call = false;
            } else if self.take(":") {
                self.name()?;
                self.arguments()?;
                is_call = true;
            } else if token.kind == Kind::Text || token.is("(") || token.is("{") {
                self.arguments()?;
                is_call = true;
            } else {
                break;
            }
        }
        Some(is_call)
    }

    fn arguments(&mut self) -> Option<()> {
        if self.is("{") {
            return self.table();
        }
        if self.peek()?.kind == Kind::Text {
            self.at += 1;
            return Some(());
        }
        self.want("(")?;
        if self.take(")") {
            return Some(());
        }
        self.expressions()?;
        self.want(")")
    }

    fn table(&mut self) -> Option<()> {
        self.want("{")?;
        while !self.take("}") {
            let is_named = self.peek()?.kind == Kind::Name
                && self
                    .tokens
                    .get(self.at + 1)
                    .is_some_and(|token| token.is("="));
            if self.take("[") {
                self.expression()?;
                self.want("]")?;
                self.want("=")?;
            } else if is_named {
                self.at += 2;
            }
            self.expression()?;
            if !self.take(",") && !self.take(";") {
                return self.want("}");
            }
        }
        Some(())
    }

    fn function_body(&mut self) -> Option<()> {
        self.want("(")?;
        while !self.take(")") {
            if !self.take("...") {
                self.name()?;
            }
            if !self.take(",") {
                self.want(")")?;
                break;
            }
        }
        self.block_to_end()
    }
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
