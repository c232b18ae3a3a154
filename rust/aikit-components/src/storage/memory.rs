//! A store that lives as long as its handles.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{
    Result,
    storage::{
        Batch, Changes, Chunk, ChunkChange, ChunkId, ChunkLabel, Document, DocumentHead,
        DocumentStore, EmbedderSettings, Entry, History, KeyChange, KeyValueStore, Record,
        Revision, StoredChunk,
    },
};
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use super::{Stores, TOMBSTONES_MAX, check_count, check_distinct, check_expected, final_writes};

/// Opens an empty store; the path is not looked at.
pub(super) fn open(_path: Option<PathBuf>) -> BoxFuture<'static, Result<Stores>> {
    let stores = Stores {
        keys: Arc::new(Keys::default()),
        documents: Arc::new(Documents::default()),
    };
    ready(Ok(stores)).boxed()
}

#[derive(Debug, Default)]
struct Keys(Arc<KeyTable>);

#[derive(Debug, Default)]
struct KeyTable {
    state: Mutex<KeyState>,
    written: watch::Sender<Revision>,
}

#[derive(Debug, Default)]
struct KeyState {
    revision: Revision,
    records: BTreeMap<String, Record>,
    deleted: VecDeque<KeyChange>,
}

impl KeyValueStore for Keys {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        ready(Ok(self.0.lock().records.get(key).cloned())).boxed()
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>>> {
        let state = self.0.lock();
        let begin = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let found = state.records.range::<str, _>((begin, Bound::Unbounded));
        let found = found.take_while(|(key, _)| key.starts_with(prefix));
        let entries = found.take(limit).map(|(key, record)| Entry {
            key: key.clone(),
            record: Ok(record.clone()),
        });
        ready(Ok(entries.collect())).boxed()
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Revision>> {
        let applied = self.0.lock().apply(&batch);
        if let Ok(revision) = applied {
            self.0.written.send_replace(revision);
        }
        ready(applied).boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<KeyChange>>>> {
        let table = Arc::clone(&self.0);
        let written = self.0.written.subscribe();
        let seen = self.0.lock().revision;
        let prefix = prefix.to_owned();
        let pages = stream::unfold((table, written, seen), move |(table, mut written, seen)| {
            let prefix = prefix.clone();
            async move {
                // The table keeps the sender, so waiting cannot fail while this stream lives.
                written.wait_for(|revision| *revision > seen).await.ok()?;
                let (changes, seen) = table.lock().changes(&prefix, seen);
                Some((
                    stream::iter(changes.into_iter().map(Ok)),
                    (table, written, seen),
                ))
            }
        });
        ready(Ok(pages.flatten().boxed())).boxed()
    }
}

impl KeyTable {
    fn lock(&self) -> MutexGuard<'_, KeyState> {
        // A std mutex: it is never held across an await.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyState {
    fn apply(&mut self, batch: &Batch) -> Result<Revision> {
        for (key, expected) in &batch.expect {
            let found = self.records.get(key).map(|record| record.revision);
            check_expected(key, *expected, found)?;
        }
        for (prefix, expected) in &batch.counts {
            let found = self.below(prefix).count();
            check_count(prefix, *expected, found as u64)?;
        }
        self.revision += 1;
        for (key, value) in final_writes(batch) {
            match value {
                Some(value) => {
                    let record = Record {
                        value: Bytes::copy_from_slice(value),
                        revision: self.revision,
                    };
                    self.records.insert(key.to_owned(), record);
                }
                None if self.records.remove(key).is_some() => self.deleted.push_back(KeyChange {
                    key: key.to_owned(),
                    revision: self.revision,
                    is_deleted: true,
                }),
                None => {}
            }
        }
        let surplus = self.deleted.len().saturating_sub(TOMBSTONES_MAX);
        self.deleted.drain(..surplus);
        Ok(self.revision)
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Record)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let records = self.records.range::<str, _>(from);
        records.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// The last change of each key after `seen`, in order, and the revision they reach.
    fn changes(&self, prefix: &str, seen: Revision) -> (Vec<KeyChange>, Revision) {
        let written = self.below(prefix).map(|(key, record)| KeyChange {
            key: key.clone(),
            revision: record.revision,
            is_deleted: false,
        });
        let deleted = self.deleted.iter().filter(|change| {
            change.key.starts_with(prefix) && !self.records.contains_key(&change.key)
        });
        let mut changes: Vec<KeyChange> = written
            .chain(deleted.cloned())
            .filter(|change| change.revision > seen)
            .collect();
        changes.sort_by_key(|change| change.revision);
        (changes, self.revision)
    }
}

#[derive(Debug, Default)]
struct Documents(Mutex<DocumentState>);

#[derive(Debug, Default)]
struct DocumentState {
    settings: Option<EmbedderSettings>,
    last_chunk: ChunkId,
    sequence: u64,
    documents: BTreeMap<String, (Document, Vec<ChunkId>)>,
    chunks: BTreeMap<ChunkId, (String, usize)>,
    added: BTreeMap<u64, ChunkId>,
    sequence_of: BTreeMap<ChunkId, u64>,
    deleted: BTreeMap<u64, ChunkId>,
    forgotten: u64,
}

impl DocumentStore for Documents {
    fn embedder(&self) -> BoxFuture<'_, Result<Option<EmbedderSettings>>> {
        ready(Ok(self.lock().settings.clone())).boxed()
    }

    fn claim(&self, settings: EmbedderSettings) -> BoxFuture<'_, Result<EmbedderSettings>> {
        let claimed = self.lock().settings.get_or_insert(settings).clone();
        ready(Ok(claimed)).boxed()
    }

