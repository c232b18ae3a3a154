//! Which argument of which call a place in the code is, as far as the code before it tells.

use super::lexer::{Kind, Token};

/// An argument that is being written.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Argument<'a> {
    /// The function, its owner before it.
    pub(super) callee: Vec<&'a str>,
    /// Position of the argument, from 0.
    pub(super) position: usize,
    /// The member of the argument, where that is a table of options.
    pub(super) option: Option<&'a str>,
    /// Whether it is an item of a list.
    pub(super) is_item: bool,
}

/// The argument that a value at the end of `tokens` is, or is an item of.
pub(super) fn at<'a>(tokens: &[Token<'a>]) -> Option<Argument<'a>> {
    let last = tokens.last()?;
    if last.kind == Kind::Name {
        // `f"text"`
        let callee = path(tokens);
        return (!callee.is_empty()).then_some(Argument {
            callee,
            position: 0,
            option: None,
            is_item: false,
        });
    }
    if last.is("=") {
        return option(tokens);
    }
    if let Some(brace) = opening(tokens, tokens.len(), "{").filter(|_| separates(last)) {
        let before = &tokens[..brace];
        let whole = match before.last() {
            Some(token) if token.is("=") => option(before)?,
            _ => table(tokens, brace)?,
        };
        return Some(Argument {
            is_item: true,
            ..whole
        });
    }
    let parenthesis = opening(tokens, tokens.len(), "(")?;
    if !(last.is("(") || last.is(",")) {
        return None;
    }
    positional(tokens, parenthesis, tokens.len())
}

/// The function whose table of options `tokens` end in, when the name of an option may follow.
pub(super) fn callee<'a>(tokens: &[Token<'a>]) -> Option<Vec<&'a str>> {
    if !separates(tokens.last()?) {
        return None;
    }
    let brace = opening(tokens, tokens.len(), "{")?;
    table(tokens, brace).map(|it| it.callee)
}

/// The names at the end of `tokens` that are joined by dots and colons, first one first; none where
/// they are members of what is no name, such as `t[1].name`.
pub(super) fn path<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut tokens = tokens.iter().rev();
    loop {
        match tokens.next() {
            Some(token) if token.kind == Kind::Name => path.push(token.text),
            _ => return Vec::new(),
        }
        let is_member = |token: &Token<'_>| token.is(".") || token.is(":");
        if !tokens.next().is_some_and(is_member) {
            path.reverse();
            return path;
        }
    }
}

/// What opens something in which commas have a meaning of their own: brackets, and blocks. That of
/// `while` and `for` begins with `do`.
const OPENING: &[&str] = &["(", "{", "[", "function", "do", "if", "repeat"];
/// What closes it.
const CLOSING: &[&str] = &[")", "}", "]", "end", "until"];

fn is_one_of(token: &Token<'_>, texts: &[&str]) -> bool {
    texts.iter().any(|it| token.is(it))
}

/// Whether what follows is a new member of a table.
fn separates(token: &Token<'_>) -> bool {
    is_one_of(token, &["{", ",", ";"])
}

/// The option whose name and equals sign stand at the end of `tokens`.
fn option<'a>(tokens: &[Token<'a>]) -> Option<Argument<'a>> {
    let [rest @ .., name, _] = tokens else {
        return None;
    };
    if name.kind != Kind::Name || !separates(rest.last()?) {
        return None;
    }
    let brace = opening(rest, rest.len(), "{")?;
    Some(Argument {
        option: Some(name.text),
        ..table(tokens, brace)?
    })
}

/// The argument that the table is which is opened at `brace`.
fn table<'a>(tokens: &[Token<'a>], brace: usize) -> Option<Argument<'a>> {
    let before = tokens.get(brace.checked_sub(1)?)?;
    if before.kind == Kind::Name {
        // `f{…}`
        return at(&tokens[..brace]);
    }
    let parenthesis = opening(tokens, brace, "(")?;
    positional(tokens, parenthesis, brace)
}

