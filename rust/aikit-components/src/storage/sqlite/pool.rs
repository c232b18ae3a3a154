//! The connections of one SQLite file: a thread that writes and a pool that reads.

use std::{
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use aikit_core::{Error, ErrorKind, Result, io, per_process};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;

use super::{failed, folder, signed, unsigned};
use crate::storage::identity;

/// How long a write waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes that may wait for the writer thread; callers beyond wait for a place.
const WRITES_WAITING_MAX: usize = 64;

/// Idle connections kept for readers.
const READERS_IDLE_MAX: usize = 4;

/// Marks a file as ours: `aikt`.
const APPLICATION_ID: i64 = 0x6169_6b74;

/// The layout of the tables.
const LAYOUT: i64 = 1;

const TABLES: &str = "
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
-- A deleted key keeps its row without a record, so that watchers see the deletion.
CREATE TABLE keys (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, record BLOB) WITHOUT ROWID;
CREATE INDEX keys_by_revision ON keys (revision);
CREATE TABLE documents (
    id TEXT PRIMARY KEY,
    origin TEXT,
    content_hash TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    record BLOB NOT NULL,
    embedding BLOB NOT NULL
);
CREATE INDEX chunks_by_document ON chunks (document_id);
CREATE UNIQUE INDEX chunks_by_sequence ON chunks (sequence);
CREATE TABLE deleted_chunks (sequence INTEGER PRIMARY KEY, id INTEGER NOT NULL);
";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A file and the connections of this process to it.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connections: Mutex<(u32, Arc<Connections>)>,
}

#[derive(Debug)]
struct Connections {
    place: Place,
    writer: mpsc::Sender<Job>,
    readers: Mutex<Vec<Connection>>,
    written: watch::Sender<()>,
}

impl Database {
    pub(super) async fn open(path: PathBuf) -> Result<Self> {
        let connections = Connections::open(path.clone()).await?;
        Ok(Self {
            path,
            connections: Mutex::new((std::process::id(), Arc::new(connections))),
        })
    }

    /// Runs `work` in a transaction on the writer thread; it is committed when `work` succeeds.
    /// A caller that stops waiting does not stop a write that has begun.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let connections = self.connections().await?;
        let (sender, receiver) = oneshot::channel();
        let place = connections.place.clone();
        let job: Job = Box::new(move |connection| {
            let written = place.check().and_then(|()| transact(connection, work));
            // A receiver that is gone means that the caller stopped waiting.
            drop(sender.send(written));
        });
        let ended = || Error::internal("the thread that writes the store ended");
        connections.writer.send(job).await.map_err(|_| ended())?;
        let written = receiver.await.map_err(|_| ended())?;
        connections.written.send_replace(());
        written
    }

    /// Runs `work` on a connection that sees one state of the file.
    pub(super) async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let connections = self.connections().await?;
        let path = self.path.clone();
        let read = move || {
            let idle = connections.lock_readers().pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&path)?,
            };
            let begun = connection.transaction().map_err(failed)?;
            let answer = work(&begun);
            drop(begun);
            let mut readers = connections.lock_readers();
            if readers.len() < READERS_IDLE_MAX {
                readers.push(connection);
            }
            answer
        };
        // SQLite notes in the process which locks of a file it holds; a child would believe it.
        io::spawn_blocking(|| per_process::unforked(read)).await
    }

    /// Becomes ready whenever this process has written.
    pub(super) async fn written(&self) -> Result<watch::Receiver<()>> {
        Ok(self.connections().await?.written.subscribe())
    }

    async fn connections(&self) -> Result<Arc<Connections>> {
        let pid = std::process::id();
        {
            let connections = self.lock();
            if connections.0 == pid {
                return Ok(Arc::clone(&connections.1));
            }
        }
        // A forked child has no writer thread and must not touch the parent's connections.
        let fresh = Arc::new(Connections::open(self.path.clone()).await?);
        let mut connections = self.lock();
        if connections.0 != pid {
            let inherited = std::mem::replace(&mut *connections, (pid, fresh));
            // Leaked on purpose: closing them here would drop the parent's locks on the file.
            Box::leak(Box::new(inherited));
        }
        Ok(Arc::clone(&connections.1))
    }

    fn lock(&self) -> MutexGuard<'_, (u32, Arc<Connections>)> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    async fn open(path: PathBuf) -> Result<Self> {
        let open = move || {
            if let Some(parent) = path.parent() {
                folder::make(parent).map_err(|error| folder::failed(parent, error))?;
            }
            let opened = connect(&path).and_then(|mut connection| {
                prepare(&mut connection, &path)?;
                Ok(connection)
            });
            let connection = opened.map_err(|error| named(&path, error))?;
            Ok((connection, Place::of(path)))
        };
        let (connection, place) = io::spawn_blocking(|| per_process::unforked(open)).await?;
        let (writer, jobs) = mpsc::channel(WRITES_WAITING_MAX);
        thread::Builder::new()
            .name("aikit-sqlite-writer".to_owned())
            .spawn(move || run_jobs(connection, jobs))?;
        Ok(Self {
            place,
            writer,
            readers: Mutex::default(),
            written: watch::Sender::new(()),
        })
    }

    fn lock_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file and which one it was when it was opened.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Place {
    fn of(path: PathBuf) -> Self {
        let identity = identity(&path);
        Self { path, identity }
    }

    /// Whether the file is still where it was. The system lets go on writing one that was deleted,
    /// and everything written then is lost.
    fn check(&self) -> Result<()> {
        if identity(&self.path) == self.identity {
            return Ok(());
        }
        let path = self.path.display();
        let message = format!("the store `{path}` was deleted or replaced while it was open");
        Err(Error::new(ErrorKind::DataLossSuspected, message)
            .with_hint("open it again; if that was a mistake, bring the file back before"))
    }
}

