//! The file beside a store that spares the next process to build the keyword index anew.
//!
//! It is derived and may go at any time. A reader believes it only as a whole: a checksum over
//! everything, the store it was made from, and a place in that store's history. It is read into
//! memory at once, so nothing that happens to the file later changes an answer.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind as IoErrorKind, Write as _},
    path::{Path, PathBuf},
};

use aikit_core::{Error, ErrorKind, Result, storage::History};
use serde::{Deserialize, Serialize};

/// What the file begins with; the digit is the version of the format.
const MAGIC: &[u8; 8] = b"aikitkw1";

/// Bytes of the checksum (BLAKE3) and of the length of the header.
const CHECKSUM_BYTES: usize = 32;
const LENGTH_BYTES: usize = 8;

/// What an index in a file was made from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Header {
    /// The store, and up to where its history is in the index.
    pub(super) history: History,
    /// How words were stemmed.
    pub(super) language: String,
    /// Chunks of that history that are damaged and not in the index.
    pub(super) damaged: usize,
    /// Names and lengths of the files of the index, in the order of their bytes.
    files: Vec<(String, usize)>,
}

/// A file whose checksum is right.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) header: Header,
    bytes: Vec<u8>,
    begin: usize,
}

impl Contents {
    /// The files of the index with their names.
    pub(super) fn files(&self) -> Vec<(String, &[u8])> {
        let mut begin = self.begin;
        let files = self.header.files.iter().map(|(name, length)| {
            let bytes = &self.bytes[begin..begin + length];
            begin += length;
            (name.clone(), bytes)
        });
        files.collect()
    }
}

/// The place of the file that belongs to the store at `store`.
pub(super) fn beside(store: &Path) -> PathBuf {
    with_ending(store, ".keyword")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Reads the file; `None` when there is none.
///
/// # Errors
///
/// `corrupt_record` when anything about it is wrong, and those of the file system.
pub(super) fn read(path: &Path) -> Result<Option<Contents>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = || {
        let message = format!("the keyword index `{}` is damaged", path.display());
        Error::new(ErrorKind::CorruptRecord, message)
            .with_hint("nothing is lost: it is made anew from the store")
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (checksum, body) = rest.split_at_checked(CHECKSUM_BYTES).ok_or_else(damaged)?;
    if blake3::hash(body).as_bytes() != checksum {
        return Err(damaged());
    }
    let (length, rest) = body
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(damaged)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
    let (header, files) = rest.split_at_checked(length).ok_or_else(damaged)?;
    let header: Header = rmp_serde::from_slice(header).map_err(|_| damaged())?;
    let total = header
        .files
        .iter()
        .try_fold(0, |sum: usize, (_, length)| sum.checked_add(*length));
    if total != Some(files.len()) {
        return Err(damaged());
    }
    let begin = bytes.len() - files.len();
    Ok(Some(Contents {
        header,
        bytes,
        begin,
    }))
}

/// Writes the file, whole or not at all; `false` when another process is writing it just now.
///
/// # Errors
///
/// Those of the file system.
pub(super) fn write(
    path: &Path,
    history: History,
    (language, damaged): (&str, usize),
    files: &[(String, Vec<u8>)],
) -> Result<bool> {
    let lock = File::create(with_ending(path, ".lock"))?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    let header = Header {
        history,
        language: language.to_owned(),
        damaged,
        files: files
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.len()))
            .collect(),
    };
    let header = rmp_serde::to_vec_named(&header)
        .map_err(|error| Error::internal("the header has no form").with_source(error))?;
    let length = (header.len() as u64).to_le_bytes();
    let parts = || {
        let head: [&[u8]; 2] = [&length, &header];
        head.into_iter()
            .chain(files.iter().map(|(_, bytes)| bytes.as_slice()))
    };
    let mut hasher = blake3::Hasher::new();
    for part in parts() {
        hasher.update(part);
    }
    // Only who has the lock writes here; what a killed process left is overwritten.
    let temporary = with_ending(path, ".new");
    let mut file = File::create(&temporary)?;
    file.write_all(MAGIC)?;
    file.write_all(hasher.finalize().as_bytes())?;
    for part in parts() {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The name is on disk only when the folder is.
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(sequence: u64) -> History {
        History {
            identity: "store".to_owned(),
            sequence,
        }
    }

    #[test]
    fn what_was_written_is_read_and_every_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("store.db"));
        assert!(read(&path).unwrap().is_none());
        let files = [
            ("a".to_owned(), vec![1, 2, 3]),
            ("b".to_owned(), Vec::new()),
        ];
        assert!(write(&path, history(7), ("english", 1), &files).unwrap());
        let contents = read(&path).unwrap().unwrap();
        assert_eq!(contents.header.history, history(7));
        assert_eq!(
            (contents.header.language.as_str(), contents.header.damaged),
            ("english", 1)
        );
        assert_eq!(
            contents.files(),
            [("a".to_owned(), &[1, 2, 3][..]), ("b".to_owned(), &[][..])]
        );
        let good = fs::read(&path).unwrap();
        let kind = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().kind()
        };
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x41;
            assert_eq!(kind(&bad), ErrorKind::CorruptRecord, "byte {place}");
            assert_eq!(
                kind(&good[..place]),
                ErrorKind::CorruptRecord,
                "length {place}"
            );
        }
    }

    #[test]
    fn who_finds_another_writing_leaves_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let other = File::create(with_ending(&path, ".lock")).unwrap();
        other.lock().unwrap();
        assert!(!write(&path, history(1), ("none", 0), &[]).unwrap());
        assert!(!path.exists());
        drop(other);
        fs::write(with_ending(&path, ".new"), "left by one that was killed").unwrap();
        assert!(write(&path, history(1), ("none", 0), &[]).unwrap());
        assert!(read(&path).unwrap().unwrap().files().is_empty());
    }
}
