//! The cells of all sessions of a project, in a store; never in the way of a cell. All shells have one
//! writer, and what waits for it has one bound.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Error, Result,
    error::ErrorKind,
    io::{AbortOnDrop, spawn},
    storage::{Batch, KeyValueStore},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OnceCell, oneshot};
use tracing::warn;

use crate::{
    history::{Elsewhere, Entry},
    shares::{Most, Shares},
};

/// Most cells that are kept, of all sessions together.
pub(crate) const CELLS_MAX: usize = 10_000;
/// Most bytes of what is kept.
const BYTES_MAX: usize = 1 << 26;
/// Longest code and longest result of a cell that are kept.
const TEXT_BYTES_MAX: usize = 1 << 16;
/// What waits to be written, of all shells together; more is not kept.
const WAITING_MOST: Most = Most {
    entries: 1_000,
    bytes: 1 << 24,
};
/// Most cells that are written at once.
const BATCH_MAX: usize = 100;
/// After so many cells the oldest are looked at and forgotten.
const FORGET_INTERVAL: usize = 256;
/// Cells that are read at once.
const PAGE: usize = 100;
/// How long a request waits for the store before it is answered without it.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// How often a number is asked for when other kernels ask at the same time.
const ATTEMPTS_MAX: usize = 100;

/// Opens the store of a project.
pub type OpenStore =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn KeyValueStore>>> + Send + Sync>;

/// Where the cells of all sessions are kept. It is opened with the first cell or question.
#[derive(Clone)]
pub struct HistoryPlace {
    /// Opens the store.
    pub open: OpenStore,
    /// The beginning of all keys, with a slash at its end.
    pub prefix: String,
}

impl fmt::Debug for HistoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryPlace")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The number of a shell's session among those of the project, which is taken with its first cell
/// or question.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionNumber(Arc<OnceCell<u32>>);

/// The way to the store.
#[derive(Debug)]
pub(crate) struct Archive {
    shelf: Arc<Shelf>,
    _writer: AbortOnDrop,
}

/// A cell that waits to be written.
#[derive(Debug)]
struct Cell {
    session: SessionNumber,
    number: u32,
    kept: Kept,
}

/// What is kept of a cell.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    input: String,
    output: Option<String>,
}

impl Archive {
    pub(crate) fn new(place: HistoryPlace) -> Self {
        let shelf = Arc::new(Shelf::new(place));
        let writer = spawn(write(Arc::clone(&shelf)));
        Self {
            shelf,
            _writer: AbortOnDrop(writer.abort_handle()),
        }
    }

    /// Keeps a cell of the shell `shell`, soon.
    pub(crate) fn add(&self, shell: u32, session: &SessionNumber, cell: &Entry) {
        let kept = Kept {
            input: beginning(&cell.input).to_owned(),
            output: cell.output.as_deref().map(|it| beginning(it).to_owned()),
        };
        let cell = Cell {
            session: session.clone(),
            number: cell.number,
            kept,
        };
        self.shelf.add(shell, cell);
    }

    /// The number of a session.
    pub(crate) async fn session(&self, session: &SessionNumber) -> Option<u32> {
        let known = tokio::time::timeout(READ_LIMIT, self.shelf.session(session));
        match known.await.ok()? {
            Ok(number) => Some(number),
            Err(error) => {
                self.shelf.warn(&error.to_string());
                None
            }
        }
    }

    /// The cells that are wanted of other sessions than this one, oldest first, each with its
    /// session.
    pub(crate) async fn cells(&self, own: &SessionNumber, wanted: Elsewhere) -> Vec<(u32, Entry)> {
        let reading = async {
            match self.shelf.read(own, wanted).await {
                Ok(cells) => cells,
                Err(error) => {
                    self.shelf.warn(&error.to_string());
                    Vec::new()
                }
            }
        };
        let read = tokio::time::timeout(READ_LIMIT, reading).await;
        read.unwrap_or_default()
    }

