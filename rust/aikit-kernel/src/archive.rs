//! The cells of all sessions of a project, in a store; never in the way of a cell.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
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
use tokio::sync::{OnceCell, mpsc, oneshot};
use tracing::warn;

use crate::history::{Elsewhere, Entry};

/// Most cells that are kept, of all sessions together.
pub(crate) const CELLS_MAX: usize = 10_000;
/// Most bytes of what is kept.
const BYTES_MAX: usize = 1 << 26;
/// Longest code and longest result of a cell that are kept.
const TEXT_BYTES_MAX: usize = 1 << 16;
/// Cells that wait to be written; more are not kept.
const WAITING_MAX: usize = 1_000;
/// After so many cells the oldest are looked at and forgotten.
const FORGET_INTERVAL: usize = 256;
/// Cells that are read at once.
const PAGE: usize = 100;
/// How long the last cells may take to be written when their shell ends.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(1);
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

/// The way to the store.
#[derive(Debug)]
pub(crate) struct Archive {
    shelf: Arc<Shelf>,
    jobs: mpsc::Sender<Job>,
    _writer: AbortOnDrop,
}

enum Job {
    Add(Cell),
    /// Told when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// A cell of this session.
struct Cell {
    number: u32,
    kept: Kept,
}

/// What is kept of a cell.
#[derive(Deserialize, Serialize)]
struct Kept {
    input: String,
    output: Option<String>,
}

impl Archive {
    pub(crate) fn new(place: HistoryPlace) -> Self {
        let shelf = Arc::new(Shelf {
            place,
            opened: OnceCell::new(),
            has_warned: AtomicBool::new(false),
        });
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let writer = spawn(write(Arc::clone(&shelf), waiting));
        Self {
            shelf,
            jobs,
            _writer: AbortOnDrop(writer.abort_handle()),
        }
    }

    /// Keeps a cell, soon.
    pub(crate) fn add(&self, number: u32, input: &str, output: Option<&str>) {
        let kept = Kept {
            input: beginning(input).to_owned(),
            output: output.map(|text| beginning(text).to_owned()),
        };
        if self.jobs.try_send(Job::Add(Cell { number, kept })).is_err() {
            self.shelf.warn("too many cells wait to be kept");
        }
    }

    /// The number of this session.
    pub(crate) async fn session(&self) -> Option<u32> {
        let opened = tokio::time::timeout(READ_LIMIT, self.shelf.opened()).await;
        Some(opened.ok()??.session)
    }

    /// The cells that are wanted, oldest first.
    pub(crate) async fn cells(&self, wanted: Elsewhere) -> Vec<Entry> {
        let reading = async {
            let opened = self.shelf.opened().await?;
            match self.shelf.read(opened, wanted).await {
                Ok(cells) => Some(cells),
                Err(error) => {
                    self.shelf.warn(&error.to_string());
                    None
                }
            }
        };
        let read = tokio::time::timeout(READ_LIMIT, reading).await;
        read.ok().flatten().unwrap_or_default()
    }

    /// Waits until what was added is written.
    pub(crate) async fn flush(&self, limit: Duration) {
        let (done, written) = oneshot::channel();
        if self.jobs.try_send(Job::Flush(done)).is_ok() {
            // What takes longer is lost.
            drop(tokio::time::timeout(limit, written).await);
        }
    }
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[derive(Debug)]
struct Shelf {
    place: HistoryPlace,
    opened: OnceCell<Opened>,
    has_warned: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    store: Arc<dyn KeyValueStore>,
    session: u32,
}

impl Shelf {
    /// The store and the number of this session; `None` when it cannot be opened, which is told
    /// once. It is tried again the next time.
    async fn opened(&self) -> Option<&Opened> {
        match self.opened.get_or_try_init(|| self.open()).await {
            Ok(opened) => Some(opened),
            Err(error) => {
                self.warn(&error.to_string());
                None
            }
        }
    }

