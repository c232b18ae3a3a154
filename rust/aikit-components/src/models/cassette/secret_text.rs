//! Secrets inside a text: keys by their form, who asks in addresses, members of JSON, settings.
//!
//! What is hidden depends on the text alone, so the same text hides the same; hiding twice is
//! hiding once.

use std::ops::Range;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::{Captures, Regex};

use super::{
    scrub::{HIDDEN, is_secret_name},
    secret_forms::{ADDRESSES, BASIC, FORM, MEMBER, SETTING, may_hold},
};

/// What stands after the name of a secret in the source of a program, and is none.
const NO_SECRETS: [&str; 17] = [
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "str",
    "string",
    "&str",
    "int",
    "bool",
    "bytes",
    "optional",
    "required",
    "any",
    "str,",
    "string,",
];

/// Decodes what the credentials of `Basic` are written in, whether or not it is padded.
static LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The text without its secrets.
pub(super) fn hide(text: String) -> String {
    if !may_hold(&text) {
        return text;
    }
    let text = replaced(text, &FORM, |found| {
        let whole = &found[0];
        // What names the secret stays, so that the line can be read.
        let kept = whole.find(['=', ' ']).filter(|_| !whole.starts_with('-'));
        format!("{}{HIDDEN}", kept.map_or("", |at| &whole[..=at]))
    });
    let text = replaced(text, &ADDRESSES, |found| {
        let start = found.get(1).or_else(|| found.get(2));
        format!("{}{HIDDEN}@", start.map_or("", |it| it.as_str()))
    });
    let text = replaced(text, &BASIC, |found| {
        let decoded = LENIENT.decode(&found[2]).ok();
        let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
        if decoded.is_some_and(|it| it.contains(':')) {
            format!("{}{HIDDEN}", &found[1])
        } else {
            found[0].to_owned()
        }
    });
    settings(members(text))
}

fn replaced(text: String, form: &Regex, by: impl Fn(&Captures<'_>) -> String) -> String {
    if form.is_match(&text) {
        form.replace_all(&text, by).into_owned()
    } else {
        text
    }
}

/// Hides the values of members of JSON, of Python and Lua tables and the like, also where these
/// stand in a text of JSON themselves.
fn members(text: String) -> String {
    let mut shown = Shown::new(&text);
    while let Some(found) = MEMBER.captures_at(&text, shown.seen) {
        shown.seen = end_of(&found);
        if !is_secret_name(found[2].trim()) {
            continue;
        }
        let rest = &text[shown.seen..];
        if let Some(inside) = Quoted::at(rest).map(|it| it.inside) {
            shown.hide(inside, "");
        } else if let Some(length) = bare_value(rest) {
            // Still of the kind that it was in: a text of JSON stays one.
            shown.hide(0..length, &found[1]);
        }
    }
    shown.text().unwrap_or(text)
}

/// Hides the values of settings, headers and flags.
fn settings(text: String) -> String {
    let mut shown = Shown::new(&text);
    while let Some(found) = SETTING.captures_at(&text, shown.seen) {
        let name = found.get(1).map_or(0..0, |it| it.range());
        shown.seen = end_of(&found);
        if !is_secret_name(found[1].trim_start_matches('-')) {
            continue;
        }
        let (before, rest) = (&text[..name.start], &text[shown.seen..]);
        if let Some(range) = set_value(before, (&found[1], &found[2]), rest) {
            shown.hide(range, "");
        }
    }
    shown.text().unwrap_or(text)
}

fn end_of(found: &Captures<'_>) -> usize {
    found.get(0).map_or(usize::MAX, |it| it.end())
}

/// A text of which parts are being hidden.
struct Shown<'a> {
    text: &'a str,
    parts: String,
    /// How far the text was copied.
    copied: usize,
    /// How far it was looked at.
    seen: usize,
}

impl<'a> Shown<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            parts: String::new(),
            copied: 0,
            seen: 0,
        }
    }

    /// Hides a range that is counted from what was looked at.
    fn hide(&mut self, range: Range<usize>, quote: &str) {
        let (start, end) = (self.seen + range.start, self.seen + range.end);
        self.parts.push_str(&self.text[self.copied..start]);
        for part in [quote, HIDDEN, quote] {
            self.parts.push_str(part);
        }
        (self.copied, self.seen) = (end, end);
    }

    /// The text, when something of it was hidden.
    fn text(mut self) -> Option<String> {
        (self.copied > 0).then(|| {
            self.parts.push_str(&self.text[self.copied..]);
            self.parts
        })
    }
}

