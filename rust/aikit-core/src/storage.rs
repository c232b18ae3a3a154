//! Storage: keys with revisions, documents with chunks and vectors, nearest-neighbour indexes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, value::Map};

/// Number of a write; grows with every write to a store, from 1, and is never used again.
pub type Revision = u64;

/// A value and the write that made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The bytes.
    pub value: Bytes,
    /// The write that made it.
    pub revision: Revision,
}

/// One key found by a scan. A damaged record is an error of its own key, not of the scan.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its record, or `corrupt_record` or `version_mismatch`.
    pub record: Result<Record>,
}

/// Writes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Revisions that keys must have; `None` means that the key must be absent.
    pub expect: Vec<(String, Option<Revision>)>,
    /// How many keys must begin with a prefix. With the revisions of all of them in `expect`, they
    /// are exactly those that were read: none changed, went or came.
    pub counts: Vec<(String, u64)>,
    /// Values to write.
    pub puts: Vec<(String, Bytes)>,
    /// Keys to delete; an absent one is no error. Applied before the puts.
    pub deletes: Vec<String>,
}

/// What a watcher sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// The write that changed it.
    pub revision: Revision,
    /// Whether the key was deleted; else it was written.
    pub is_deleted: bool,
}

/// Keys with values and revisions. Other handles and processes may write at the same time.
pub trait KeyValueStore: fmt::Debug + Send + Sync {
    /// Reads one key.
    ///
    /// # Errors
    ///
    /// `corrupt_record` for a damaged record, `version_mismatch` for one of a newer version.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>>;

    /// Lists up to `limit` keys that begin with `prefix` and come after the key `after`, in the
    /// order of their bytes.
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>>>;

    /// Applies a batch and answers its revision.
    ///
    /// # Errors
    ///
    /// `conflict` when a key has not the revision, or a prefix not the number of keys, that was
    /// expected; nothing is written then.
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Revision>>;

    /// Changes from now on to keys that begin with `prefix`, those of other processes included.
    ///
    /// Several writes to one key may be seen as one; the last is always seen.
    fn watch<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<KeyChange>>>>;
}

/// Identity of a chunk in its store; never used again after the chunk is deleted.
pub type ChunkId = u64;

/// A source and what was made of it.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Identity: a path or a name given by the caller.
    pub id: String,
    /// What led to the file, such as the folder it is in; `None` when the text itself was given.
    pub origin: Option<String>,
    /// Title, where the source has one.
    pub title: Option<String>,
    /// Hash of the content and of everything that shapes its chunks.
    pub content_hash: String,
    /// What the caller knows about it.
    pub metadata: Map,
    /// Its pieces, in order.
    pub chunks: Vec<Chunk>,
}

/// A piece of a document and its embedding.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The text.
    pub text: String,
    /// Headings above the text, outermost first.
    pub headings: Vec<String>,
    /// First character of the text in the document.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// Its embedding.
    pub embedded: Embedded,
}

/// What is known about a stored document without reading its chunks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentHead {
    /// Identity.
    pub id: String,
    /// What led to the file; `None` when the text itself was given.
    pub origin: Option<String>,
    /// Hash of the content and of everything that shapes its chunks.
    pub content_hash: String,
    /// Number of its chunks.
    pub chunks: usize,
}

/// A stored chunk with the document it belongs to.
#[derive(Clone, Debug)]
pub struct StoredChunk {
    /// Identity of the chunk.
    pub id: ChunkId,
    /// Identity of its document.
    pub document_id: String,
    /// Title of its document.
    pub title: Option<String>,
    /// Metadata of its document.
    pub metadata: Map,
    /// Place among the chunks of its document, from 0.
    pub position: usize,
    /// The text.
    pub text: String,
    /// Headings above the text, outermost first.
    pub headings: Vec<String>,
    /// First character of the text in the document.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
}

/// What filters look at of a chunk.
#[derive(Clone, Debug)]
pub struct ChunkLabel {
    /// Identity of its document.
    pub document_id: Arc<str>,
    /// Metadata of its document; one for all chunks of a document that are read together.
    pub metadata: Arc<Map>,
}

/// One chunk that came or went.
#[derive(Debug)]
pub struct ChunkChange<T = Embedded> {
    /// Place in the history of the store.
    pub sequence: u64,
    /// The chunk.
    pub id: ChunkId,
    /// What came, such as its embedding, or `corrupt_record`; `None` when the chunk went.
    pub added: Option<Result<T>>,
}

/// The part of a chunk that an index is built from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// The embedding, shape `(dimension,)`; empty where it is made from the terms.
    pub vector: Vec<f32>,
    /// Distinct terms, for an embedder that weighs them by how many chunks have them.
    pub terms: Vec<Term>,
}

