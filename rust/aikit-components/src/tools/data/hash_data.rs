//! `hash_data`: the digest of text or bytes.

use aikit_core::{
    Error, Result, Value, io,
    services::Permission,
    tool::{Tool, ToolContext},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Digest as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest input that is hashed in place; it takes a millisecond.
const INLINE_BYTES_MAX: usize = 128 << 10;

#[derive(Debug, Default)]
pub(super) struct HashData;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Text or bytes.
    #[schemars(with = "String")]
    input: Value,
    /// `sha256`, `sha512`, `blake3`, or for old files only, because they can be forged: `md5`,
    /// `sha1`.
    #[serde(default)]
    algorithm: Algorithm,
    /// How the input is written: as it is (`utf8`), in `hex` or in `base64`.
    #[serde(default)]
    encoding: Encoding,
    /// The digest it should have, in hexadecimal.
    expected: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Algorithm {
    Md5,
    Sha1,
    #[default]
    Sha256,
    Sha512,
    Blake3,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    #[default]
    Utf8,
    Hex,
    Base64,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The digest, in hexadecimal.
    digest: String,
    /// Whether it is the expected one; null when none was given.
    verified: Option<bool>,
    /// How many bytes were hashed.
    bytes: usize,
}

impl Tool for HashData {
    const NAME: &'static str = "hash_data";
    const SUMMARY: &'static str =
        "Computes the digest of text or bytes (SHA-2, BLAKE3, MD5, SHA-1) and compares it.";
    const PERMISSIONS: &'static [Permission] = &[];
    type Args = Args;
    type Output = Output;

    async fn call(&self, _: &ToolContext, args: Args) -> Result<Output> {
        let input = super::bytes_of("input", &args.input)?;
        if input.len() <= INLINE_BYTES_MAX {
            return hash(&input, &args);
        }
        io::spawn_blocking(move || hash(&input, &args)).await
    }
}

fn hash(input: &[u8], args: &Args) -> Result<Output> {
    let bytes = match args.encoding {
        Encoding::Utf8 => input.to_vec(),
        Encoding::Hex => super::read_hex("input", input)?,
        Encoding::Base64 => STANDARD.decode(input).map_err(|error| {
            Error::invalid_args(format!("`input` is not base64: {error}"))
                .with_hint("give standard base64 with padding, or another `encoding`")
        })?,
    };
    let digest = match args.algorithm {
        Algorithm::Md5 => super::write_hex(&md5::Md5::digest(&bytes)),
        Algorithm::Sha1 => super::write_hex(&sha1::Sha1::digest(&bytes)),
        Algorithm::Sha256 => super::write_hex(&sha2::Sha256::digest(&bytes)),
        Algorithm::Sha512 => super::write_hex(&sha2::Sha512::digest(&bytes)),
        Algorithm::Blake3 => blake3::hash(&bytes).to_hex().to_string(),
    };
    let verified = match &args.expected {
        None => None,
        Some(expected) => {
            let expected = expected.trim();
            let is_digest =
                expected.len() == digest.len() && expected.bytes().all(|it| it.is_ascii_hexdigit());
            if !is_digest {
                let message = format!("`expected` is no digest of {} digits", digest.len());
                return Err(Error::invalid_args(message)
                    .with_hint("give it in hexadecimal, and the `algorithm` it was made with"));
            }
            Some(expected.eq_ignore_ascii_case(&digest))
        }
    };
    Ok(Output {
        digest,
        verified,
        bytes: bytes.len(),
    })
}
