//! `list_directory`: lists the files and folders of a folder.

use aikit_core::{
    Error, Result,
    services::{Entry, EntryKind, EntryOptions, ListOptions, Permission},
    tool::{Tool, ToolContext},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most entries that are given.
const ENTRIES_MAX: usize = 2000;

/// How deep a listing goes when `max_depth` is left out, and at most.
const DEPTH: usize = 20;
const DEPTH_MAX: usize = 100;

#[derive(Debug, Default)]
pub(super) struct ListDirectory;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Folder, relative to the working directory or absolute; the working directory when left out.
    #[serde(default = "here")]
    path: String,
    /// Whether the folders below are listed too.
    #[serde(default)]
    recursive: bool,
    /// Glob that names must match, such as `*.md`, or `docs/**/*.rst` for paths below the folder.
    pattern: Option<String>,
    /// How many folders deep, 1 to 100; 20 when left out.
    #[schemars(range(min = 1, max = 100))]
    max_depth: Option<usize>,
    /// Whether names that begin with a dot are listed.
    #[serde(default)]
    hidden: bool,
    /// Whether what `.gitignore` names is left out.
    #[serde(default)]
    gitignore: bool,
}

fn here() -> String {
    ".".to_owned()
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// What is there, sorted by path.
    entries: Vec<Item>,
    /// Whether there is more: only the first 2000 are listed.
    limited: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Item {
    /// Path, as `read_file` takes it.
    path: String,
    /// `file`, `folder`, `link` or `other`.
    kind: String,
    /// Size of a file in bytes; null for what is no file.
    bytes: Option<u64>,
    /// When its content changed last (RFC 3339, UTC).
    modified: Option<String>,
}

impl Tool for ListDirectory {
    const NAME: &'static str = "list_directory";
    const SUMMARY: &'static str =
        "Lists the files and folders of a folder with their kinds, sizes and times.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileRead];
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let max_depth = args.max_depth.unwrap_or(DEPTH);
        if !(1..=DEPTH_MAX).contains(&max_depth) {
            return Err(Error::invalid_args(format!("`max_depth` is {max_depth}"))
                .with_hint(format!("give 1 to {DEPTH_MAX}")));
        }
        let options = EntryOptions {
            list: ListOptions {
                hidden: args.hidden,
                honour_ignore: args.gitignore,
                include: args.pattern.into_iter().collect(),
                exclude: Vec::new(),
                // One more than is given tells that there is more.
                max_entries: ENTRIES_MAX + 1,
            },
            max_depth: if args.recursive { max_depth } else { 1 },
        };
        let files = cx.services.files()?;
        let mut entries = files.entries(&cx.context, &args.path, options).await?;
        let limited = entries.len() > ENTRIES_MAX;
        entries.truncate(ENTRIES_MAX);
        Ok(Output {
            entries: entries.iter().map(describe).collect(),
            limited,
        })
    }
}

fn describe(entry: &Entry) -> Item {
    let kind = match entry.kind {
        EntryKind::File => "file",
        EntryKind::Folder => "folder",
        EntryKind::Link => "link",
        EntryKind::Other => "other",
    };
    let modified = entry
        .modified
        .and_then(|it| Timestamp::from_microsecond(it).ok());
    Item {
        path: entry.path.to_string_lossy().into_owned(),
        kind: kind.to_owned(),
        bytes: (entry.kind == EntryKind::File).then_some(entry.bytes),
        modified: modified.map(|it| it.to_string()),
    }
}
