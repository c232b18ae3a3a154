//! `convert_base64`: writes bytes as base64 text, and reads them back.

use aikit_core::{
    Error, Result, Value, io,
    services::Permission,
    tool::{Tool, ToolContext},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest input that is converted in place; it takes a millisecond.
const INLINE_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct ConvertBase64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Text or bytes to encode, or base64 text to decode; white space in it is passed over.
    #[schemars(with = "String")]
    input: Value,
    /// `encode` or `decode`.
    operation: Operation,
    /// Alphabet and padding; both kinds of padding are read. `url` is for addresses and file names.
    #[serde(default)]
    variant: Variant,
    /// Whether the bytes are written in hexadecimal: the input to encode, the output of decoding.
    #[serde(default)]
    binary: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Operation {
    Encode,
    Decode,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Variant {
    #[default]
    Standard,
    StandardNoPadding,
    Url,
    UrlNoPadding,
}

impl Variant {
    const fn engine(self) -> GeneralPurpose {
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bare = config.with_encode_padding(false);
        match self {
            Self::Standard => GeneralPurpose::new(&alphabet::STANDARD, config),
            Self::StandardNoPadding => GeneralPurpose::new(&alphabet::STANDARD, bare),
            Self::Url => GeneralPurpose::new(&alphabet::URL_SAFE, config),
            Self::UrlNoPadding => GeneralPurpose::new(&alphabet::URL_SAFE, bare),
        }
    }
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The result.
    output: String,
    /// How many bytes stand for it.
    bytes: usize,
}

impl Tool for ConvertBase64 {
    const NAME: &'static str = "convert_base64";
    const SUMMARY: &'static str = "Encodes text or bytes as base64, or decodes base64.";
    const PERMISSIONS: &'static [Permission] = &[];
    type Args = Args;
    type Output = Output;

    async fn call(&self, _: &ToolContext, args: Args) -> Result<Output> {
        let input = super::bytes_of("input", &args.input)?;
        if input.len() <= INLINE_BYTES_MAX {
            return convert(&input, &args);
        }
        io::spawn_blocking(move || convert(&input, &args)).await
    }
}

fn convert(input: &[u8], args: &Args) -> Result<Output> {
    let engine = args.variant.engine();
    match args.operation {
        Operation::Encode => {
            let bytes = if args.binary {
                super::read_hex("input", input)?
            } else {
                input.to_vec()
            };
            Ok(Output {
                output: engine.encode(&bytes),
                bytes: bytes.len(),
            })
        }
        Operation::Decode => {
            let text: Vec<u8> = input
                .iter()
                .copied()
                .filter(|it| !it.is_ascii_whitespace())
                .collect();
            let bytes = engine.decode(&text).map_err(|error| {
                Error::invalid_args(format!("`input` is not base64: {error}"))
                    .with_hint("text with `-` and `_` is of the variant `url`")
            })?;
            let count = bytes.len();
            let output = if args.binary {
                super::write_hex(&bytes)
            } else {
                String::from_utf8(bytes).map_err(|_| {
                    Error::invalid_args("the decoded bytes are not text")
                        .with_hint("set `binary` to get them in hexadecimal")
                })?
            };
            Ok(Output {
                output,
                bytes: count,
            })
        }
    }
}
