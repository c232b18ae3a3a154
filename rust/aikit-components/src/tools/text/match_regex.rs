//! `match_regex`: finds what a regular expression matches, with its groups.

use std::{collections::BTreeMap, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result,
    services::Permission,
    tool::{Tool, ToolContext},
};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools::computation::{self, Budget};

/// Longest text, in bytes. Time is linear in the text for one match, so quadratic for all.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Longest pattern and largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 10_000;
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Most matches that are given, and most bytes of all their texts: groups within groups repeat what
/// they match.
const MATCHES_MAX: usize = 1000;
const MATCHED_BYTES_MAX: usize = 512 << 10;

/// Bytes that a match, a group or a name takes beside its text.
const FRAME_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct MatchRegex;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Text to look into.
    text: String,
    /// Regular expression, such as `(?<year>\d{4})-(\d\d)`; without look-around and
    /// back-references, which could take for ever. `(?m)` makes `^` and `$` match at lines.
    pattern: String,
    /// Whether all matches are wanted, the first 1000 at most, or only the first one.
    #[serde(default = "yes")]
    all: bool,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The matches, in the order of the text.
    matches: Vec<Match>,
    /// Whether there are more than 1000, or more than fit into 512 KiB.
    limited: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Match {
    /// What was matched.
    text: String,
    /// Where it begins, in characters (code points) from 0.
    start: usize,
    /// Where it ends: the offset of the character after it.
    stop: usize,
    /// The groups in the order of their parentheses; null for one that took no part.
    groups: Vec<Option<String>>,
    /// The named groups by name.
    names: BTreeMap<String, Option<String>>,
}

impl Tool for MatchRegex {
    const NAME: &'static str = "match_regex";
    const SUMMARY: &'static str =
        "Finds what a regular expression matches in a text, with offsets and groups.";
    const PERMISSIONS: &'static [Permission] = &[];
    // A search cannot be interrupted within, so time alone ends the wait for it.
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        if args.text.len() > TEXT_BYTES_MAX {
            let message = format!("`text` is larger than {TEXT_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("look into a part of it, or use `search_files`"));
        }
        computation::run(&cx.context, u64::MAX, move |budget| {
            find(&args, &compile(&args.pattern, args.ignore_case)?, budget)
        })
        .await
    }
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex> {
    let wrong = |why: &str| {
        Error::invalid_args(format!("`pattern` is not a regular expression: {why}")).with_hint(
            "look-around and back-references are not known; a repetition such as `{1000}` counts \
             as often as it repeats",
        )
    };
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        return Err(wrong(&format!(
            "it has {} bytes, and 1 to {PATTERN_BYTES_MAX} are allowed",
            pattern.len()
        )));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| wrong(&error.to_string()))
}

fn find(args: &Args, regex: &Regex, budget: &Budget) -> Result<Output> {
    let most = if args.all { MATCHES_MAX } else { 1 };
    let mut matches = Vec::new();
    // Code points are counted on from the last match, so that the text is counted once.
    let (mut counted_bytes, mut counted) = (0, 0);
    let mut offset = |byte: usize| {
        counted += args.text[counted_bytes..byte].chars().count();
        counted_bytes = byte;
        counted
    };
    let mut bytes = 0;
    for captures in regex.captures_iter(&args.text) {
        budget.step()?;
        bytes += size(regex, &captures);
        if matches.len() == most || bytes > MATCHED_BYTES_MAX {
            return Ok(Output {
                matches,
                limited: true,
            });
        }
        let text = |it: Option<regex::Match<'_>>| it.map(|it| it.as_str().to_owned());
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let start = offset(whole.start());
        matches.push(Match {
            text: whole.as_str().to_owned(),
            start,
            stop: offset(whole.end()),
            groups: captures.iter().skip(1).map(text).collect(),
            names: regex
                .capture_names()
                .flatten()
                .map(|name| (name.to_owned(), text(captures.name(name))))
                .collect(),
        });
        if !args.all {
            break;
        }
    }
    Ok(Output {
        matches,
        limited: false,
    })
}

/// What a match takes in the answer, in bytes.
fn size(regex: &Regex, captures: &regex::Captures<'_>) -> usize {
    let text = |it: Option<regex::Match<'_>>| it.map_or(0, |it| it.len()) + FRAME_BYTES;
    let names = regex.capture_names().flatten();
    let by_name: usize = names.map(|it| it.len() + text(captures.name(it))).sum();
    captures.iter().map(text).sum::<usize>() + 2 * FRAME_BYTES + by_name
}