/// A quoted text, its quotes escaped as often as the text is one of JSON.
struct Quoted {
    inside: Range<usize>,
    /// After the closing quote.
    end: usize,
}

impl Quoted {
    /// The one that a text begins with; one that is not closed goes to the end.
    fn at(text: &str) -> Option<Self> {
        let escapes = text.bytes().take_while(|it| *it == b'\\').count();
        let quote = text.as_bytes().get(escapes).copied();
        let quote = quote.filter(|it| matches!(it, b'"' | b'\''))?;
        let start = escapes + 1;
        // Escaped once more each time, a closing quote has 0, 1, 3, 7, … backslashes before it;
        // what else it has are escaped backslashes.
        let every = 2 * (escapes + 1);
        let mut before = 0;
        for (place, byte) in text.bytes().enumerate().skip(start) {
            match byte {
                b'\\' => before += 1,
                it if it == quote && before % every == escapes => {
                    return Some(Self {
                        inside: start..place - escapes,
                        end: place + 1,
                    });
                }
                _ => before = 0,
            }
        }
        let (inside, end) = (start..text.len(), text.len());
        Some(Self { inside, end }).filter(|it| !it.inside.is_empty())
    }
}

/// Length of a number, a list or a map at the beginning of a text; `None` for what is no secret.
fn bare_value(text: &str) -> Option<usize> {
    if text.starts_with(['[', '{']) {
        return Some(bracketed(text));
    }
    let ends = |it: char| it.is_whitespace() || ",;]})\"'\\".contains(it);
    let length = text.find(ends).unwrap_or(text.len());
    let value = &text[..length];
    (length > 0 && !is_no_secret(value)).then_some(length)
}

/// Length of a list or a map, to its last bracket.
fn bracketed(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while let Some(byte) = text.as_bytes().get(place) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            // On a border of characters, as it is one of ASCII.
            b'"' | b'\'' | b'\\' => {
                if let Some(quoted) = Quoted::at(&text[place..]) {
                    place += quoted.end;
                    continue;
                }
            }
            _ => {}
        }
        place += 1;
        if depth == 0 {
            return place;
        }
    }
    text.len()
}

fn is_no_secret(value: &str) -> bool {
    NO_SECRETS.iter().any(|it| it.eq_ignore_ascii_case(value))
}

/// Where the value of a setting is, from its name, what separates them, and what is around.
fn set_value(before: &str, (name, separator): (&str, &str), rest: &str) -> Option<Range<usize>> {
    let run = rest
        .find(|it: char| it.is_whitespace() || "\"'&;,<>()[]{}|\\".contains(it))
        .unwrap_or(rest.len());
    let sign = separator.trim();
    let is_flag = name.starts_with("--");
    if sign.is_empty() {
        let is_login = before.trim_end().rsplit(' ').nth(1) == Some("login");
        if !(is_flag || is_login && name == "password") || rest.starts_with('-') {
            return None;
        }
    }
    if let Some(inside) = Quoted::at(rest).map(|it| it.inside) {
        return Some(inside).filter(|it| !it.is_empty());
    }
    let value = &rest[..run];
    // The source of a program and variables of a shell name a secret, they are none.
    let is_source = rest[run..].starts_with(['(', '['])
        || value.starts_with(['$', '%'])
        || value == name
        || is_no_secret(value);
    if value.is_empty() || is_source {
        return None;
    }
    if sign.is_empty() || separator == "=" {
        return Some(0..run);
    }
    if !begins_line(before) {
        return None;
    }
    // No further than the line: a text may have many.
    let line = rest
        .find(['\n', '\r', '"', '\''])
        .map_or(rest, |end| &rest[..end]);
    let line = line.find("\\n").map_or(line, |end| &line[..end]);
    let line = line.trim_end();
    // With spaces around its sign, `name = a + b` is a program.
    (sign == ":" || line.len() == run).then_some(0..line.len())
}

/// Whether nothing but what leads to a name stands before it in its line, or a quote, as in a
/// command with a header.
fn begins_line(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '-', '>', '*']);
    let before = ["export", "set", "ENV"]
        .iter()
        .find_map(|it| before.strip_suffix(it))
        .unwrap_or(before)
        .trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with(['\n', '\r', '"', '\'']) || before.ends_with("\\n")
}
