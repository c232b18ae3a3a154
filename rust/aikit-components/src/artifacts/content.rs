//! Contents: what is stored of a value, its media type, and how it is shown.

use aikit_core::{Error, Result, Value, value::Map};
use bytes::Bytes;

use super::ArtifactInfo;

/// Bytes of a content that are looked at to tell text from data.
const SAMPLE_BYTES: usize = 4096;

/// Beginnings of files and what they are.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
];

/// Endings of names and what they say.
const ENDINGS: &[(&str, &str)] = &[
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
];

/// What is stored of a value, and the media type that fits it.
///
/// # Errors
///
/// `invalid_args` for nothing, and for data that JSON cannot hold.
pub(super) fn encode(name: &str, value: &Value) -> Result<(Bytes, String)> {
    match value {
        Value::Null => Err(
            Error::invalid_args(format!("the artifact `{name}` has no content"))
                .with_hint("give a text, bytes, data or a file"),
        ),
        Value::String(text) => {
            let mime = by_ending(name).filter(|it| is_text(it));
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            Ok((bytes, mime.unwrap_or("text/plain").to_owned()))
        }
        Value::Bytes(bytes) => Ok((bytes.clone(), mime_of(name, bytes))),
        data => {
            let json = data.to_json().map_err(|error| {
                let message = format!("the artifact `{name}`: {}", error.message());
                Error::new(error.kind(), message)
                    .with_hint("store what JSON can hold, or bytes with a media type")
            })?;
            Ok((Bytes::from(json.to_string()), "application/json".to_owned()))
        }
    }
}

/// The value of a stored content.
pub(super) fn decode(mime: &str, bytes: Bytes) -> Value {
    if is_json(mime)
        && let Ok(json) = serde_json::from_slice(&bytes)
    {
        return Value::from_json(json);
    }
    if is_text(mime)
        && let Ok(text) = std::str::from_utf8(&bytes)
    {
        return Value::from(text);
    }
    Value::Bytes(bytes)
}

/// The media type of bytes that have a name: what they are, else what the name says.
pub(super) fn mime_of(name: &str, bytes: &[u8]) -> String {
    let signature = SIGNATURES
        .iter()
        .find(|(begin, _)| bytes.starts_with(begin));
    let found = signature.map(|(_, mime)| *mime).or_else(|| by_ending(name));
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let natural = if is_readable(sample) {
        "text/plain"
    } else {
        "application/octet-stream"
    };
    found.unwrap_or(natural).to_owned()
}

/// What a front end shows.
pub(super) fn bundle(info: &ArtifactInfo, value: &Value) -> Map {
    let mime = essence(&info.mime).to_owned();
    let described = Value::from(format!(
        "artifact `{}`: {}, {} bytes",
        info.name, info.mime, info.size_bytes
    ));
    let plain = match value {
        Value::String(text) if mime != "text/html" && !mime.starts_with("image/") => {
            Value::from(text.as_str())
        }
        _ => described,
    };
    let mut bundle = Map::from_iter([("text/plain".to_owned(), plain)]);
    let is_shown = is_text(&mime) || is_json(&mime) || mime.starts_with("image/");
    if is_shown && mime != "text/plain" {
        bundle.insert(mime, value.clone());
    }
    bundle
}

fn by_ending(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let found = ENDINGS.iter().find(|(known, _)| *known == ending);
    found.map(|(_, mime)| *mime)
}

/// A media type without its parameters.
fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

fn is_json(mime: &str) -> bool {
    let mime = essence(mime);
    mime == "application/json" || mime.ends_with("+json")
}

fn is_text(mime: &str) -> bool {
    let mime = essence(mime);
    mime.starts_with("text/") || mime.ends_with("+xml") || mime == "application/xml"
}

/// Whether bytes are text; a letter cut at the end of a sample does not count against it.
fn is_readable(sample: &[u8]) -> bool {
    match std::str::from_utf8(sample) {
        Ok(text) => !text.contains('\0'),
        Err(error) => error.error_len().is_none() && !sample.contains(&0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_follows_from_content_and_name() {
        for (name, bytes, expected) in [
            ("a", &b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            ("a.txt", b"\x89PNG\r\n\x1a\n...", "image/png"),
            ("a.CSV", b"x,y\n", "text/csv"),
            ("a", b"words", "text/plain"),
            ("a", b"\x00\x01", "application/octet-stream"),
            ("a.bin", b"\xff", "application/octet-stream"),
        ] {
            assert_eq!(mime_of(name, bytes), expected, "{name}");
        }
    }

    #[test]
    fn values_come_back_as_they_were() {
        let data = Value::map([("a", Value::from(vec![1_i64, 2]))]);
        let bytes = Value::Bytes(Bytes::from_static(b"\x00\xff"));
        for value in [Value::from("é"), data, bytes] {
            let (stored, mime) = encode("name", &value).unwrap();
            assert_eq!(decode(&mime, stored), value);
        }
        assert!(encode("name", &Value::Null).is_err());
        assert!(encode("name", &Value::from(vec![f64::NAN])).is_err());
    }
}
