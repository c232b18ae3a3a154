//! Storage backends behind the traits of `aikit_core::storage`.
//!
//! A backend is one row of [`BACKENDS`]; one conformance suite runs on every row.

mod memory;
mod record;
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Error, ErrorKind, Result,
    storage::{Batch, DocumentStore, KeyValueStore, Revision},
};
use futures::future::BoxFuture;

/// Deletions that a store remembers for watchers and for readers of its history.
const TOMBSTONES_MAX: usize = 100_000;

/// What a backend keeps, in one place.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Keys with revisions.
    pub keys: Arc<dyn KeyValueStore>,
    /// Documents with chunks and vectors.
    pub documents: Arc<dyn DocumentStore>,
}

/// A row of [`BACKENDS`].
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// The word for it in settings.
    pub name: &'static str,
    /// Whether what it keeps outlives the process.
    pub is_persistent: bool,
    open: fn(Option<PathBuf>) -> BoxFuture<'static, Result<Stores>>,
}

/// Every backend.
pub const BACKENDS: &[Backend] = &[
    Backend {
        name: "memory",
        is_persistent: false,
        open: memory::open,
    },
    Backend {
        name: "sqlite",
        is_persistent: true,
        open: sqlite::open,
    },
];

impl Backend {
    /// Opens a store; `path` is the file of a persistent one, and is made when absent.
    ///
    /// # Errors
    ///
    /// `invalid_args` when a persistent backend gets no path, `protocol` when the file belongs to
    /// another program, `version_mismatch` when a newer aikit wrote it, and those of the file system.
    pub async fn open(&self, path: Option<PathBuf>) -> Result<Stores> {
        (self.open)(path).await
    }
}

/// Finds a backend by its name.
///
/// # Errors
///
/// `not_found` for an unknown name.
pub fn find(name: &str) -> Result<&'static Backend> {
    BACKENDS.iter().find(|it| it.name == name).ok_or_else(|| {
        let names: Vec<String> = BACKENDS.iter().map(|it| format!("`{}`", it.name)).collect();
        Error::not_found(format!("no storage backend named `{name}`"))
            .with_hint(format!("use one of {}", names.join(", ")))
    })
}

/// Fails when a key has not the revision that a batch expects.
fn check_expected(key: &str, expected: Option<Revision>, found: Option<Revision>) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let word = |revision: Option<Revision>| {
        revision.map_or("absent".to_owned(), |it| format!("at revision {it}"))
    };
    let message = format!("`{key}` is {}, not {}", word(found), word(expected));
    Err(Error::new(ErrorKind::Conflict, message)
        .with_hint("somebody else wrote it: read it again and repeat the change"))
}

fn check_count(prefix: &str, expected: u64, found: u64) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let message = format!("{found} keys begin with `{prefix}`, not {expected}");
    Err(Error::new(ErrorKind::Conflict, message)
        .with_hint("somebody else wrote there: read them again and repeat the change"))
}

/// The last write to each key of a batch, `None` for a deletion.
fn final_writes(batch: &Batch) -> BTreeMap<&str, Option<&[u8]>> {
    let mut writes = BTreeMap::new();
    for key in &batch.deletes {
        writes.insert(key.as_str(), None);
    }
    for (key, value) in &batch.puts {
        writes.insert(key.as_str(), Some(&**value));
    }
    writes
}

/// Refuses two documents with one id in one transaction.
fn check_distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(
                Error::invalid_args(format!("the document `{id}` occurs twice"))
                    .with_hint("give every document an id of its own"),
            );
        }
    }
    Ok(())
}

/// Device and number of the file, where the system has them.
#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}
