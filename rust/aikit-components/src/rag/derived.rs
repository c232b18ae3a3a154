//! The vector index and the counts of terms, derived from the stored rows and never stored. They
//! follow the history of the store, so they see what other processes write.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use aikit_core::{
    Error, Result, io,
    storage::{ChunkId, DocumentStore, Embedded, IdFilter, Scored, Term, VectorIndex},
};
use tracing::warn;

use super::{embedders::Embedder, embedding::Statistics, ids::Ids, reading::Readings};
use crate::vector;

/// Rows of the history read at once: at 1,024 numbers each, 4 MB.
const PAGE_ROWS: usize = 1_024;

/// The index is made anew when the number of chunks has changed by this factor since it was made,
/// because its rows were weighed by the counts of then.
const DRIFT: f64 = 1.25;

/// How many candidates are scored exactly for each hit.
const CANDIDATES_PER_HIT: usize = 20;

/// Least candidates that are scored exactly.
const CANDIDATES_MIN: usize = 200;

/// Most candidates that are scored exactly, unless more hits are wanted.
const CANDIDATES_MAX: usize = 1_000;

/// What a search by vectors needs in memory.
#[derive(Debug)]
pub(super) struct Derived {
    follower: Arc<Follower>,
    readings: Readings<SharedState>,
}

// Std locks: they are never held across an await.
type SharedState = Arc<RwLock<State>>;

/// Brings the state up to what is stored. Whoever waits for it may stop at any await: a page of the
/// history goes into the state as a whole or not at all, and a state that is made anew is made
/// aside and takes the place of the old one when it is whole.
#[derive(Debug)]
struct Follower {
    kind: String,
    dimension: usize,
    embedder: Embedder,
    store: Arc<dyn DocumentStore>,
    current: Mutex<SharedState>,
    /// Up to where the history is in the current state.
    reached: AtomicU64,
}

#[derive(Debug)]
struct State {
    index: Arc<dyn VectorIndex>,
    statistics: Statistics,
    /// Up to where the history is counted and in the index.
    sequence: u64,
    /// Chunks that were counted when the index was made.
    weighed_chunks: usize,
    damaged: usize,
}

/// A page of the history, ready for the index.
#[derive(Debug, Default)]
struct Page {
    /// Where it begins: the place of what came before it.
    after: u64,
    /// Where it ends; 0 for one without changes.
    last: u64,
    added: Vec<(ChunkId, Embedded)>,
    deleted: Vec<ChunkId>,
    damaged: usize,
}

impl Derived {
    pub(super) fn new(
        kind: &str,
        dimension: usize,
        embedder: Embedder,
        store: Arc<dyn DocumentStore>,
    ) -> Result<Self> {
        let state = State::new(vector::open(kind, dimension, embedder.0.metric())?);
        let follower = Follower {
            kind: kind.to_owned(),
            dimension,
            embedder,
            store,
            current: Mutex::new(Arc::new(RwLock::new(state))),
            reached: AtomicU64::new(0),
        };
        Ok(Self {
            follower: Arc::new(follower),
            readings: Readings::default(),
        })
    }

    /// The `k` chunks nearest to a question, best first; of `kept` alone, if that is given. `seen`
    /// is a place in the history that the answer must not be older than.
    pub(super) async fn search(
        &self,
        question: Embedded,
        (k, kept): (usize, Option<Arc<Ids>>),
        seen: u64,
    ) -> Result<Vec<Scored>> {
        let state = if self.follower.reached.load(Ordering::Acquire) >= seen {
            self.follower.current()
        } else {
            self.follow().await?
        };
        let embedder = self.follower.embedder.clone();
        io::spawn_blocking(move || {
            let state = state.read().unwrap_or_else(PoisonError::into_inner);
            let keeps = kept.map(|kept| move |id| kept.contains(id));
            let filter = keeps.as_ref().map(|it| it as &IdFilter<'_>);
            state.search(&embedder, &question, k, filter)
        })
        .await
    }

    /// Number of chunks that are damaged.
    pub(super) async fn damaged(&self) -> Result<usize> {
        let state = self.follow().await?;
        let state = state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.damaged)
    }

    /// The state, with all that was stored before this call.
    async fn follow(&self) -> Result<SharedState> {
        let begin = || {
            let follower = Arc::clone(&self.follower);
            async move { follower.follow().await }
        };
        self.readings.follow(begin).await
    }
}

impl Follower {
    async fn follow(self: Arc<Self>) -> Result<SharedState> {
        loop {
            let state = self.current();
            let seen = {
                let state = state.read().unwrap_or_else(PoisonError::into_inner);
                state.sequence
            };
            let Some(page) = self.page(seen, u64::MAX).await? else {
                return self.rebuild(Statistics::default(), 0).await;
            };
            if page.last == 0 {
                self.reached.fetch_max(seen, Ordering::AcqRel);
                return Ok(state);
            }
            let follower = Arc::clone(&self);
            let drifted = io::spawn_blocking(move || {
                let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
                if state.drifts_with(&follower.embedder, &page) {
                    return Ok(Some((state.statistics.clone(), state.sequence)));
                }
                state.take(&follower.embedder, page)?;
                Ok(None)
            });
            if let Some((statistics, seen)) = drifted.await? {
                return self.rebuild(statistics, seen).await;
            }
        }
    }

