//! Tokens of Lua 5.4, with their places in the text.

/// What a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A name that is no keyword.
    Name,
    /// A keyword.
    Keyword,
    /// A number.
    Number,
    /// A string, short or long.
    Text,
    /// An operator or a bracket.
    Symbol,
    /// Something that no Lua program contains.
    Invalid,
    /// A string or comment whose end is missing.
    Unfinished,
}

/// One token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its text.
    pub(super) text: &'a str,
    /// Byte offset of its first byte.
    pub(super) start: usize,
}

impl Token<'_> {
    /// Byte offset after its last byte.
    pub(super) const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword or symbol.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Keyword | Kind::Symbol) && self.text == text
    }
}

/// The reserved words.
pub(super) const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Longest first, so that `==` is not read as two `=`.
const SYMBOLS: &[&str] = &[
    "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", "..", "+", "-", "*", "/", "%", "^", "#",
    "&", "~", "|", "<", ">", "=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// Splits `code` into tokens; white space and comments are left out.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = shebang(code);
    while at < code.len() {
        let rest = &code[at..];
        let Some(first) = rest.chars().next() else {
            break;
        };
        if first.is_ascii_whitespace() || first == '\x0b' {
            at += 1;
            continue;
        }
        if let Some(comment) = rest.strip_prefix("--") {
            at += 2 + match long_bracket(comment) {
                Long::Whole(length) => length,
                Long::None => comment.find('\n').unwrap_or(comment.len()),
                Long::Unfinished => {
                    tokens.push(token(Kind::Unfinished, rest, at, rest.len()));
                    break;
                }
            };
            continue;
        }
        let (kind, length) = scan(rest, first);
        tokens.push(token(kind, rest, at, length));
        at += length;
    }
    tokens
}

/// The names, as they are written, of the hooks that `code` takes away; `None` when it does
/// anything else: it is one or more of `Hook.unregister("name")`.
pub(super) fn removed_hooks(code: &str) -> Option<Vec<&str>> {
    let tokens = tokens(code);
    let mut rest = &tokens[..];
    let mut names = Vec::new();
    while let [module, dot, function, call @ ..] = rest {
        let is_call = module.text == "Hook" && dot.is(".") && function.text == "unregister";
        let (name, after) = match call {
            [open, name, close, after @ ..] if open.is("(") && close.is(")") => (name, after),
            [name, after @ ..] => (name, after),
            [] => return None,
        };
        if !is_call || name.kind != Kind::Text {
            return None;
        }
        names.push(name.text);
        rest = match after {
            [end, after @ ..] if end.is(";") => after,
            after => after,
        };
    }
    (rest.is_empty() && !names.is_empty()).then_some(names)
}

/// The length of a first line for the shell, without its end. Lua's own program skips any that
/// begins with `#`, but in a cell `#t` is an expression.
pub(super) fn shebang(code: &str) -> usize {
    if code.starts_with("#!") {
        code.find('\n').unwrap_or(code.len())
    } else {
        0
    }
}

fn token(kind: Kind, rest: &str, start: usize, length: usize) -> Token<'_> {
    Token {
        kind,
        text: &rest[..length],
        start,
    }
}

fn scan(rest: &str, first: char) -> (Kind, usize) {
    if first.is_ascii_alphabetic() || first == '_' {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let is_keyword = KEYWORDS.contains(&&rest[..length]);
        let kind = if is_keyword {
            Kind::Keyword
        } else {
            Kind::Name
        };
        return (kind, length);
    }
    let mut following = rest.chars().skip(1);
    if first.is_ascii_digit()
        || (first == '.' && following.next().is_some_and(|c| c.is_ascii_digit()))
    {
        return (Kind::Number, number(rest));
    }
    if first == '"' || first == '\'' {
        return short_string(rest, first);
    }
    if first == '[' {
        match long_bracket(rest) {
            Long::Whole(length) => return (Kind::Text, length),
            Long::Unfinished => return (Kind::Unfinished, rest.len()),
            Long::None => {}
        }
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => (Kind::Symbol, symbol.len()),
        None => (Kind::Invalid, first.len_utf8()),
    }
}

fn number(rest: &str) -> usize {
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        let exponent = if hexadecimal { 'p' } else { 'e' };
        let is_sign = (c == '+' || c == '-') && previous.eq_ignore_ascii_case(&exponent);
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || is_sign) {
            return at;
        }
        previous = c;
    }
    rest.len()
}

fn short_string(rest: &str, quote: char) -> (Kind, usize) {
    let mut escaped = false;
    let mut skipping = false;
    for (at, c) in rest.char_indices().skip(1) {
        if skipping && c.is_ascii_whitespace() {
            continue;
        }
        skipping = false;
        match c {
            'z' if escaped => (escaped, skipping) = (false, true),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // An unescaped end of line can never be mended by more text.
            '\n' => return (Kind::Invalid, at),
            _ if c == quote => return (Kind::Text, at + 1),
            _ => {}
        }
    }
    let kind = if escaped || skipping {
        Kind::Unfinished
    } else {
        Kind::Invalid
    };
    (kind, rest.len())
}

/// What a long bracket at the beginning of a text is.
enum Long {
    /// It is none.
    None,
    /// Its end is missing.
    Unfinished,
    /// It has this length.
    Whole(usize),
}

fn long_bracket(rest: &str) -> Long {
    let level = rest.strip_prefix('[').unwrap_or_default();
    let equals = level.len() - level.trim_start_matches('=').len();
    if !level[equals..].starts_with('[') {
        return Long::None;
    }
    let closing = format!("]{}]", "=".repeat(equals));
    let opening = equals + 2;
    let found = rest[opening..].find(&closing);
    found.map_or(Long::Unfinished, |at| {
        Long::Whole(opening + at + closing.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cell_that_does_nothing_else_takes_hooks_away() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("Hook.unregister('a')", Some(&["'a'"])),
            (
                " -- away\nHook . unregister \"a b\" ;\n",
                Some(&["\"a b\""]),
            ),
            (
                "Hook.unregister('a') Hook.unregister([[b]])",
                Some(&["'a'", "[[b]]"]),
            ),
            ("", None),
            ("Hook.unregister", None),
            ("Hook.unregister(name)", None),
            ("Hook.unregister('a' .. 'b')", None),
            ("Hook.unregister('a', print('x'))", None),
            ("Hook.unregister('a') print('x')", None),
            ("Hook.unregister('a'):x()", None),
            ("print('x') Hook.unregister('a')", None),
            ("Hook.enable('a')", None),
            ("x = Hook.unregister('a')", None),
        ];
        for (code, expected) in cases {
            assert_eq!(removed_hooks(code).as_deref(), *expected, "{code}");
        }
    }
}
