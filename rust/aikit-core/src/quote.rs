//! Quoted text in messages: what a user or a model wrote, cut to what a person reads.

use std::{borrow::Cow, fmt::Write as _, sync::OnceLock};

/// Longest quoted text, in characters.
pub const QUOTE_CHARS_MAX: usize = 200;

/// Of a text that is cut, so many characters of its beginning are shown; the rest is a sign and its
/// end, where paths and names differ.
const HEAD_CHARS: usize = 150;

/// Longest message, in bytes: what it says without quoting is cut too.
pub const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Of a message that is cut, the bytes that are left for saying so.
const SUFFIX_BYTES: usize = 40;

/// Hides the secrets in a text.
type Scrub = fn(&str) -> Cow<'_, str>;

static SCRUB: OnceLock<Scrub> = OnceLock::new();

/// Has secrets hidden in what is cut: afterwards nothing would know their parts.
pub(crate) fn set_scrub(scrub: Scrub) {
    SCRUB.get_or_init(|| scrub);
}

/// A text as messages and log lines quote it: whole up to [`QUOTE_CHARS_MAX`] characters, else its
/// beginning and its end.
pub fn cut(text: &str) -> Cow<'_, str> {
    let text = scrubbed(text);
    match parts(&text) {
        None => text,
        Some((head, tail, count)) => Cow::Owned(format!("{head}…{tail} ({count} characters)")),
    }
}

/// A text that may be cut, without secrets.
fn scrubbed(text: &str) -> Cow<'_, str> {
    match SCRUB.get().filter(|_| text.len() > QUOTE_CHARS_MAX) {
        Some(scrub) => scrub(text),
        None => Cow::Borrowed(text),
    }
}

/// Cuts what a text has from `start` on, which is the end of what was there before.
#[inline]
pub(crate) fn cut_from(text: &mut String, start: usize) {
    if text.len() - start <= QUOTE_CHARS_MAX {
        return;
    }
    if let Some(Cow::Owned(short)) = text.get(start..).map(cut) {
        text.truncate(start);
        text.push_str(&short);
    }
}

/// A message in which everything between backticks is cut as [`cut`] does, and which is not longer
/// than [`MESSAGE_BYTES_MAX`] itself.
pub fn cut_quotes(message: String) -> String {
    if message.len() <= QUOTE_CHARS_MAX {
        return message;
    }
    let mut cut = String::with_capacity(message.len().min(MESSAGE_BYTES_MAX));
    // Every second piece stood between backticks, unless the last one has no end.
    let mut pieces = message.split('`').enumerate().peekable();
    while let Some((place, piece)) = pieces.next() {
        let is_quoted = place % 2 == 1 && pieces.peek().is_some();
        let piece = if is_quoted {
            scrubbed(piece)
        } else {
            Cow::Borrowed(piece)
        };
        let shown = parts(&piece).filter(|_| is_quoted);
        if place > 0 {
            cut.push('`');
        }
        match shown {
            None => cut.push_str(&piece),
            Some((head, tail, count)) => {
                // Writing to a text cannot fail.
                let _ = write!(cut, "{head}…{tail}` ({count} characters)");
                // The backtick at its end is written.
                if let Some((_, next)) = pieces.next() {
                    cut.push_str(next);
                }
            }
        }
        if cut.len() > MESSAGE_BYTES_MAX {
            break;
        }
    }
    if cut.len() > MESSAGE_BYTES_MAX {
        cut = scrubbed(&cut).into_owned();
        cut.truncate(cut.floor_char_boundary(MESSAGE_BYTES_MAX - SUFFIX_BYTES));
        let _ = write!(cut, "… ({} bytes)", message.len());
    }
    cut
}

/// The beginning and the end of a text that is too long, and how many characters it has.
fn parts(text: &str) -> Option<(&str, &str, usize)> {
    if text.len() <= QUOTE_CHARS_MAX {
        return None;
    }
    let count = text.chars().count();
    if count <= QUOTE_CHARS_MAX {
        return None;
    }
    let (head_end, _) = text.char_indices().nth(HEAD_CHARS)?;
    let (tail_start, _) = text
        .char_indices()
        .nth_back(QUOTE_CHARS_MAX - HEAD_CHARS - 2)?;
    Some((&text[..head_end], &text[tail_start..], count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shown_by_its_ends_and_its_length() {
        for whole in ["", "a`b", &"ä".repeat(QUOTE_CHARS_MAX)] {
            assert_eq!(cut(whole), whole);
        }
        let text = format!("{}z", "ä".repeat(QUOTE_CHARS_MAX));
        let expected = format!("{}…{}z (201 characters)", "ä".repeat(150), "ä".repeat(48));
        assert_eq!(cut(&text), expected);
    }

    #[test]
    fn a_message_cuts_what_it_quotes_and_keeps_what_it_says() {
        let (long, short) = (
            "x".repeat(1 << 20),
            format!("{}…{}", "x".repeat(150), "x".repeat(49)),
        );
        for (message, expected) in [
            (
                "no tool named `a`".to_owned(),
                "no tool named `a`".to_owned(),
            ),
            (
                format!("no tool named `{long}` in `b`"),
                format!("no tool named `{short}` (1048576 characters) in `b`"),
            ),
            (
                format!("`{long}``{long}`"),
                format!("`{short}` (1048576 characters)`{short}` (1048576 characters)"),
            ),
            // What is quoted by nobody, and a quote without an end.
            (
                format!("{} `a", "y".repeat(300)),
                format!("{} `a", "y".repeat(300)),
            ),
            (
                format!("a`{}", "y".repeat(300)),
                format!("a`{}", "y".repeat(300)),
            ),
        ] {
            assert_eq!(cut_quotes(message), expected);
            assert_eq!(cut_quotes(expected.clone()), expected, "once is enough");
        }
        // A text with backticks of its own can hide where it ends, but not be endless.
        let message = cut_quotes(format!("no tool named `a`{long}`b`"));
        assert!(message.len() <= MESSAGE_BYTES_MAX, "{}", message.len());
        assert!(message.ends_with("… (1048596 bytes)"), "{message:.60}");
    }
}
