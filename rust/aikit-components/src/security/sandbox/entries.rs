//! Listing files and folders with what the file system knows about them.

use std::{path::Path, time::UNIX_EPOCH};

use aikit_core::{
    Context, Error, ErrorKind, Result, io,
    services::{Entry, EntryKind, EntryOptions},
};
use ignore::{DirEntry, WalkBuilder};

use super::{ENTRIES_MAX, Globs, PathGuard, PlaceKind, not_regular};

impl PathGuard {
    pub(super) async fn list_entries(
        &self,
        cx: &Context,
        path: &str,
        options: EntryOptions,
    ) -> Result<Vec<Entry>> {
        let place = self.locate(cx, path).await?;
        match place.kind {
            PlaceKind::Folder => {}
            PlaceKind::File => {
                return Err(Error::invalid_args(format!("`{path}` is a file"))
                    .with_hint("name a folder; `read_file` reads a file"));
            }
            PlaceKind::Other(what) => return Err(not_regular(path, what)),
        }
        let globs = Globs::new(&options.list)?;
        let (cancelled, most) = (cx.clone(), options.list.max_entries);
        let absolute = place.absolute();
        let walked = move || walk(&cancelled, &absolute, &options, &globs);
        let found = io::spawn_blocking(walked).await?;
        // What an agent would have to ask for is left out, as by the listing of files.
        let readable = found
            .into_iter()
            .filter(|it| self.is_readable(cx, &it.path));
        let shown = readable.take(most).map(|entry| Entry {
            path: self.shown(&entry.path),
            ..entry
        });
        Ok(shown.collect())
    }
}

/// Walks a folder without following links.
fn walk(cx: &Context, folder: &Path, options: &EntryOptions, globs: &Globs) -> Result<Vec<Entry>> {
    let list = &options.list;
    let entries = WalkBuilder::new(folder)
        .follow_links(false)
        .max_depth(Some(options.max_depth))
        .hidden(!list.hidden)
        .ignore(list.honour_ignore)
        .git_ignore(list.honour_ignore)
        .git_exclude(false)
        .git_global(false)
        .require_git(false)
        .parents(false)
        .sort_by_file_path(Path::cmp)
        .build();
    let mut found = Vec::new();
    for (count, entry) in entries.enumerate() {
        cx.check()?;
        if count > ENTRIES_MAX {
            let message = format!("the folder has more than {ENTRIES_MAX} files and folders");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("name a folder below it, or set `max_depth`"));
        }
        // A folder that cannot be read is left out, as by other programs.
        let Ok(entry) = entry else { continue };
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let is_wanted = globs
            .include
            .as_ref()
            .is_none_or(|it| it.is_match(relative));
        if entry.depth() > 0 && is_wanted {
            found.push(describe(entry));
            if found.len() >= FOUND_MAX {
                break;
            }
        }
    }
    Ok(found)
}

/// Most entries one walk finds.
const FOUND_MAX: usize = 100_000;

fn describe(entry: DirEntry) -> Entry {
    let kind = match entry.file_type() {
        Some(kind) if kind.is_file() => EntryKind::File,
        Some(kind) if kind.is_dir() => EntryKind::Folder,
        Some(kind) if kind.is_symlink() => EntryKind::Link,
        _ => EntryKind::Other,
    };
    let metadata = entry.metadata().ok();
    let bytes = metadata
        .as_ref()
        .filter(|it| it.is_file())
        .map_or(0, std::fs::Metadata::len);
    let modified = metadata.and_then(|it| it.modified().ok());
    let modified = modified.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    Entry {
        path: entry.into_path(),
        kind,
        bytes,
        modified: modified.and_then(|it| i64::try_from(it.as_micros()).ok()),
    }
}
