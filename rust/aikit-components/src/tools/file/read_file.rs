//! `read_file`: text or bytes of a file, or of a part of it.

use std::time::Duration;

use aikit_core::{
    Error, Result,
    services::{FilePart, Permission},
    tool::{Tool, ToolContext},
};
use bytes::Bytes;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes that are read when `limit` is not given.
const LIMIT_BYTES: u64 = 256 << 10;

/// Most bytes of one call; the answer must stay below the limit of all answers.
const LIMIT_BYTES_MAX: u64 = 768 << 10;

/// Bytes at the beginning of a file from which its encoding is guessed.
const SAMPLE_BYTES: u64 = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct ReadFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Path of the file, relative to the working directory or absolute.
    path: String,
    /// Bytes to leave out at the beginning.
    #[serde(default)]
    offset: u64,
    /// Most bytes to read, 1 to 786432; 262144 when left out.
    #[schemars(range(min = 1, max = 786_432))]
    limit: Option<u64>,
    /// Encoding of the text, such as `utf-8` or `windows-1252`, or `binary` for bytes; detected
    /// when left out.
    encoding: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The text that was read; null for a file that is not text.
    text: Option<String>,
    /// The bytes that were read; null for text.
    #[schemars(with = "Option<String>", extend("format" = "binary"))]
    bytes: Option<Bytes>,
    /// Encoding of the text; null for bytes.
    encoding: Option<String>,
    /// Size of the whole file in bytes.
    total_bytes: u64,
    /// Where the next part begins; null at the end of the file.
    next_offset: Option<u64>,
}

impl Tool for ReadFile {
    const NAME: &'static str = "read_file";
    const SUMMARY: &'static str =
        "Reads a file, or a part of it, as text with its encoding detected, or as bytes.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileRead];
    // Long enough for a person to approve the reading of a file with keys.
    const TIMEOUT: Duration = Duration::from_mins(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let limit = args.limit.unwrap_or(LIMIT_BYTES);
        if !(1..=LIMIT_BYTES_MAX).contains(&limit) {
            return Err(
                Error::invalid_args(format!("`limit` is {limit}")).with_hint(format!(
                    "give 1 to {LIMIT_BYTES_MAX}; read on at `next_offset`"
                )),
            );
        }
        let wanted = args.encoding.as_deref().map(parse_encoding).transpose()?;
        let files = cx.services.files()?;
        let part = files
            .read(&cx.context, &args.path, args.offset, limit)
            .await?;
        let encoding = match wanted {
            Some(wanted) => wanted,
            // A file is guessed from its beginning, so that all its parts get the same answer.
            None if args.offset > 0 => {
                let sample = files.read(&cx.context, &args.path, 0, SAMPLE_BYTES).await?;
                detect(&sample)
            }
            None => detect(&part),
        };
        Ok(decode(&part, args.offset, encoding))
    }
}

/// `None` stands for bytes.
fn parse_encoding(label: &str) -> Result<Option<&'static Encoding>> {
    if label.eq_ignore_ascii_case("binary") {
        return Ok(None);
    }
    Encoding::for_label(label.as_bytes())
        .map(Some)
        .ok_or_else(|| {
            Error::invalid_args(format!("`{label}` is not a known encoding"))
                .with_hint("use a name of the Encoding Standard, such as `utf-8`, or `binary`")
        })
}

fn detect(part: &FilePart) -> Option<&'static Encoding> {
    let bytes = &part.bytes[..];
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Some(encoding);
    }
    let is_whole = part.bytes.len() as u64 >= part.total_bytes;
    if is_utf8(bytes, is_whole) {
        return (!bytes.contains(&0)).then_some(UTF_8);
    }
    // Legacy text has no control characters beside white space and escape.
    let is_control = |it: &u8| matches!(it, 0..=8 | 14..=26 | 28..=31);
    if bytes.iter().any(is_control) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, is_whole);
    Some(detector.guess(None, Utf8Detection::Deny))
}

/// Whether the bytes are UTF-8; a part may end within a character.
fn is_utf8(bytes: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !is_whole && error.error_len().is_none(),
    }
}

fn decode(part: &FilePart, offset: u64, encoding: Option<&'static Encoding>) -> Output {
    let mut bytes = part.bytes.clone();
    let mut end = offset.saturating_add(bytes.len() as u64);
    let is_last = end >= part.total_bytes;
    let text = encoding.map(|encoding| {
        if encoding == UTF_8 && !is_last {
            // A character that is cut in two belongs to the next part.
            bytes.truncate(whole_characters(&bytes));
            end = offset + bytes.len() as u64;
        }
        let (text, _) = encoding.decode_with_bom_removal(&bytes);
        text.into_owned()
    });
    Output {
        bytes: text.is_none().then_some(bytes),
        text,
        encoding: encoding.map(|it| it.name().to_lowercase()),
        total_bytes: part.total_bytes,
        next_offset: (end < part.total_bytes && end > offset).then_some(end),
    }
}

/// Length of `bytes` without a character that is cut at the end; never 0 for a non-empty part.
fn whole_characters(bytes: &[u8]) -> usize {
    let is_start = |it: &u8| !(0x80..0xc0).contains(it);
    let Some(start) = bytes.iter().rposition(is_start) else {
        return bytes.len();
    };
    let is_cut = std::str::from_utf8(&bytes[start..]).is_err_and(|it| it.error_len().is_none());
    if is_cut && start > 0 {
        start
    } else {
        bytes.len()
    }
}