/// A term of a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Hash of the term.
    pub hash: u32,
    /// How strongly the chunk has it.
    pub weight: f32,
}

/// A page of the history of a store.
#[derive(Debug)]
pub struct Changes<T = Embedded> {
    /// Chunks that came or went, in order.
    pub items: Vec<ChunkChange<T>>,
    /// The history does not reach back to where the reader is: it must begin anew at 0.
    pub must_restart: bool,
}

/// Which store this is, and how far its history is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct History {
    /// Random name that the store was given when it was made: a file that was deleted and made anew
    /// is another store, though its numbers begin at 1 again.
    pub identity: String,
    /// Sequence number of the last change; 0 before the first.
    pub sequence: u64,
}

/// What a store was made with; another embedder's vectors mean nothing beside its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EmbedderSettings {
    /// Name of the embedder.
    pub name: String,
    /// Length of its vectors.
    pub dimension: usize,
}

/// Documents with their chunks and vectors, written together or not at all.
pub trait DocumentStore: fmt::Debug + Send + Sync {
    /// The embedder of the store, if it has one.
    fn embedder(&self) -> BoxFuture<'_, Result<Option<EmbedderSettings>>>;

    /// The embedder of the store; `settings` become it when the store has none yet.
    fn claim(&self, settings: EmbedderSettings) -> BoxFuture<'_, Result<EmbedderSettings>>;

    /// Writes documents in one transaction; each replaces the document of its id.
    fn upsert(&self, documents: Vec<Document>) -> BoxFuture<'_, Result<()>>;

    /// Deletes documents in one transaction and answers how many there were.
    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<usize>>;

    /// Lists up to `limit` documents whose ids come after `after`, in the order of their bytes.
    fn heads<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DocumentHead>>>;

    /// The chunks with these ids, in the order asked for, those that are gone left out.
    ///
    /// # Errors
    ///
    /// `corrupt_record` for a damaged record.
    fn fetch(&self, ids: Vec<ChunkId>) -> BoxFuture<'_, Result<Vec<StoredChunk>>>;

    /// A document with its chunks and their embeddings; `None` when there is no such document.
    ///
    /// # Errors
    ///
    /// `corrupt_record` for a damaged record.
    fn document<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Document>>>;

    /// Which store this is, and how far its history is.
    fn history(&self) -> BoxFuture<'_, Result<History>>;

    /// Up to `limit` chunks that came or went after the sequence number `after`.
    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes>>;

    /// As [`DocumentStore::changes`], with the texts instead of the embeddings.
    fn texts(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<StoredChunk>>>;

    /// As [`DocumentStore::changes`], with what filters look at instead of the embeddings.
    fn labels(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<ChunkLabel>>>;
}

/// How near two vectors are; a score is always higher for the nearer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Cosine of the angle, -1 to 1.
    #[default]
    Cosine,
    /// Dot product.
    Dot,
    /// Negative squared Euclidean distance.
    L2,
}

impl Metric {
    /// Every metric.
    pub const ALL: &[Self] = &[Self::Cosine, Self::Dot, Self::L2];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        }
    }

    /// Finds a metric by its word.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another word.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().copied().find(|it| it.name() == name);
        found.ok_or_else(|| {
            Error::invalid_args(format!("no metric named `{name}`"))
                .with_hint("use `cosine`, `dot` or `l2`")
        })
    }
}

/// One row that a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The row's id.
    pub id: u64,
    /// Its similarity; higher is better.
    pub score: f32,
}

/// Keeps the rows that it answers `true` for.
pub type IdFilter<'a> = dyn Fn(u64) -> bool + Send + Sync + 'a;

/// Finds the nearest of many vectors. Only computes: call it on a thread that may be busy.
pub trait VectorIndex: fmt::Debug + Send + Sync {
    /// Length of every vector.
    fn dimension(&self) -> usize;

    /// How nearness is measured.
    fn metric(&self) -> Metric;

    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `rows`, shape `(ids.len(), dimension)`; a row replaces the one of its id.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a wrong length, for a number that is not finite, and for a vector of
    /// length zero where the metric is cosine; nothing is added then.
    fn add(&self, ids: &[u64], rows: &[f32]) -> Result<()>;

    /// Deletes rows and answers how many there were.
    fn delete(&self, ids: &[u64]) -> usize;

    /// Finds the `k` rows nearest to `query`, best first, equal scores by id.
    ///
    /// # Errors
    ///
    /// As for [`VectorIndex::add`].
    fn search(&self, query: &[f32], k: usize, filter: Option<&IdFilter<'_>>)
    -> Result<Vec<Scored>>;
}
