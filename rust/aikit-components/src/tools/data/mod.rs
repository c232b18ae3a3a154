//! Tools that compute with numbers and structured data.

mod calculate;
mod compute_date;
mod convert_base64;
mod hash_data;
mod query_json;

use std::fmt::Write as _;

use aikit_core::{
    Error, Result, Value,
    tool::{ToolConstructor, built_in},
};
use bytes::Bytes;

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<calculate::Calculate>,
    built_in::<compute_date::ComputeDate>,
    built_in::<convert_base64::ConvertBase64>,
    built_in::<hash_data::HashData>,
    built_in::<query_json::QueryJson>,
];

/// The bytes of an argument that is a text or bytes.
fn bytes_of(name: &str, value: &Value) -> Result<Bytes> {
    match value {
        Value::String(text) => Ok(Bytes::from(text.clone())),
        Value::Bytes(bytes) => Ok(bytes.clone()),
        other => Err(
            Error::invalid_args(format!("`{name}` is of type {}", other.type_name()))
                .with_hint("give a text, or bytes"),
        ),
    }
}

/// Reads hexadecimal digits; white space between them is passed over.
fn read_hex(name: &str, text: &[u8]) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .iter()
        .filter(|it| !it.is_ascii_whitespace())
        .map(|it| {
            char::from(*it)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        })
        .collect();
    let digits = digits
        .filter(|it| it.len().is_multiple_of(2))
        .ok_or_else(|| {
            Error::invalid_args(format!("`{name}` is not hexadecimal"))
                .with_hint("give two digits (0-9, a-f) for each byte")
        })?;
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

fn write_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
