//! One SQLite file with keys and documents; several processes may have it open at once.
//!
//! Every acknowledged write is on disk (WAL with `synchronous = FULL`). One thread writes, a pool
//! of connections reads.

mod documents;
mod folder;
mod history;
mod keys;
mod pool;

use std::{path::PathBuf, sync::Arc};

use aikit_core::{Error, ErrorKind, Result};
use futures::{FutureExt as _, future::BoxFuture};

use self::{documents::Documents, keys::Keys, pool::Database};
use super::Stores;

/// Opens the file at `path`, which is made when absent, with the folders above it.
pub(super) fn open(path: Option<PathBuf>) -> BoxFuture<'static, Result<Stores>> {
    async move {
        let path = path.ok_or_else(|| {
            Error::invalid_args("the backend `sqlite` needs a path")
                .with_hint("give the path of a file, or use the backend `memory`")
        })?;
        let database = Arc::new(Database::open(path).await?);
        Ok(Stores {
            keys: Arc::new(Keys(Arc::clone(&database))),
            documents: Arc::new(Documents(database)),
        })
    }
    .boxed()
}

/// What SQLite's failure means to a caller.
fn failed(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    if let rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::Utf8Error(..) = error {
        return Error::new(
            ErrorKind::CorruptRecord,
            format!("a record is damaged: {error}"),
        )
        .with_source(error);
    }
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Locked,
            "another process writes to the store for long: try again, or end that process",
        ),
        Some(ErrorCode::DiskFull) => (ErrorKind::NoSpace, "make room on the device"),
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::CorruptRecord,
            "restore the file from a backup, or delete it and ingest again",
        ),
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Protocol,
            "the file is not a SQLite database: give another path",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::Io,
            "work in a folder that can be written, or change the permissions of the folder and the \
             file",
        ),
        _ => (ErrorKind::Io, "check the device the store is on"),
    };
    Error::new(kind, format!("the store failed: {error}"))
        .with_hint(hint)
        .with_source(error)
}

/// SQLite's integers are signed; counts and sequence numbers stay far below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn to_row(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn to_count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