    /// Makes a state anew; `statistics` count the history up to `seen` already.
    async fn rebuild(&self, mut statistics: Statistics, seen: u64) -> Result<SharedState> {
        let mut end = u64::MAX;
        if self.embedder.0.weigher().is_some() {
            // First the counts, by which the rows are weighed.
            end = seen;
            while let Some(page) = self.next(end, u64::MAX).await? {
                end = page.last;
                statistics.count(&page);
            }
        }
        let index = vector::open(&self.kind, self.dimension, self.embedder.0.metric())?;
        let mut state = State::new(index);
        state.weighed_chunks = statistics.chunks();
        state.statistics = statistics;
        // What came after the counts is left for the next reading, which counts it.
        while let Some(page) = self.next(state.sequence, end).await? {
            let embedder = self.embedder.clone();
            // Building a graph takes seconds: not on a thread that others wait for.
            state = io::spawn_blocking(move || {
                state.place(&embedder, page)?;
                Ok(state)
            })
            .await?;
        }
        if end != u64::MAX {
            state.sequence = end;
        }
        let state = Arc::new(RwLock::new(state));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&state);
        Ok(state)
    }

    fn current(&self) -> SharedState {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// The next page of a history that is there; `None` at its end, or at `end`.
    async fn next(&self, after: u64, end: u64) -> Result<Option<Page>> {
        match self.page(after, end).await? {
            Some(page) => Ok(Some(page).filter(|page| page.last != 0)),
            None => Err(Error::internal(
                "the history of the store was cut while it was read",
            )),
        }
    }

    /// What came after `after` and up to `end`; `None` when the history does not reach back to there.
    async fn page(&self, after: u64, end: u64) -> Result<Option<Page>> {
        let changes = self.store.changes(after, PAGE_ROWS).await?;
        if changes.must_restart {
            return Ok(None);
        }
        let mut page = Page {
            after,
            ..Page::default()
        };
        for change in changes.items.into_iter().filter(|it| it.sequence <= end) {
            page.last = change.sequence;
            match change.added {
                None => page.deleted.push(change.id),
                Some(Ok(embedded)) if self.fits(&embedded) => {
                    page.added.push((change.id, embedded));
                }
                Some(Ok(_)) => page.damaged += 1,
                Some(Err(error)) => {
                    warn!(chunk = change.id, %error, "a chunk is left out of the index");
                    page.damaged += 1;
                }
            }
        }
        Ok(Some(page))
    }

    fn fits(&self, embedded: &Embedded) -> bool {
        embedded.vector.len() == self.dimension
    }
}

impl Statistics {
    fn count(&mut self, page: &Page) {
        for (id, embedded) in &page.added {
            self.add(*id, embedded.terms.clone());
        }
        for id in &page.deleted {
            self.remove(*id);
        }
    }
}

impl State {
    fn new(index: Arc<dyn VectorIndex>) -> Self {
        Self {
            index,
            statistics: Statistics::default(),
            sequence: 0,
            weighed_chunks: 0,
            damaged: 0,
        }
    }

    /// Whether the rows would be weighed by counts of too long ago once `page` is in.
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
    fn drifts_with(&self, embedder: &Embedder, page: &Page) -> bool {
        if embedder.0.weigher().is_none() {
            return false;
        }
        let now = (self.statistics.chunks() + page.added.len()).saturating_sub(page.deleted.len());
        let (now, then) = (now as f64, self.weighed_chunks as f64);
        now > then * DRIFT || now * DRIFT < then
    }

    /// Counts a page and puts it into the index. One that another reading has taken meanwhile is
    /// left alone.
    fn take(&mut self, embedder: &Embedder, page: Page) -> Result<()> {
        if page.after != self.sequence {
            return Ok(());
        }
        if embedder.0.weigher().is_some() {
            self.statistics.count(&page);
        }
        self.place(embedder, page)
    }

    /// Puts a page into the index. A page that failed half-way can be taken again.
    fn place(&mut self, embedder: &Embedder, page: Page) -> Result<()> {
        self.index.delete(&page.deleted);
        let rows = self.rows(embedder, page.added);
        self.index.add(&rows.0, &rows.1)?;
        self.damaged += page.damaged;
        self.sequence = page.last;
        Ok(())
    }

    /// Ids and rows for the index; chunks that went meanwhile are left out.
    fn rows(&self, embedder: &Embedder, added: Vec<(ChunkId, Embedded)>) -> (Vec<u64>, Vec<f32>) {
        let weigher = embedder.0.weigher();
        let (mut ids, mut rows) = (Vec::with_capacity(added.len()), Vec::new());
        for (id, embedded) in added {
            match weigher {
                None => rows.extend_from_slice(&embedded.vector),
                Some(_) if self.statistics.terms(id).is_none() => continue,
                Some(weigher) => rows.extend(weigher.row(&embedded, &self.statistics)),
            }
            ids.push(id);
        }
        (ids, rows)
    }

    fn search(
        &self,
        embedder: &Embedder,
        question: &Embedded,
        k: usize,
        filter: Option<&IdFilter<'_>>,
    ) -> Result<Vec<Scored>> {
        let Some(weigher) = embedder.0.weigher() else {
            return self.index.search(&question.vector, k, filter);
        };
        let vector = weigher.question(question, &self.statistics);
        let candidates = k.saturating_mul(CANDIDATES_PER_HIT);
        let candidates = candidates.clamp(CANDIDATES_MIN, CANDIDATES_MAX.max(k));
        let mut found = self.index.search(&vector, candidates, filter)?;
        let none: &[Term] = &[];
        for hit in &mut found {
            let terms = self.statistics.terms(hit.id).unwrap_or(none);
            hit.score = weigher.score(question, terms, hit.score, &self.statistics);
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        found.truncate(k);
        Ok(found)
    }
}
