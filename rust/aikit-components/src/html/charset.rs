//! Which characters the bytes of a page stand for.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// Beginning of a page in which it may name its encoding, as browsers look for it.
const PRESCAN_BYTES: usize = 1024;

/// Beginning of a page from which an unnamed encoding is guessed.
const SAMPLE_BYTES: usize = 64 << 10;

/// Decodes a page. Its encoding is, in this order: that of its byte order mark, that of
/// `content_type` (the header of the answer), that of its `meta` element, UTF-8 where it is valid,
/// and else a guess. What cannot be decoded becomes `U+FFFD`.
///
/// Source: the Encoding and HTML standards ("determining the character encoding").
pub fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    // `decode` itself lets a byte order mark win.
    let named = content_type
        .and_then(|it| charset_of(it.as_bytes()))
        .or_else(|| meta_charset(bytes));
    let encoding = named.unwrap_or_else(|| guess(bytes));
    encoding.decode(bytes).0
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// The encoding that a `meta` element near the beginning names.
fn meta_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes[..bytes.len().min(PRESCAN_BYTES)].to_ascii_lowercase();
    let mut rest = &start[..];
    while let Some(at) = find(rest, b"<meta") {
        rest = &rest[at + b"<meta".len()..];
        let end = find(rest, b">").unwrap_or(rest.len());
        if let Some(encoding) = charset_of(&rest[..end]) {
            // Whoever reads this as ASCII cannot have it in UTF-16.
            let is_wide = !encoding.is_ascii_compatible();
            return Some(if is_wide { UTF_8 } else { encoding });
        }
    }
    None
}

/// The encoding after `charset=`.
fn charset_of(text: &[u8]) -> Option<&'static Encoding> {
    let text = text.to_ascii_lowercase();
    let at = find(&text, b"charset")?;
    let rest = text[at + b"charset".len()..].trim_ascii_start();
    let rest = rest.strip_prefix(b"=")?.trim_ascii_start();
    let is_quote = |it: &u8| matches!(it, b'"' | b'\'');
    let rest = if rest.first().is_some_and(is_quote) {
        &rest[1..]
    } else {
        rest
    };
    let ends =
        |it: &u8| is_quote(it) || matches!(it, b';' | b'/' | b'>') || it.is_ascii_whitespace();
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    Encoding::for_label(&rest[..end])
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|it| it == wanted)
}
