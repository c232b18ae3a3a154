//! `diff_text`: what changed between two texts or two JSON documents.

use std::{fmt::Write as _, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    services::Permission,
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use crate::tools::computation;

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 2 << 20;

/// How long the smallest difference is looked for; after it, a larger one is given.
const SEARCH_LIMIT: Duration = Duration::from_secs(2);

/// Lines shown around a change.
const CONTEXT_LINES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct DiffText;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The text before.
    old: String,
    /// The text after.
    new: String,
    /// How the difference is written: as `unified` diff; `inline`, every line with `-`, `+` or a
    /// space in front; `words`, the text with `[-old-]` and `{+new+}`; or as `json_patch`
    /// (RFC 6902), for two JSON documents.
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Unified,
    Inline,
    Words,
    JsonPatch,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The difference; empty when there is none, and for `json_patch`.
    diff: String,
    /// The operations that make the new document of the old one; null unless asked for.
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    patch: Option<Value>,
    /// Whether both are the same.
    equal: bool,
    /// Lines, words or operations that add something.
    added: usize,
    /// Lines, words or operations that take something away; a replacement counts as both.
    removed: usize,
}

impl Tool for DiffText {
    const NAME: &'static str = "diff_text";
    const SUMMARY: &'static str =
        "Compares two texts by lines or words, or two JSON documents, and gives the difference.";
    const PERMISSIONS: &'static [Permission] = &[];
    const TIMEOUT: Duration = Duration::from_secs(20);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        if args.old.len().max(args.new.len()) > TEXT_BYTES_MAX {
            let message = format!("a text is larger than {TEXT_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("compare parts of the texts"));
        }
        computation::run(&cx.context, u64::MAX, move |_| match args.format {
            Format::JsonPatch => patch(&args.old, &args.new),
            format => Ok(compare(&args.old, &args.new, format)),
        })
        .await
    }
}

fn compare(old: &str, new: &str, format: Format) -> Output {
    let mut config = TextDiff::configure();
    let config = config.timeout(SEARCH_LIMIT);
    let is_words = matches!(format, Format::Words);
    let diff = if is_words {
        config.diff_unicode_words(old, new)
    } else {
        config.diff_lines(old, new)
    };
    let (mut added, mut removed) = (0, 0);
    let mut text = String::new();
    for change in diff.iter_all_changes() {
        let is_counted = !is_words || !change.value().trim().is_empty();
        let mark = match change.tag() {
            ChangeTag::Equal => ' ',
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        added += usize::from(mark == '+' && is_counted);
        removed += usize::from(mark == '-' && is_counted);
        match (format, mark) {
            (Format::Inline, mark) => {
                let _ = writeln!(
                    text,
                    "{mark}{}",
                    change.value().trim_end_matches(['\r', '\n'])
                );
            }
            (Format::Words, ' ') => text.push_str(change.value()),
            (Format::Words, mark) => {
                let (open, close) = if mark == '-' {
                    ("[-", "-]")
                } else {
                    ("{+", "+}")
                };
                // Neighbours of one kind stand in one pair of brackets.
                if text.ends_with(close) {
                    text.truncate(text.len() - close.len());
                    text.push_str(change.value());
                    text.push_str(close);
                } else {
                    let _ = write!(text, "{open}{}{close}", change.value());
                }
            }
            _ => {}
        }
    }
    let equal = old == new;
    if matches!(format, Format::Unified) {
        let mut unified = diff.unified_diff();
        text = unified
            .context_radius(CONTEXT_LINES)
            .header("old", "new")
            .to_string();
    }
    Output {
        diff: if equal { String::new() } else { text },
        patch: None,
        equal,
        added,
        removed,
    }
}

/// A unified diff of two contents of the file `name`, without counts.
pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let mut config = TextDiff::configure();
    let diff = config.timeout(SEARCH_LIMIT).diff_lines(old, new);
    let mut unified = diff.unified_diff();
    unified
        .context_radius(CONTEXT_LINES)
        .header(name, name)
        .to_string()
}

/// Most bytes of the names of all places in both documents of a patch.
const PLACES_BYTES_MAX: usize = 16 << 20;

/// What the position of an item takes in a place, with its slash.
const ITEM_BYTES: usize = 8;

/// Whether the places of all values below one at a place of `length` bytes fit beside `places`.
fn fits(value: &serde_json::Value, length: usize, places: &mut usize) -> bool {
    *places = places.saturating_add(length);
    if *places > PLACES_BYTES_MAX {
        return false;
    }
    match value {
        serde_json::Value::Array(items) => items
            .iter()
            .all(|item| fits(item, length + ITEM_BYTES, places)),
        serde_json::Value::Object(members) => members
            .iter()
            .all(|(name, member)| fits(member, length + 1 + name.len(), places)),
        _ => true,
    }
}

fn patch(old: &str, new: &str) -> Result<Output> {
    let read = |name: &str, text: &str| {
        serde_json::from_str::<serde_json::Value>(text).map_err(|error| {
            Error::invalid_args(format!("`{name}` is not JSON: {error}"))
                .with_hint("give two JSON documents, or another `format`")
        })
    };
    let (old, new) = (read("old", old)?, read("new", new)?);
    // Each operation names its place in full, and every value may need one.
    let mut places = 0;
    if !fits(&old, 0, &mut places) || !fits(&new, 0, &mut places) {
        let message = "the places of these documents are too long for a patch";
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("compare parts of them, or use another `format`"));
    }
    let operations = json_patch::diff(&old, &new).0;
    let count = |kinds: &[&str]| {
        let kinds = operations.iter().filter(|it| {
            let kind = match it {
                json_patch::PatchOperation::Add(_) => "add",
                json_patch::PatchOperation::Remove(_) => "remove",
                _ => "replace",
            };
            kinds.contains(&kind)
        });
        kinds.count()
    };
    let (added, removed) = (count(&["add", "replace"]), count(&["remove", "replace"]));
    let written = serde_json::to_value(&operations)
        .map_err(|error| Error::internal("a patch is no JSON").with_source(error))?;
    Ok(Output {
        diff: String::new(),
        patch: Some(Value::from_json(written)),
        equal: operations.is_empty(),
        added,
        removed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_whose_places_would_fill_the_memory_is_refused() {
        let members: Vec<String> = (0..20_000).map(|it| format!("\"{it}\":0")).collect();
        let document = format!("{{\"{}\":{{{}}}}}", "k".repeat(100_000), members.join(","));
        let error = patch("{}", &document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(
            patch("{\"a\":[1,2]}", "{\"a\":[1,3]}")
                .unwrap()
                .patch
                .is_some()
        );
    }
}
