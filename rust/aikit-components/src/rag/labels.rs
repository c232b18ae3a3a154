//! What filters look at: the metadata of every chunk, derived from the stored rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{
    Result, io,
    storage::{Changes, ChunkId, ChunkLabel, DocumentStore},
    value::Map,
};
use tracing::warn;

use super::{filter::Filter, ids::Ids, reading::Readings};

/// Rows of the history read at once.
const PAGE_ROWS: usize = 4_096;

/// Filters whose chunks are remembered.
const ANSWERS_MAX: usize = 8;

/// Says which chunks a filter keeps.
#[derive(Debug)]
pub(super) struct Labels {
    follower: Arc<Follower>,
    readings: Readings<()>,
}

#[derive(Debug)]
struct Follower {
    store: Arc<dyn DocumentStore>,
    // A std lock: it is never held across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Up to where the history is counted.
    sequence: u64,
    documents: HashMap<Arc<str>, Labelled>,
    document_of: HashMap<ChunkId, Arc<str>>,
    /// Filters asked lately with what they keep, the last one last.
    answers: Vec<(Filter, Arc<Ids>)>,
}

/// A document and its chunks.
#[derive(Debug, Default)]
struct Labelled {
    metadata: Arc<Map>,
    chunks: Vec<ChunkId>,
}

impl Labels {
    pub(super) fn new(store: Arc<dyn DocumentStore>) -> Self {
        let follower = Follower {
            store,
            state: Mutex::default(),
        };
        Self {
            follower: Arc::new(follower),
            readings: Readings::default(),
        }
    }

    /// The chunks that a filter keeps, as of `seen` in the history or later.
    pub(super) async fn kept(&self, filter: Filter, seen: u64) -> Result<Arc<Ids>> {
        if self.follower.lock().sequence < seen {
            let begin = || {
                let follower = Arc::clone(&self.follower);
                async move { follower.follow().await }
            };
            self.readings.follow(begin).await?;
        }
        let follower = Arc::clone(&self.follower);
        io::spawn_blocking(move || Ok(follower.lock().kept(filter))).await
    }
}

impl Follower {
    async fn follow(self: Arc<Self>) -> Result<()> {
        loop {
            let after = self.lock().sequence;
            let page = self.store.labels(after, PAGE_ROWS).await?;
            if page.must_restart {
                let mut state = self.lock();
                if state.sequence == after {
                    *state = State::default();
                }
                continue;
            }
            if page.items.is_empty() {
                return Ok(());
            }
            let follower = Arc::clone(&self);
            io::spawn_blocking(move || {
                follower.lock().take(after, page);
                Ok(())
            })
            .await?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a page in, unless another reading has taken it meanwhile.
    fn take(&mut self, after: u64, page: Changes<ChunkLabel>) {
        if self.sequence != after {
            return;
        }
        self.answers.clear();
        for change in page.items {
            self.sequence = change.sequence;
            match change.added {
                None => self.remove(change.id),
                Some(Ok(label)) => self.add(change.id, label),
                Some(Err(error)) => {
                    warn!(chunk = change.id, %error, "no filter finds a damaged chunk");
                }
            }
        }
    }

    fn add(&mut self, id: ChunkId, label: ChunkLabel) {
        self.document_of.insert(id, Arc::clone(&label.document_id));
        let document = self.documents.entry(label.document_id).or_default();
        document.metadata = label.metadata;
        document.chunks.push(id);
    }

    fn remove(&mut self, id: ChunkId) {
        let Some(name) = self.document_of.remove(&id) else {
            return;
        };
        if let Some(document) = self.documents.get_mut(&name) {
            document.chunks.retain(|it| *it != id);
            if document.chunks.is_empty() {
                self.documents.remove(&name);
            }
        }
    }

    fn kept(&mut self, filter: Filter) -> Arc<Ids> {
        if let Some(place) = self.answers.iter().position(|(known, _)| *known == filter) {
            let answer = self.answers.remove(place);
            let kept = Arc::clone(&answer.1);
            self.answers.push(answer);
            return kept;
        }
        let documents = self.documents.values();
        let fitting = documents.filter(|it| filter.keeps(&it.metadata));
        let kept = fitting.flat_map(|it| it.chunks.iter().copied());
        let kept: Arc<Ids> = Arc::new(kept.collect());
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.remove(0);
        }
        self.answers.push((filter, Arc::clone(&kept)));
        kept
    }
}