/// Takes the next value of a counter and moves it on by `count`.
pub(super) fn advance(transaction: &Transaction<'_>, name: &str, count: u64) -> Result<u64> {
    let before = counter(transaction, name)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO counters (name, value) VALUES (?1, ?2)")
        .and_then(|mut it| it.execute((name, signed(before + count))))
        .map_err(failed)?;
    Ok(before)
}

/// The value of a counter; 0 for one that never moved.
pub(super) fn counter(transaction: &Transaction<'_>, name: &str) -> Result<u64> {
    let value = transaction
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")
        .and_then(|mut it| it.query_row([name], |row| row.get(0)).optional())
        .map_err(failed)?;
    Ok(unsigned(value.unwrap_or(0)))
}

fn run_jobs(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        // A job that panics rolls its transaction back and drops its answer, so its caller sees an
        // error. The thread goes on: those who wait for it have done no wrong.
        let work = || per_process::unforked(|| job(&mut connection));
        let ended = panic::catch_unwind(AssertUnwindSafe(work));
        if ended.is_err() {
            error!("a write to the store panicked");
        }
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    // Immediate: a transaction that begins by reading could not wait for another writer later.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let answer = work(&transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(answer)
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    Ok(connection)
}

/// The error of a store that cannot be opened, with the file it is about.
fn named(path: &Path, error: Error) -> Error {
    let shown = path.display().to_string();
    if error.message().contains(&shown) {
        return error;
    }
    let message = format!("`{shown}`: {}", error.message());
    let hint = error.hint().unwrap_or_default().to_owned();
    Error::new(error.kind(), message)
        .with_hint(hint)
        .with_source(error)
}

/// Makes the tables of a new file and refuses one that is not ours.
fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    let path = path.display();
    let is_ready = transact(connection, |transaction| {
        let number = |name: &str| {
            transaction
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map_err(failed)
        };
        let (application, layout) = (number("application_id")?, number("user_version")?);
        if application == APPLICATION_ID && layout == LAYOUT {
            return Ok(true);
        }
        if application == APPLICATION_ID {
            let message = format!("the store `{path}` has layout {layout}, newer than {LAYOUT}");
            return Err(Error::new(ErrorKind::VersionMismatch, message)
                .with_hint("open it with the version of aikit that wrote it, or a newer one"));
        }
        let tables: i64 = transaction
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        if application != 0 || tables != 0 {
            let message = format!("`{path}` is a database of another program");
            return Err(Error::new(ErrorKind::Protocol, message)
                .with_hint("give the path of a file that does not exist yet"));
        }
        transaction.execute_batch(TABLES).map_err(failed)?;
        let mark =
            |name: &str, value: i64| transaction.pragma_update(None, name, value).map_err(failed);
        mark("application_id", APPLICATION_ID)?;
        mark("user_version", LAYOUT)?;
        Ok(false)
    })?;
    // The journal mode stays in the file. Setting it needs the file alone for a moment, so it is
    // set by whoever makes the tables or finds that the maker was killed in between.
    let mode = |connection: &Connection| {
        connection
            .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))
            .map_err(failed)
    };
    if !is_ready || mode(connection)? != "wal" {
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_store_whose_file_was_deleted_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let written = async move {
            let database = Database::open(path.clone()).await?;
            database
                .write(|transaction| advance(transaction, "x", 1))
                .await?;
            std::fs::remove_file(path)?;
            database
                .write(|transaction| advance(transaction, "x", 1))
                .await
        };
        let error = io::wait(written, || Ok(())).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLossSuspected);
        assert!(error.message().contains("store.db") && error.hint().is_some());
    }

    #[test]
    fn a_write_that_panics_is_undone_and_does_not_end_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let written = async move {
            let database = Database::open(path).await?;
            let broken = database.write(|transaction| {
                advance(transaction, "x", 5)?;
                assert!(std::hint::black_box(false), "as wanted");
                Ok(())
            });
            let broken = broken.await.unwrap_err();
            let before = database.write(|transaction| advance(transaction, "x", 1));
            Ok::<_, Error>((broken.kind(), before.await?))
        };
        let written = io::wait(written, || Ok(())).unwrap().unwrap();
        assert_eq!(written, (ErrorKind::Internal, 0));
    }
}
