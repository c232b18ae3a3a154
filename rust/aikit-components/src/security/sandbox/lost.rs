//! What is said of a path that takes a file for a folder.

use std::path::Path;

use aikit_core::Error;

use super::{Root, explain};

/// Whether a path can only mean a folder.
pub(super) fn names_folder(path: &str) -> bool {
    path.ends_with('/')
}

pub(super) fn no_folder(named: &str, file: &str) -> Error {
    Error::not_found(format!("`{named}`: `{file}` is a file, not a folder"))
        .with_hint("name the file itself, or a path below a folder")
}

/// As [`explain`], and names the file that stands where a folder should.
pub(super) fn lost(root: &Root, relative: &Path, named: &str, error: std::io::Error) -> Error {
    if error.kind() != std::io::ErrorKind::NotADirectory {
        return explain(named, error);
    }
    let is_file = |it: &&Path| {
        let found = root.folder.metadata(it);
        found.is_ok_and(|it| !it.is_dir())
    };
    match relative.ancestors().skip(1).find(is_file) {
        Some(file) => no_folder(named, &file.to_string_lossy()),
        None => explain(named, error),
    }
}
