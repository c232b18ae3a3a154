//! `edit_file`: replaces passages of a file.

use std::time::Duration;

use aikit_core::{
    Error, ErrorKind, Result, io,
    services::{NewContent, Permission, WriteMode},
    tool::{Tool, ToolContext},
};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools::{self, text};

/// Largest file that is edited, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Most bytes of the difference that are given.
const DIFF_BYTES_MAX: usize = 512 << 10;

/// Most edits of one call.
const EDITS_MAX: usize = 200;

#[derive(Debug, Default)]
pub(super) struct EditFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Path of a text file in UTF-8.
    path: String,
    /// The edits, made one after the other; either all are made or none.
    edits: Vec<Edit>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Passage to replace, exactly as it stands in the file, line ends included; long enough to
    /// stand there once.
    old: String,
    /// What to put in its place; nothing deletes it.
    new: String,
    /// Whether every passage like it is replaced.
    #[serde(default)]
    all: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The file.
    path: String,
    /// What changed, as a unified diff; its beginning when it is longer than 512 KiB.
    diff: String,
    /// Whether the diff is not all of it; the edits are made all the same.
    limited: bool,
    /// How many passages were replaced.
    replaced: usize,
}

impl Tool for EditFile {
    const NAME: &'static str = "edit_file";
    const SUMMARY: &'static str =
        "Replaces passages of a text file and gives the difference; refuses an unclear passage.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileRead, Permission::FileWrite];
    // Long enough for a person to approve it.
    const TIMEOUT: Duration = Duration::from_mins(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        if args.edits.is_empty() || args.edits.len() > EDITS_MAX {
            let message = format!("`edits` has {} edits", args.edits.len());
            return Err(
                Error::invalid_args(message).with_hint(format!("give 1 to {EDITS_MAX} edits"))
            );
        }
        let files = cx.services.files()?;
        let part = files
            .read(&cx.context, &args.path, 0, FILE_BYTES_MAX)
            .await?;
        if part.total_bytes > FILE_BYTES_MAX {
            let message = format!("`{}` is larger than {FILE_BYTES_MAX} bytes", args.path);
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("write the file anew, or edit it with a program"));
        }
        let (path, old) = (args.path.clone(), part.bytes.clone());
        let (new, diff, replaced) = io::spawn_blocking(move || {
            let old = std::str::from_utf8(&old).map_err(|_| {
                Error::invalid_args(format!("`{path}` is not text in UTF-8"))
                    .with_hint("write the file anew with `write_file`")
            })?;
            let (new, replaced) = edit(old, &args.edits)?;
            let diff = text::unified(&path, old, &new);
            Ok((new, diff, replaced))
        })
        .await?;
        let content = NewContent {
            bytes: Bytes::from(new),
            mode: WriteMode::Overwrite,
            expected: Some(part.bytes),
            detail: diff.clone(),
        };
        let written = files.write(&cx.context, &args.path, content).await?;
        // What is approved is all of it; what is answered has to fit.
        let (diff, limited) = tools::fit(diff, DIFF_BYTES_MAX);
        Ok(Output {
            path: written.path.to_string_lossy().into_owned(),
            diff,
            limited,
            replaced,
        })
    }
}

fn edit(old: &str, edits: &[Edit]) -> Result<(String, usize)> {
    let mut text = old.to_owned();
    let mut replaced = 0;
    for (index, edit) in edits.iter().enumerate() {
        let wrong = |what: &str, hint: &str| {
            Error::invalid_args(format!("edit {}: {what}", index + 1)).with_hint(hint)
        };
        if edit.old.is_empty() {
            return Err(wrong("`old` is empty", "give the passage to replace"));
        }
        let count = text.matches(&edit.old).count();
        match count {
            0 => {
                return Err(wrong(
                    "`old` is not in the file",
                    "read the file and copy the passage exactly, white space included",
                ));
            }
            1 => {}
            _ if edit.all => {}
            count => {
                return Err(wrong(
                    &format!("`old` stands {count} times in the file"),
                    "give more of the lines around it, or set `all`",
                ));
            }
        }
        let grown = edit
            .new
            .len()
            .saturating_sub(edit.old.len())
            .saturating_mul(count);
        if text.len().saturating_add(grown) as u64 > FILE_BYTES_MAX {
            let message = format!("the edited file is larger than {FILE_BYTES_MAX} bytes");
            return Err(
                Error::new(ErrorKind::LimitExceeded, message).with_hint("replace fewer passages")
            );
        }
        text = text.replace(&edit.old, &edit.new);
        replaced += count;
    }
    if text == old {
        return Err(Error::invalid_args("the edits change nothing")
            .with_hint("make `new` differ from `old`"));
    }
    Ok((text, replaced))
}
