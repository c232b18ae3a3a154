//! How a record is written: one JSON object a line, or one line to read.

use std::{fmt::Write as _, str::FromStr};

use super::{Fields, Record};
use crate::{Error, Result, Value, clock::iso8601};

/// Longest text of one field or message in bytes; the rest is cut off.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// How a record is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// One line to read.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = Error;

    /// # Errors
    ///
    /// `invalid_args` for another word.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::invalid_args(format!("there is no format `{text}`"))
                .with_hint("the formats are text and json")),
        }
    }
}

/// The line of a record, its end included.
pub(super) fn render(record: &Record<'_>, format: Format) -> String {
    let mut line = String::with_capacity(512);
    match format {
        Format::Text => text(&mut line, record),
        Format::Json => json(&mut line, record),
    }
    line.push('\n');
    line
}

/// A message with fields: `loaded rows=3`.
pub(super) fn said(message: &str, fields: &Fields) -> String {
    let mut text = cut(message).to_owned();
    for (name, value) in fields.iter() {
        text.push(' ');
        write_name(&mut text, name);
        text.push('=');
        write_value(&mut text, value);
    }
    text
}

fn text(line: &mut String, record: &Record<'_>) {
    line.push_str(&iso8601(record.time));
    // Writing to a text cannot fail.
    let _ = write!(line, " {:5} {}: ", record.level, record.target);
    // A record is one line, whatever stands in it.
    for piece in cut(record.message).split(['\n', '\r']) {
        line.push_str(piece);
        line.push(' ');
    }
    line.pop();
    for (name, value) in pairs(record) {
        line.push(' ');
        write_name(line, name);
        line.push('=');
        write_value(line, value);
    }
}

fn json(line: &mut String, record: &Record<'_>) {
    line.push_str("{\"time\":\"");
    line.push_str(&iso8601(record.time));
    line.push_str("\",\"level\":\"");
    line.push_str(record.level.name());
    line.push_str("\",\"target\":");
    write_text(line, record.target);
    line.push_str(",\"message\":");
    write_text(line, cut(record.message));
    for (name, value) in pairs(record) {
        // The four above are the record's own.
        if matches!(name, "time" | "level" | "target" | "message") {
            continue;
        }
        line.push(',');
        write_text(line, name);
        line.push(':');
        write_value(line, value);
    }
    line.push('}');
}

/// The fields of the Context and the record's own, each name once.
fn pairs<'a>(record: &'a Record<'_>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let is_hidden = |name: &str| record.fields.get(name).is_some();
    let context = record.context.iter();
    let context = context.filter(move |(name, _)| !is_hidden(name));
    context.chain(record.fields.iter())
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// The name of a field: as it is when it is a plain word, else in quotes, so that it can neither
/// end the line nor look like another field.
fn write_name(line: &mut String, name: &str) {
    let is_plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | ':' | '/');
    if !name.is_empty() && name.chars().all(is_plain) {
        line.push_str(name);
    } else {
        write_text(line, cut(name));
    }
}

fn write_value(line: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(line, cut(text)),
        Value::Int(number) => write_integer(line, *number),
        Value::Bool(is) => line.push_str(if *is { "true" } else { "false" }),
        other => {
            let text = other.to_string();
            if text.len() > TEXT_BYTES_MAX {
                write_text(line, cut(&text));
            } else {
                line.push_str(&text);
            }
        }
    }
}

/// An integer; the machinery of `write!` takes several times as long.
fn write_integer(line: &mut String, number: i64) {
    // The longest is -9223372036854775808.
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    line.extend(digits[start..].iter().map(|it| char::from(*it)));
}

/// A JSON string.
fn write_text(line: &mut String, text: &str) {
    line.push('"');
    let mut plain_from = 0;
    while let Some(length) = plain(&text.as_bytes()[plain_from..]) {
        let at = plain_from + length;
        line.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match text.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\t' => line.push_str("\\t"),
            b'\r' => line.push_str("\\r"),
            byte => drop(write!(line, "\\u{byte:04x}")),
        }
    }
    line.push_str(&text[plain_from..]);
    line.push('"');
}

/// How many bytes stand before the first that is written otherwise; `None` when none is.
fn plain(bytes: &[u8]) -> Option<usize> {
    let is_other = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f);
    let (words, rest) = bytes.as_chunks::<8>();
    // Most texts are plain: eight bytes are looked at at once, and one by one where one of them
    // is not, or where there are fewer.
    let Some(word) = words
        .iter()
        .position(|it| has_other(u64::from_ne_bytes(*it)))
    else {
        let place = rest.iter().position(is_other);
        return place.map(|it| bytes.len() - rest.len() + it);
    };
    let place = words[word].iter().position(is_other);
    place.map(|it| 8 * word + it)
}

/// Whether one of eight bytes is a control character, a quote or a backslash ("Bit Twiddling
/// Hacks" of Sean Eron Anderson: a byte less than n, a byte that is zero).
const fn has_other(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let delete = zero(word ^ (ONES * 0x7f));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | delete | control) & HIGHS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_they_are() {
        for number in [0, 7, -1, 10, 1_234_567_890, i64::MIN, i64::MAX] {
            let mut line = "a".to_owned();
            write_integer(&mut line, number);
            assert_eq!(line, format!("a{number}"));
        }
    }

    #[test]
    fn texts_are_the_json_that_others_read() {
        let mut texts: Vec<String> = ["", "plain", "\"\\\n\r\t\u{1}\u{7f}", "ü–😀\n"]
            .map(str::to_owned)
            .into();
        // Each byte at each place of eight, between others of every kind.
        for byte in 0..=0x7f_u8 {
            for place in 0..17 {
                let mut text = "a~ü !#[]\u{80}é0-_".to_owned();
                while text.len() < 20 {
                    text.push('x');
                }
                let place = (place..=text.len())
                    .find(|it| text.is_char_boundary(*it))
                    .unwrap();
                text.insert(place, char::from(byte));
                texts.push(text);
            }
        }
        for text in &texts {
            let mut line = String::new();
            write_text(&mut line, text);
            let read: String = serde_json::from_str(&line).unwrap();
            assert_eq!(read, *text);
        }
    }
}
