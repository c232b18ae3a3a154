//! What is done to files, and what is known about them.

use std::path::PathBuf;

use bytes::Bytes;

use super::ListOptions;
use crate::clock::UnixMicros;

/// What is done to a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What kind of change.
    pub kind: ChangeKind,
    /// Size of what is there now; `None` when there is nothing yet.
    pub old_bytes: Option<u64>,
    /// Bytes that are written; 0 for a deletion.
    pub new_bytes: u64,
    /// Files and folders that a deletion takes with it.
    pub entries: u64,
    /// The difference, for people; empty when there is none to show.
    pub detail: String,
}

/// Kinds of changes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeKind {
    /// The whole content is written.
    Write,
    /// Something is added at the end.
    Append,
    /// Parts are replaced.
    Edit,
    /// The file or folder is deleted.
    Delete,
}

/// What is written into a file.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// The bytes.
    pub bytes: Bytes,
    /// What happens to what is there.
    pub mode: WriteMode,
    /// What must still be there, or nothing is written; `None` for whatever it is.
    pub expected: Option<Bytes>,
    /// The difference, for whoever approves it.
    pub detail: String,
}

/// What happens to the content that a file has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteMode {
    /// There must be none: the file is new.
    Create,
    /// It is replaced at once: a reader sees the old content or the new.
    Overwrite,
    /// It stays, and the bytes follow it.
    Append,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file, as [`Files::list`](super::Files::list) writes paths.
    pub path: PathBuf,
    /// Its size now.
    pub total_bytes: u64,
    /// Whether the file is new.
    pub created: bool,
}

/// What to look at below a folder.
#[derive(Clone, Debug)]
pub struct EntryOptions {
    /// What to leave out, and how many to answer.
    pub list: ListOptions,
    /// How many folders deep; 1 for the folder itself.
    pub max_depth: usize,
}

/// A file or folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is, as [`Files::list`](super::Files::list) writes paths.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Size of a file in bytes.
    pub bytes: u64,
    /// When its content changed last.
    pub modified: Option<UnixMicros>,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}