/// The argument that begins at `end` in the parentheses that are opened before it.
fn positional<'a>(tokens: &[Token<'a>], parenthesis: usize, end: usize) -> Option<Argument<'a>> {
    let callee = path(&tokens[..parenthesis]);
    let (mut depth, mut position) = (0_usize, 0);
    for token in &tokens[parenthesis + 1..end] {
        if is_one_of(token, OPENING) {
            depth += 1;
        } else if is_one_of(token, CLOSING) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is(",") {
            position += 1;
        }
    }
    (!callee.is_empty()).then_some(Argument {
        callee,
        position,
        option: None,
        is_item: false,
    })
}

/// The innermost bracket that is open at `end`, when it is this one; none inside of a block, whose
/// commas are those of statements.
fn opening(tokens: &[Token<'_>], end: usize, wanted: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens[..end].iter().enumerate().rev() {
        if is_one_of(token, CLOSING) {
            depth += 1;
        } else if is_one_of(token, OPENING) {
            if depth == 0 {
                return token.is(wanted).then_some(index);
            }
            depth -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::lexer::tokens;

    fn check(code: &str, expected: Option<(&str, usize, Option<&str>, bool)>) {
        let found = at(&tokens(code));
        let found = found.map(|it| (it.callee.join("."), it.position, it.option, it.is_item));
        let expected =
            expected.map(|(callee, at, option, is_item)| (callee.to_owned(), at, option, is_item));
        assert_eq!(found, expected, "{code}");
    }

    #[test]
    fn an_argument_is_told_from_other_places() {
        check("f(", Some(("f", 0, None, false)));
        check("x = a.f(1, {2, 3}, ", Some(("a.f", 2, None, false)));
        check("a:f ", Some(("a.f", 0, None, false)));
        check("f{kind = ", Some(("f", 0, Some("kind"), false)));
        check(
            "f({a = {1, 2}; kind = ",
            Some(("f", 0, Some("kind"), false)),
        );
        check("f('x', {kind = ", Some(("f", 1, Some("kind"), false)));
        check("f{", Some(("f", 0, None, true)));
        check("f('x', {1, ", Some(("f", 1, None, true)));
        check("f{a = 1, kind = {'x', ", Some(("f", 0, Some("kind"), true)));
        check("f(g{kind = ", Some(("g", 0, Some("kind"), false)));
        check(
            "f(function(a, b) local c, d = 1, 2 end, ",
            Some(("f", 1, None, false)),
        );
        check(
            "f(function() for a, b in c do if d then end end end, ",
            Some(("f", 1, None, false)),
        );
        check(
            "f(function() repeat local a, b until a end, {kind = ",
            Some(("f", 1, Some("kind"), false)),
        );
        check("f(function(a) g(a, ", Some(("g", 1, None, false)));
        check("if x then f(", Some(("f", 0, None, false)));
        check(
            "for a, b in c do f{kind = ",
            Some(("f", 0, Some("kind"), false)),
        );
        for code in [
            "",
            "x = ",
            "local x = ",
            "return ",
            "f(1 .. ",
            "f{kind = x .. ",
            "f{kind == ",
            "f{[",
            "f{['kind'] = ",
            "x = {kind = ",
            "x = {1, ",
            "f{a = {kind = ",
            "f()(",
            "(f)(",
            "f(function() local x = ",
            "f(function() x, kind = ",
            "f('x', function(c) return c, ",
            "f(function(c) if c then return c, ",
            "f(function(c) while c do return c, ",
            "f(function(c) repeat return c, ",
            "f{fn = function() x, kind = ",
            "f{fn = function() return x, ",
            "t[1].f(",
            "t[1].f ",
            "t[1]:f('a', ",
            "x().f{kind = ",
            "('x'):f(",
            "t[1].a.f(",
        ] {
            check(code, None);
        }
    }
}
