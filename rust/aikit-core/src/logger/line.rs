//! How a record is written: one JSON object a line, or one line to read.

use std::{fmt::Write as _, str::FromStr};

use super::Record;
use crate::{Error, Result, Value, clock::iso8601, value::Map};

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
pub(super) fn said(message: &str, fields: &Map) -> String {
    let mut text = cut(message).to_owned();
    for (name, value) in fields {
        text.push(' ');
        text.push_str(name);
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
        line.push_str(name);
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
    let hidden = |name: &String| record.fields.contains_key(name);
    let context = record.context.iter().filter(move |(name, _)| !hidden(name));
    let all = context.chain(&record.fields);
    all.map(|(name, value)| (name.as_str(), value))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn write_value(line: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(line, cut(text)),
        Value::Int(number) => drop(write!(line, "{number}")),
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

/// A JSON string.
fn write_text(line: &mut String, text: &str) {
    line.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        line.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\t' => line.push_str("\\t"),
            b'\r' => line.push_str("\\r"),
            _ => drop(write!(line, "\\u{byte:04x}")),
        }
    }
    line.push_str(&text[plain_from..]);
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_json_that_others_read() {
        for text in ["", "plain", "\"\\\n\r\t\u{1}\u{7f}", "ü–😀\n"] {
            let mut line = String::new();
            write_text(&mut line, text);
            let read: String = serde_json::from_str(&line).unwrap();
            assert_eq!(read, text);
        }
    }
}
