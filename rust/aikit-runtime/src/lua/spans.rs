//! Pieces of Lua code, for editors that colour it.

use aikit_core::engine::{Span, SpanKind};

use super::lexer::{self, Kind, Token};

/// The pieces of `code`, in order and without gaps.
pub(super) fn spans(code: &str) -> Vec<Span> {
    let tokens = lexer::tokens(code);
    let mut spans = Vec::with_capacity(tokens.len() * 2 + 1);
    let mut at = 0;
    for (position, token) in tokens.iter().enumerate() {
        between(code, at, token.start, &mut spans);
        let (kind, start, end) = (
            kind(token, tokens.get(position + 1)),
            token.start,
            token.end(),
        );
        spans.push(Span { kind, start, end });
        at = end;
    }
    between(code, at, code.len(), &mut spans);
    spans
}

fn kind(token: &Token<'_>, next: Option<&Token<'_>>) -> SpanKind {
    match token.kind {
        Kind::Keyword => SpanKind::Keyword,
        Kind::Number => SpanKind::Number,
        // A comment that was begun, or a string that was.
        Kind::Unfinished if token.text.starts_with("--") => SpanKind::Comment,
        Kind::Text | Kind::Unfinished => SpanKind::Text,
        Kind::Invalid if token.text.starts_with(['"', '\'']) => SpanKind::Text,
        Kind::Name if next.is_some_and(begins_arguments) => SpanKind::Call,
        Kind::Name | Kind::Symbol | Kind::Invalid => SpanKind::Plain,
    }
}

fn begins_arguments(token: &Token<'_>) -> bool {
    token.kind == Kind::Text || token.is("(") || token.is("{")
}

/// What stands between two tokens: white space, and comments.
fn between(code: &str, from: usize, to: usize, spans: &mut Vec<Span>) {
    let mut at = from;
    while at < to {
        let rest = &code[at..to];
        let is_comment = !rest.starts_with(char::is_whitespace);
        let length = if is_comment {
            // The first comment ends with its line, or with its bracket: both are before the next
            // white space that a line or a long comment does not hold.
            comment(rest)
        } else {
            rest.find(|it: char| !it.is_whitespace())
                .unwrap_or(rest.len())
        };
        let kind = if is_comment {
            SpanKind::Comment
        } else {
            SpanKind::Plain
        };
        spans.push(Span {
            kind,
            start: at,
            end: at + length,
        });
        at += length;
    }
}

/// The length of the comment, or of the first line for the shell, that a text begins with.
fn comment(text: &str) -> usize {
    let long = text.strip_prefix("--[").and_then(|rest| {
        let level = rest.len() - rest.trim_start_matches('=').len();
        rest[level..].strip_prefix('[')?;
        let closing = format!("]{}]", "=".repeat(level));
        Some(text.find(&closing)? + closing.len())
    });
    long.or_else(|| text.find('\n'))
        .unwrap_or(text.len())
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_no_gaps_and_know_what_they_are() {
        let code = "#!x\nlocal a = f(1, 'é') -- c\n--[==[ l\n ]==] g{} \"open";
        let spans = spans(code);
        let mut at = 0;
        for span in &spans {
            assert_eq!(span.start, at, "{spans:?}");
            at = span.end;
        }
        assert_eq!(at, code.len());
        let of = |kind| {
            let found = spans.iter().filter(move |span| span.kind == kind);
            found
                .map(|span| &code[span.start..span.end])
                .collect::<Vec<_>>()
        };
        assert_eq!(of(SpanKind::Keyword), ["local"]);
        assert_eq!(of(SpanKind::Number), ["1"]);
        assert_eq!(of(SpanKind::Text), ["'é'", "\"open"]);
        assert_eq!(of(SpanKind::Call), ["f", "g"]);
        assert_eq!(of(SpanKind::Comment), ["#!x", "-- c", "--[==[ l\n ]==]"]);
    }
}
