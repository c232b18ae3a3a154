//! What is derived from the stored rows and never stored itself: the vector index and the counts
//! of terms. It follows the history of the store, so it sees what other processes write.

use std::sync::Arc;

use aikit_core::{
    Error, Result, io,
    storage::{ChunkId, DocumentStore, Embedded, Scored, Term, VectorIndex},
};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tracing::warn;

use super::{embedders::Embedder, embedding::Statistics};
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

/// What a search needs in memory.
#[derive(Debug)]
pub(super) struct Derived {
    kind: String,
    dimension: usize,
    embedder: Embedder,
    store: Arc<dyn DocumentStore>,
    state: Arc<RwLock<State>>,
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
        let state = State {
            index: vector::open(kind, dimension, embedder.0.metric())?,
            statistics: Statistics::default(),
            sequence: 0,
            weighed_chunks: 0,
            damaged: 0,
        };
        Ok(Self {
            kind: kind.to_owned(),
            dimension,
            embedder,
            store,
            state: Arc::new(RwLock::new(state)),
        })
    }

    /// The chunks nearest to a question, best first.
    pub(super) async fn search(&self, question: Embedded, k: usize) -> Result<Vec<Scored>> {
        let state = self.follow().await?;
        let embedder = self.embedder.clone();
        io::spawn_blocking(move || state.search(&embedder, &question, k)).await
    }

    /// Number of chunks that are damaged.
    pub(super) async fn damaged(&self) -> Result<usize> {
        Ok(self.follow().await?.damaged)
    }

    /// Brings the index up to what is stored now.
    async fn follow(&self) -> Result<OwnedRwLockReadGuard<State>> {
        let mut state = Arc::clone(&self.state).write_owned().await;
        let seen = state.sequence;
        let next = self.store.changes(seen, 1).await?;
        if next.must_restart {
            self.reset(&mut state)?;
        }
        if next.must_restart || !next.items.is_empty() {
            // A failure half-way leaves counts without rows; the next call begins anew then.
            if let Err(error) = self.replay(&mut state).await {
                self.reset(&mut state)?;
                return Err(error);
            }
        }
        Ok(state.downgrade())
    }

    fn reset(&self, state: &mut State) -> Result<()> {
        *state = State {
            index: vector::open(&self.kind, self.dimension, self.embedder.0.metric())?,
            statistics: Statistics::default(),
            sequence: 0,
            weighed_chunks: 0,
            damaged: 0,
        };
        Ok(())
    }

    async fn replay(&self, state: &mut State) -> Result<()> {
        let begin = state.sequence;
        let end = if self.embedder.0.weigher().is_some() {
            self.count(state, begin).await?
        } else {
            u64::MAX
        };
        let mut from = begin;
        if state.has_drifted() {
            state.index = vector::open(&self.kind, self.dimension, self.embedder.0.metric())?;
            state.weighed_chunks = state.statistics.chunks();
            state.damaged = 0;
            from = 0;
        }
        self.place(state, from, end).await
    }

    /// First pass: counts the terms of what came, up to the end of the history.
    async fn count(&self, state: &mut State, begin: u64) -> Result<u64> {
        let mut at = begin;
        loop {
            let page = self.page(at).await?;
            if page.last == 0 {
                return Ok(at);
            }
            at = page.last;
            for (id, embedded) in page.added {
                state.statistics.add(id, embedded.terms);
            }
            for id in page.deleted {
                state.statistics.remove(id);
            }
        }
    }

    /// Second pass: puts the rows into the index, up to `end`.
    async fn place(&self, state: &mut State, from: u64, end: u64) -> Result<()> {
        let mut at = from;
        while at < end {
            let page = self.page(at).await?;
            if page.last == 0 {
                break;
            }
            at = page.last;
            state.damaged += page.damaged;
            let index = Arc::clone(&state.index);
            index.delete(&page.deleted);
            let rows = state.rows(&self.embedder, page.added);
            // Building a graph takes seconds: not on a thread that others wait for.
            io::spawn_blocking(move || index.add(&rows.0, &rows.1)).await?;
        }
        state.sequence = at.max(state.sequence);
        Ok(())
    }

    async fn page(&self, after: u64) -> Result<Page> {
        let changes = self.store.changes(after, PAGE_ROWS).await?;
        if changes.must_restart {
            return Err(Error::internal(
                "the history of the store was cut while it was read",
            ));
        }
        let mut page = Page::default();
        for change in changes.items {
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
        Ok(page)
    }

    fn fits(&self, embedded: &Embedded) -> bool {
        embedded.vector.len() == self.dimension
    }
}

impl State {
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
    fn has_drifted(&self) -> bool {
        let (now, then) = (self.statistics.chunks() as f64, self.weighed_chunks as f64);
        now > then * DRIFT || now * DRIFT < then
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

    fn search(&self, embedder: &Embedder, question: &Embedded, k: usize) -> Result<Vec<Scored>> {
        let Some(weigher) = embedder.0.weigher() else {
            return self.index.search(&question.vector, k, None);
        };
        let vector = weigher.question(question, &self.statistics);
        let candidates = k.saturating_mul(CANDIDATES_PER_HIT).max(CANDIDATES_MIN);
        let mut found = self.index.search(&vector, candidates, None)?;
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