    /// Waits until what was added is written.
    pub(crate) async fn flush(&self, limit: Duration) {
        let (done, written) = oneshot::channel();
        self.shelf.waiting().flushes.push(done);
        self.shelf.added.notify_one();
        // What takes longer is lost.
        drop(tokio::time::timeout(limit, written).await);
    }
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[derive(Debug)]
struct Shelf {
    place: HistoryPlace,
    opened: OnceCell<Arc<dyn KeyValueStore>>,
    has_warned: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Told when something waits.
    added: Notify,
}

/// What waits for the writer.
#[derive(Debug)]
struct Waiting {
    cells: Shares<Cell>,
    /// Told when every cell before them is written.
    flushes: Vec<oneshot::Sender<()>>,
}

/// A cell that was taken to be written, and what it counts: its shell and its size.
type Taken = (u32, usize, Cell);

impl Shelf {
    fn new(place: HistoryPlace) -> Self {
        let waiting = Waiting {
            cells: Shares::new(WAITING_MOST),
            flushes: Vec::new(),
        };
        Self {
            place,
            opened: OnceCell::new(),
            has_warned: AtomicBool::new(false),
            waiting: Mutex::new(waiting),
            added: Notify::new(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A plain mutex: it is never held across an await.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, shell: u32, cell: Cell) {
        let bytes = cell.kept.input.len() + cell.kept.output.as_ref().map_or(0, String::len);
        let lost = self.waiting().cells.push(shell, bytes, cell);
        if lost > 0 {
            self.warn("too many cells wait to be kept");
        }
        self.added.notify_one();
    }

    /// The oldest cells of each shell in turn.
    fn take(&self) -> Vec<Taken> {
        let mut waiting = self.waiting();
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for shell in waiting.cells.shells() {
                if taken.len() >= BATCH_MAX {
                    return taken;
                }
                let next = waiting.cells.pop(shell);
                taken.extend(next.map(|(bytes, cell)| (shell, bytes, cell)));
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// Puts cells back to where they were taken.
    fn put_back(&self, taken: Vec<Taken>) {
        let mut waiting = self.waiting();
        for (shell, bytes, cell) in taken.into_iter().rev() {
            if !waiting.cells.unpop(shell, bytes, cell) {
                self.warn("too many cells wait to be kept");
            }
        }
    }

    /// The store. When it cannot be opened it is tried again the next time.
    async fn opened(&self) -> Result<&Arc<dyn KeyValueStore>> {
        self.opened.get_or_try_init(|| (self.place.open)()).await
    }

    /// The number of a session.
    async fn session(&self, session: &SessionNumber) -> Result<u32> {
        let store = self.opened().await?;
        let number = session.0.get_or_try_init(|| self.begin_session(store));
        number.await.copied()
    }

    async fn begin_session(&self, store: &Arc<dyn KeyValueStore>) -> Result<u32> {
        let key = format!("{}sessions", self.place.prefix);
        for _ in 0..ATTEMPTS_MAX {
            let found = store.get(&key).await?;
            let last: u32 = match &found {
                Some(record) => serde_json::from_slice(&record.value).map_err(damaged)?,
                None => 0,
            };
            let session = last.saturating_add(1);
            let batch = Batch {
                expect: vec![(key.clone(), found.map(|it| it.revision))],
                puts: vec![(key.clone(), Bytes::from(session.to_string()))],
                ..Batch::default()
            };
            match store.apply(batch).await {
                Ok(_) => return Ok(session),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "too many kernels begin at once",
        ))
    }

    fn cells(&self) -> String {
        format!("{}cell/", self.place.prefix)
    }

    fn cell(&self, session: u32, number: u32) -> String {
        format!("{}{session:010}/{number:010}", self.cells())
    }

    async fn read(&self, own: &SessionNumber, wanted: Elsewhere) -> Result<Vec<(u32, Entry)>> {
        let (store, own) = (self.opened().await?, self.session(own).await?);
        let all = self.cells();
        let prefix = match wanted {
            Elsewhere::All => all.clone(),
            Elsewhere::Session(session) => format!("{all}{session:010}/"),
        };
        let mut cells = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.scan(&prefix, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for entry in page {
                let Some((session, number)) = place_of(&all, &entry.key) else {
                    continue;
                };
                let kept = entry.record.ok();
                let kept = kept.and_then(|it| serde_json::from_slice::<Kept>(&it.value).ok());
                // A damaged one does not hide the others.
                let Some(Kept { input, output }) = kept else {
                    continue;
                };
                if session != own {
                    let entry = Entry {
                        number,
                        input,
                        output,
                    };
                    cells.push((session, entry));
                }
            }
        }
        Ok(cells)
    }

    async fn write(&self, cells: &[Taken]) -> Result<()> {
        let store = self.opened().await?;
        let mut batch = Batch::default();
        for (_, _, cell) in cells {
            let session = self.session(&cell.session).await?;
            let kept = serde_json::to_vec(&cell.kept).map_err(damaged)?;
            let key = self.cell(session, cell.number);
            batch.puts.push((key, Bytes::from(kept)));
        }
        store.apply(batch).await.map(drop)
    }

    /// Writes the cells that wait; answers how many. Those that cannot be written wait for the next
    /// time.
    async fn write_waiting(&self) -> usize {
        let mut written = 0;
        loop {
            let taken = self.take();
            if taken.is_empty() {
                return written;
            }
            if let Err(error) = self.write(&taken).await {
                self.warn(&error.to_string());
                self.put_back(taken);
                return written;
            }
            written += taken.len();
        }
    }

    /// Deletes the oldest cells beyond the bounds.
    async fn forget(&self) -> Result<()> {
        let store = self.opened().await?;
        let prefix = self.cells();
        let mut sizes = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.scan(&prefix, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            sizes.extend(page.into_iter().map(|entry| {
                let bytes = entry.record.map_or(0, |record| record.value.len());
                (entry.key, bytes)
            }));
        }
        let (mut cells, mut bytes) = (sizes.len(), sizes.values().sum::<usize>());
        let mut deletes = Vec::new();
        for (key, size) in sizes {
            if cells <= CELLS_MAX && bytes <= BYTES_MAX {
                break;
            }
            (cells, bytes) = (cells - 1, bytes - size);
            deletes.push(key);
        }
        if deletes.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            deletes,
            ..Batch::default()
        };
        store.apply(batch).await.map(drop)
    }

    /// Says once that the cells are remembered in memory only, for now.
    fn warn(&self, reason: &str) {
        if !self.has_warned.swap(true, Ordering::SeqCst) {
            warn!(
                reason,
                "the history cannot be kept; it is tried again with each cell"
            );
        }
    }
}

fn damaged(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::CorruptRecord, "the history is damaged").with_source(error)
}

/// Session and number of the cell a key stands for.
fn place_of(prefix: &str, key: &str) -> Option<(u32, u32)> {
    let (session, number) = key.strip_prefix(prefix)?.split_once('/')?;
    Some((session.parse().ok()?, number.parse().ok()?))
}

async fn write(shelf: Arc<Shelf>) {
    let mut since_forgetting = FORGET_INTERVAL;
    loop {
        shelf.added.notified().await;
        // What was added before them is there as well.
        let flushes = std::mem::take(&mut shelf.waiting().flushes);
        since_forgetting += shelf.write_waiting().await;
        for done in flushes {
            // Who asked may have stopped waiting.
            let _gone = done.send(());
        }
        if since_forgetting > FORGET_INTERVAL {
            since_forgetting = 0;
            if let Err(error) = shelf.forget().await {
                shelf.warn(&error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