    fn upsert(&self, documents: Vec<Document>) -> BoxFuture<'_, Result<()>> {
        let distinct = check_distinct(documents.iter().map(|it| it.id.as_str()));
        if distinct.is_ok() {
            let mut state = self.lock();
            for document in documents {
                state.delete(&document.id);
                state.insert(document);
            }
        }
        ready(distinct).boxed()
    }

    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<usize>> {
        let mut state = self.lock();
        let deleted = ids.iter().filter(|id| state.delete(id)).count();
        ready(Ok(deleted)).boxed()
    }

    fn heads<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DocumentHead>>> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.lock();
        let found = state.documents.range::<str, _>((begin, Bound::Unbounded));
        let heads = found
            .take(limit)
            .map(|(id, (document, chunks))| DocumentHead {
                id: id.clone(),
                origin: document.origin.clone(),
                content_hash: document.content_hash.clone(),
                chunks: chunks.len(),
            });
        ready(Ok(heads.collect())).boxed()
    }

    fn fetch(&self, ids: Vec<ChunkId>) -> BoxFuture<'_, Result<Vec<StoredChunk>>> {
        let state = self.lock();
        let found = ids.into_iter().filter_map(|id| state.stored(id));
        ready(Ok(found.collect())).boxed()
    }

    fn document<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Document>>> {
        let state = self.lock();
        let found = state.documents.get(id);
        ready(Ok(found.map(|(document, _)| document.clone()))).boxed()
    }

    fn history(&self) -> BoxFuture<'_, Result<History>> {
        let history = History {
            // Nothing outlives the store that could be taken for another one's.
            identity: String::new(),
            sequence: self.lock().sequence,
        };
        ready(Ok(history)).boxed()
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes>> {
        let state = self.lock();
        let embedded = |id| Some(state.chunk(id)?.1.embedded.clone());
        ready(Ok(state.changes(after, limit, embedded))).boxed()
    }

    fn texts(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<StoredChunk>>> {
        let state = self.lock();
        ready(Ok(state.changes(after, limit, |id| state.stored(id)))).boxed()
    }

    fn labels(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<ChunkLabel>>> {
        let state = self.lock();
        let label = |id| {
            let (document, _, _) = state.chunk(id)?;
            Some(ChunkLabel {
                document_id: document.id.as_str().into(),
                metadata: Arc::new(document.metadata.clone()),
            })
        };
        ready(Ok(state.changes(after, limit, label))).boxed()
    }
}

impl Documents {
    fn lock(&self) -> MutexGuard<'_, DocumentState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DocumentState {
    fn insert(&mut self, document: Document) {
        let mut ids = Vec::with_capacity(document.chunks.len());
        for position in 0..document.chunks.len() {
            self.last_chunk += 1;
            self.sequence += 1;
            ids.push(self.last_chunk);
            self.chunks
                .insert(self.last_chunk, (document.id.clone(), position));
            self.added.insert(self.sequence, self.last_chunk);
            self.sequence_of.insert(self.last_chunk, self.sequence);
        }
        self.documents.insert(document.id.clone(), (document, ids));
    }

    fn delete(&mut self, id: &str) -> bool {
        let Some((_, ids)) = self.documents.remove(id) else {
            return false;
        };
        for id in ids {
            self.chunks.remove(&id);
            if let Some(sequence) = self.sequence_of.remove(&id) {
                self.added.remove(&sequence);
            }
            self.sequence += 1;
            self.deleted.insert(self.sequence, id);
        }
        while self.deleted.len() > TOMBSTONES_MAX {
            if let Some((sequence, _)) = self.deleted.pop_first() {
                self.forgotten = sequence;
            }
        }
        true
    }

    /// A chunk with its document and its place there.
    fn chunk(&self, id: ChunkId) -> Option<(&Document, &Chunk, usize)> {
        let (document_id, position) = self.chunks.get(&id)?;
        let (document, _) = self.documents.get(document_id)?;
        Some((document, document.chunks.get(*position)?, *position))
    }

    fn stored(&self, id: ChunkId) -> Option<StoredChunk> {
        let (document, chunk, position) = self.chunk(id)?;
        Some(StoredChunk {
            id,
            document_id: document.id.clone(),
            title: document.title.clone(),
            metadata: document.metadata.clone(),
            position,
            text: chunk.text.clone(),
            headings: chunk.headings.clone(),
            start: chunk.start,
            end: chunk.end,
        })
    }

    /// A page of the history with what `added` says of each chunk that is there.
    fn changes<T>(
        &self,
        after: u64,
        limit: usize,
        added: impl Fn(ChunkId) -> Option<T>,
    ) -> Changes<T> {
        if after != 0 && after < self.forgotten {
            return Changes {
                items: Vec::new(),
                must_restart: true,
            };
        }
        let later = (Bound::Excluded(after), Bound::Unbounded);
        let present = self.added.range(later).take(limit);
        let present =
            present.filter_map(|(sequence, id)| Some((*sequence, *id, Some(Ok(added(*id)?)))));
        let deleted = self.deleted.range(later).take(limit);
        let deleted = deleted.map(|(sequence, id)| (*sequence, *id, None));
        let mut items: Vec<ChunkChange<T>> = present
            .chain(deleted)
            .map(|(sequence, id, added)| ChunkChange {
                sequence,
                id,
                added,
            })
            .collect();
        items.sort_by_key(|change| change.sequence);
        items.truncate(limit);
        Changes {
            items,
            must_restart: false,
        }
    }
}
