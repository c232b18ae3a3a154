//! `count_words`: how many words, lines, characters, bytes and sentences a text has.

use aikit_core::{
    Result, io,
    services::Permission,
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

/// Longest text that is counted in place; it takes a millisecond.
const INLINE_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct CountWords;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Text to count; any language that separates words by white space.
    text: String,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// Number of words, separated by white space.
    words: usize,
    /// Number of lines; a line break at the end begins no further one.
    lines: usize,
    /// Number of characters as a reader sees them (grapheme clusters).
    characters: usize,
    /// Number of bytes in UTF-8.
    bytes: usize,
    /// Number of sentences, by the rules of Unicode (UAX 29).
    sentences: usize,
}

impl Tool for CountWords {
    const NAME: &'static str = "count_words";
    const SUMMARY: &'static str =
        "Counts the words, lines, characters, bytes and sentences of a text.";
    const PERMISSIONS: &'static [Permission] = &[];
    type Args = Args;
    type Output = Output;

    async fn call(&self, _: &ToolContext, args: Args) -> Result<Output> {
        if args.text.len() <= INLINE_BYTES_MAX {
            return Ok(count(&args.text));
        }
        io::spawn_blocking(move || Ok(count(&args.text))).await
    }
}

fn count(text: &str) -> Output {
    Output {
        words: text.split_whitespace().count(),
        lines: text.lines().count(),
        characters: text.graphemes(true).count(),
        bytes: text.len(),
        sentences: text.unicode_sentences().count(),
    }
}