    async fn open(&self) -> Result<Opened> {
        let store = (self.place.open)().await?;
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
                Ok(_) => return Ok(Opened { store, session }),
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

    async fn read(&self, opened: &Opened, wanted: Elsewhere) -> Result<Vec<Entry>> {
        let all = self.cells();
        let prefix = match wanted {
            Elsewhere::All => all.clone(),
            Elsewhere::Session(session) => format!("{all}{session:010}/"),
        };
        let mut cells = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = opened.store.scan(&prefix, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for entry in page {
                let Some((its_session, number)) = place_of(&all, &entry.key) else {
                    continue;
                };
                let kept = entry.record.ok();
                let kept = kept.and_then(|it| serde_json::from_slice::<Kept>(&it.value).ok());
                // A damaged one does not hide the others.
                let Some(kept) = kept else { continue };
                if its_session != opened.session {
                    cells.push(Entry {
                        session: its_session,
                        number,
                        input: kept.input,
                        output: kept.output,
                    });
                }
            }
        }
        Ok(cells)
    }

    async fn write(&self, cells: &[Cell]) -> Result<()> {
        let opened = self.opened.get_or_try_init(|| self.open()).await?;
        let puts = cells.iter().map(|cell| {
            let kept = serde_json::to_vec(&cell.kept).map_err(damaged)?;
            Ok((self.cell(opened.session, cell.number), Bytes::from(kept)))
        });
        let batch = Batch {
            puts: puts.collect::<Result<_>>()?,
            ..Batch::default()
        };
        opened.store.apply(batch).await.map(drop)
    }

    /// Writes cells and takes them away; those that cannot be written stay for the next time.
    async fn keep(&self, cells: &mut Vec<Cell>) -> Result<usize> {
        if cells.is_empty() {
            return Ok(0);
        }
        let written = self.write(cells).await;
        if written.is_err() {
            let surplus = cells.len().saturating_sub(WAITING_MAX);
            cells.drain(..surplus);
            return written.map(|()| 0);
        }
        let count = cells.len();
        cells.clear();
        Ok(count)
    }

    /// Deletes the oldest cells beyond the bounds.
    async fn forget(&self) -> Result<()> {
        let Some(opened) = self.opened().await else {
            return Ok(());
        };
        let prefix = self.cells();
        let mut sizes = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = opened.store.scan(&prefix, after.as_deref(), PAGE).await?;
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
        opened.store.apply(batch).await.map(drop)
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

async fn write(shelf: Arc<Shelf>, mut jobs: mpsc::Receiver<Job>) {
    let mut since_forgetting = FORGET_INTERVAL;
    let (mut taken, mut cells) = (Vec::new(), Vec::new());
    while jobs.recv_many(&mut taken, WAITING_MAX).await > 0 {
        let mut waiting = Vec::new();
        for job in taken.drain(..) {
            match job {
                Job::Add(cell) => cells.push(cell),
                Job::Flush(done) => waiting.push(done),
            }
        }
        match shelf.keep(&mut cells).await {
            Ok(count) => since_forgetting += count,
            Err(error) => shelf.warn(&error.to_string()),
        }
        for done in waiting {
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
mod tests {
    use aikit_components::storage;
    use aikit_core::io;

    use super::*;

    /// Shelves of several kernels on one store.
    fn shelves<const N: usize>() -> [Shelf; N] {
        let opened = async { storage::find("memory")?.open(None).await };
        let store = io::wait(opened, || Ok(())).unwrap().unwrap().keys;
        std::array::from_fn(|_| {
            let store = Arc::clone(&store);
            let open = move || -> BoxFuture<'static, _> {
                let store = Arc::clone(&store);
                Box::pin(async move { Ok(store) })
            };
            Shelf {
                place: HistoryPlace {
                    open: Arc::new(open),
                    prefix: "history/-/".to_owned(),
                },
                opened: OnceCell::new(),
                has_warned: AtomicBool::new(false),
            }
        })
    }

    fn cells(numbers: std::ops::Range<u32>) -> Vec<Cell> {
        let cell = |number| Cell {
            number,
            kept: Kept {
                input: format!("cell {number}"),
                output: None,
            },
        };
        numbers.map(cell).collect()
    }

    #[test]
    fn the_oldest_cells_are_forgotten_whichever_kernel_wrote_them() {
        let [first, second] = shelves();
        let surplus = 50;
        let written = async move {
            first.write(&cells(1..101)).await?;
            let most = u32::try_from(CELLS_MAX).unwrap_or_default();
            second.write(&cells(1..most - surplus + 1)).await?;
            second.forget().await?;
            let opened = first.opened().await.unwrap();
            let own = first.read(second.opened().await.unwrap(), Elsewhere::All);
            let (own, others) = (own.await?, first.read(opened, Elsewhere::All).await?);
            Ok::<_, Error>((own, others.len()))
        };
        let (own, others) = io::wait(written, || Ok(())).unwrap().unwrap();
        assert_eq!(own.len() + others, CELLS_MAX);
        assert_eq!((own[0].session, own[0].number), (1, 101 - surplus));
        assert_eq!(own[0].input, format!("cell {}", 101 - surplus));
    }

    #[test]
    fn a_store_that_opens_later_gets_the_cells_from_before() {
        let [mut one, two] = shelves();
        let opens = Arc::clone(&one.place.open);
        let is_open = Arc::new(AtomicBool::new(false));
        let is_open_now = Arc::clone(&is_open);
        one.place.open = Arc::new(move || {
            if is_open_now.load(Ordering::SeqCst) {
                return opens();
            }
            Box::pin(async { Err(Error::new(ErrorKind::Io, "not now")) })
        });
        let found = async move {
            let mut waiting = cells(1..3);
            one.keep(&mut waiting).await.unwrap_err();
            waiting.extend(cells(3..4));
            is_open.store(true, Ordering::SeqCst);
            assert_eq!(one.keep(&mut waiting).await?, 3);
            assert!(waiting.is_empty());
            two.read(two.opened().await.unwrap(), Elsewhere::All).await
        };
        let found = io::wait(found, || Ok(())).unwrap().unwrap();
        let numbers: Vec<u32> = found.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn a_damaged_cell_does_not_hide_the_others_and_long_ones_are_cut() {
        let [one, two] = shelves();
        let found = async move {
            one.write(&cells(1..4)).await?;
            let opened = one.opened().await.unwrap();
            let puts = vec![(one.cell(opened.session, 2), Bytes::from_static(b"{"))];
            let batch = Batch {
                puts,
                ..Batch::default()
            };
            opened.store.apply(batch).await?;
            let session = Elsewhere::Session(opened.session);
            two.read(two.opened().await.unwrap(), session).await
        };
        let found = io::wait(found, || Ok(())).unwrap().unwrap();
        let numbers: Vec<u32> = found.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(beginning(&"é".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
    }
}
