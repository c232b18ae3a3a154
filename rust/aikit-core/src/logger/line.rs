//! How a record is written: one JSON object a line, or one line to read.

use std::{fmt::Write as _, mem, str::FromStr};

use super::{FieldValue, Fields, Record, fields::Origin, room::Text};
use crate::{Error, Result, clock::write_iso8601};

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
pub(super) fn render(record: &Record<'_>, format: Format) -> Text {
    let mut line = Text::default();
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
    write_iso8601(line, record.time);
    // Writing to a text cannot fail.
    let _ = write!(line, " {:5} {}: ", record.level, record.target);
    // A record is one line, whatever stands in it.
    for piece in cut(record.message).split(['\n', '\r']) {
        line.push_str(piece);
        line.push(' ');
    }
    line.pop();
    for (name, value) in pairs(record.context, record.fields) {
        line.push(' ');
        write_name(line, name);
        line.push('=');
        write_value(line, value);
    }
    escape_controls(line);
}

/// Writes what would steer a terminal, end a line or turn its direction as JSON writes it: it
/// stands in what is said, and beyond ASCII in fields as well.
fn escape_controls(line: &mut String) {
    let is_control = |it: char| {
        it.is_control() || matches!(it, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let is_plain = |it: u8| (b' '..0x7f).contains(&it);
    if line.bytes().all(is_plain) || !line.contains(is_control) {
        return;
    }
    let given = mem::take(line);
    for letter in given.chars() {
        match letter {
            '\t' => line.push_str("\\t"),
            it if is_control(it) => drop(write!(line, "\\u{:04x}", u32::from(it))),
            it => line.push(it),
        }
    }
}

fn json(line: &mut String, record: &Record<'_>) {
    line.push_str("{\"time\":\"");
    write_iso8601(line, record.time);
    line.push_str("\",\"level\":\"");
    line.push_str(record.level.name());
    // Nearly all texts are plain: one look at all of them instead of one at each.
    let are_plain = plain(record.fields.given_texts().as_bytes()).is_none();
    let write = if are_plain { write_plain } else { write_text };
    line.push_str("\",\"target\":");
    write(line, record.target);
    line.push_str(",\"message\":");
    write(line, cut(record.message));
    let is_hidden = |name: &str| record.fields.get(name).is_some();
    let are_context_plain = plain(record.context.given_texts().as_bytes()).is_none();
    json_fields(line, record.context, are_context_plain, is_hidden);
    json_fields(line, record.fields, are_plain, |_| false);
    line.push('}');
}

/// The fields whose names are not hidden; `are_plain` says that nothing in their texts is written
/// otherwise.
fn json_fields(
    line: &mut String,
    fields: &Fields,
    are_plain: bool,
    is_hidden: impl Fn(&str) -> bool,
) {
    for field in fields.fields() {
        let name = &*field.name;
        // These four are the record's own.
        if matches!(name, "time" | "level" | "target" | "message") || is_hidden(name) {
            continue;
        }
        if field.origin == Origin::Other {
            line.push(',');
            write_text(line, name);
            line.push(':');
        } else {
            line.push_str(",\"");
            line.push_str(name);
            line.push_str("\":");
        }
        match fields.value(field) {
            FieldValue::Text(text) if are_plain => write_plain(line, cut(text)),
            value => write_value(line, value),
        }
    }
}

/// The fields of the Context and the record's own, each name once.
pub(super) fn pairs<'a>(
    context: &'a Fields,
    own: &'a Fields,
) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> {
    let context = context.iter();
    let context = context.filter(|(name, _)| own.get(name).is_none());
    context.chain(own.iter())
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

fn write_value(line: &mut String, value: FieldValue<'_>) {
    match value {
        FieldValue::Text(text) => write_text(line, cut(text)),
        FieldValue::Int(number) => write_integer(line, number),
        FieldValue::Bool(is) => line.push_str(if is { "true" } else { "false" }),
        FieldValue::Data(other) => {
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
    if number < 0 {
        line.push('-');
    }
    write_digits(line, number.unsigned_abs());
}

/// A number without a sign.
pub(super) fn write_digits(line: &mut String, number: u64) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        let digit = b"0123456789"[(number / unit % 10) as usize];
        line.push(char::from(digit));
        unit /= 10;
    }
}

/// A JSON string of what has nothing that is written otherwise.
fn write_plain(line: &mut String, text: &str) {
    line.push('"');
    line.push_str(text);
    line.push('"');
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
    // Most texts are plain: their bytes are looked at many at once, and one by one only behind
    // the place up to which they are plain.
    let (blocks, _) = bytes.as_chunks::<16>();
    let plain = blocks.iter().take_while(|it| is_plain(it)).count();
    if plain == blocks.len() && is_end_plain(bytes) {
        return None;
    }
    let at = 16 * plain;
    let place = bytes[at..].iter().position(|it| is_other(*it));
    place.map(|it| at + it)
}

/// Whether what no block of 16 bytes covers is plain.
fn is_end_plain(bytes: &[u8]) -> bool {
    match (
        bytes.last_chunk::<16>(),
        bytes.first_chunk::<8>(),
        bytes.last_chunk::<8>(),
    ) {
        (Some(end), ..) => is_plain(end),
        (None, Some(start), Some(end)) => is_plain(start) && is_plain(end),
        _ => !bytes.iter().any(|it| is_other(*it)),
    }
}

// Without a branch for each byte, so that one instruction does many.
fn is_plain<const N: usize>(bytes: &[u8; N]) -> bool {
    !bytes.iter().fold(false, |found, it| found | is_other(*it))
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte would keep one instruction from doing many"
)]
const fn is_other(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f)
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
