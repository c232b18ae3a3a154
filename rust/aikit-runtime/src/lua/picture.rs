//! Pictures of a MIME bundle: their bytes, or the base64 of them. Front ends show anything else as a
//! broken picture.

use aikit_core::{Error, Result, Value as Data, value::Map};

/// The media types that are looked at; SVG is text.
const MEDIA_TYPES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What a PNG file begins with.
pub(super) const PNG_BEGIN: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What pictures have at which place, as bytes. Which of the media types a picture has matters to no
/// front end.
const BYTES: &[&[(usize, &[u8])]] = &[
    &[(0, PNG_BEGIN)],
    &[(0, b"\xff\xd8\xff")],
    &[(0, b"GIF87a")],
    &[(0, b"GIF89a")],
    &[(0, b"RIFF"), (8, b"WEBP")],
];

/// The same in base64, as far as a digit holds nothing else.
const BASE64: &[&[(usize, &[u8])]] = &[
    &[(0, b"iVBORw0KGg")],
    &[(0, b"/9j/")],
    &[(0, b"R0lGODdh")],
    &[(0, b"R0lGODlh")],
    &[(0, b"UklGR"), (12, b"RUJQ")],
];

/// Longest text that an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 50;

/// The bundle, with the pictures in it as bytes or as base64.
///
/// # Errors
///
/// `invalid_args` for a picture that is neither.
pub(super) fn checked(mut bundle: Map) -> Result<Map> {
    for media_type in MEDIA_TYPES {
        let Some(value) = bundle.get_mut(*media_type) else {
            continue;
        };
        match value {
            Data::Bytes(bytes) if has(BYTES, bytes) => {}
            Data::String(text) if is_base64(text) => {}
            // Bytes that happen to be text.
            Data::String(text) if has(BYTES, text.as_bytes()) => {
                *value = Data::Bytes(text.as_bytes().to_vec().into());
            }
            other => return Err(refused(media_type, other)),
        }
    }
    Ok(bundle)
}

fn has(pictures: &[&[(usize, &[u8])]], bytes: &[u8]) -> bool {
    let is_there = |(at, part): &(usize, &[u8])| {
        let rest = bytes.get(*at..).unwrap_or_default();
        rest.starts_with(part)
    };
    pictures.iter().any(|parts| parts.iter().all(is_there))
}

fn is_base64(text: &str) -> bool {
    let is_digit = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'=');
    let begin = text.trim_ascii_start().as_bytes();
    let all = || {
        begin
            .iter()
            .all(|it| is_digit(*it) || it.is_ascii_whitespace())
    };
    has(BASE64, begin) && all()
}

fn refused(media_type: &str, value: &Data) -> Error {
    let given = match value {
        Data::String(text) if text.is_empty() => "an empty text".to_owned(),
        Data::String(text) => match text.char_indices().nth(SHOWN_CHARS_MAX) {
            None => format!("the text `{}`", text.escape_debug()),
            Some((end, _)) => {
                let begin = text.get(..end).unwrap_or_default().escape_debug();
                format!("a text of {} bytes that begins with `{begin}`", text.len())
            }
        },
        Data::Bytes(bytes) => format!("{} bytes of something else", bytes.len()),
        Data::Null => "nothing".to_owned(),
        Data::Bool(_) => "a boolean".to_owned(),
        Data::Int(_) | Data::Float(_) => "a number".to_owned(),
        Data::List(_) | Data::Map(_) => "a table".to_owned(),
    };
    let message = format!("`{media_type}` is no picture, but {given}");
    let hint = "give the bytes of the picture, such as `Tool.read_file{path = …}.bytes`, or their \
                base64";
    Error::invalid_args(message).with_hint(hint)
}
