//! Documents with their chunks and vectors in SQLite.

use std::sync::Arc;

use aikit_core::{
    Result,
    storage::{
        Changes, Chunk, ChunkId, ChunkLabel, Document, DocumentHead, DocumentStore, Embedded,
        EmbedderSettings, History, StoredChunk, Term,
    },
    value::Map,
};
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use rusqlite::{OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    failed,
    history::{self, Bodies, changes},
    pool::{Database, advance, counter},
    signed, to_count, to_row, unsigned,
};
use crate::storage::{TOMBSTONES_MAX, check_distinct, record};

/// Key of the record that names the embedder.
const EMBEDDER: &str = "embedder";

#[derive(Debug)]
pub(super) struct Documents(pub(super) Arc<Database>);

/// What the record of a document holds.
#[derive(Debug, Deserialize, Serialize)]
struct DocumentBody {
    title: Option<String>,
    metadata: Map,
}

/// What the record of a chunk holds.
#[derive(Debug, Deserialize, Serialize)]
struct ChunkBody {
    text: String,
    headings: Vec<String>,
    start: usize,
    end: usize,
}

/// What the record of an embedding holds; numbers as little-endian bytes.
#[derive(Debug, Deserialize, Serialize)]
struct EmbeddingBody {
    vector: Bytes,
    term_hashes: Bytes,
    term_weights: Bytes,
}

impl DocumentStore for Documents {
    fn embedder(&self) -> BoxFuture<'_, Result<Option<EmbedderSettings>>> {
        self.0.read(embedder).boxed()
    }

    fn claim(&self, settings: EmbedderSettings) -> BoxFuture<'_, Result<EmbedderSettings>> {
        self.0
            .write(move |transaction| claim(transaction, settings))
            .boxed()
    }

    fn upsert(&self, documents: Vec<Document>) -> BoxFuture<'_, Result<()>> {
        let upserted = self.0.write(move |transaction| {
            check_distinct(documents.iter().map(|it| it.id.as_str()))?;
            for document in &documents {
                delete(transaction, &document.id)?;
                insert(transaction, document)?;
            }
            forget(transaction)
        });
        upserted.boxed()
    }

    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<usize>> {
        let deleted = self.0.write(move |transaction| {
            let mut count = 0;
            for id in &ids {
                count += usize::from(delete(transaction, id)?);
            }
            forget(transaction)?;
            Ok(count)
        });
        deleted.boxed()
    }

    fn heads<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DocumentHead>>> {
        let after = after.map(str::to_owned);
        let found = self.0.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached(
                    "SELECT id, origin, content_hash, chunks FROM documents
                     WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2",
                )
                .map_err(failed)?;
            let heads = statement
                .query_map((after, to_row(limit)), |row| {
                    Ok(DocumentHead {
                        id: row.get(0)?,
                        origin: row.get(1)?,
                        content_hash: row.get(2)?,
                        chunks: row.get::<_, i64>(3).map(to_count)?,
                    })
                })
                .map_err(failed)?;
            heads.collect::<Result<_, _>>().map_err(failed)
        });
        found.boxed()
    }

    fn fetch(&self, ids: Vec<ChunkId>) -> BoxFuture<'_, Result<Vec<StoredChunk>>> {
        let found = self.0.read(move |transaction| {
            let found = ids.iter().map(|id| fetch(transaction, *id));
            found.filter_map(Result::transpose).collect()
        });
        found.boxed()
    }

    fn document<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Document>>> {
        let id = id.to_owned();
        self.0
            .read(move |transaction| document(transaction, id))
            .boxed()
    }

    fn history(&self) -> BoxFuture<'_, Result<History>> {
        async move {
            match self.0.read(history::history).await? {
                Some(history) => Ok(history),
                None => self.0.write(history::name_store).await,
            }
        }
        .boxed()
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes>> {
        let embedding = "embedding";
        self.0
            .read(move |transaction| {
                changes(transaction, (after, limit), embedding, |id, row| {
                    let bytes: Vec<u8> = row.get(2).map_err(failed)?;
                    Ok(decode_embedding(id, &bytes))
                })
            })
            .boxed()
    }

    fn texts(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<StoredChunk>>> {
        self.0
            .read(move |transaction| {
                let mut documents = Bodies::new(transaction);
                changes(transaction, (after, limit), "record", |id, row| {
                    let bytes: Vec<u8> = row.get(2).map_err(failed)?;
                    let position = row.get::<_, i64>(4).map(to_count).map_err(failed)?;
                    let (document_id, document) = documents.of(row)?;
                    Ok(document.and_then(|document| {
                        stored(id, &bytes, (&document_id, position), &document)
                    }))
                })
            })
            .boxed()
    }

    fn labels(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Changes<ChunkLabel>>> {
        self.0
            .read(move |transaction| {
                let mut documents = Bodies::new(transaction);
                changes(transaction, (after, limit), "x''", |_, row| {
                    let (document_id, document) = documents.of(row)?;
                    Ok(document.map(|document| ChunkLabel {
                        document_id,
                        metadata: Arc::clone(&document.metadata),
                    }))
                })
            })
            .boxed()
    }
}

fn embedder(transaction: &Transaction<'_>) -> Result<Option<EmbedderSettings>> {
    setting(transaction, EMBEDDER)
}

/// The setting `name`, if it was ever written.
pub(super) fn setting<T: DeserializeOwned>(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<T>> {
    let found: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT record FROM settings WHERE name = ?1")
        .and_then(|mut it| it.query_row([name], |row| row.get(0)).optional())
        .map_err(failed)?;
    found.map(|bytes| record::decode(name, &bytes)).transpose()
}

fn claim(transaction: &Transaction<'_>, settings: EmbedderSettings) -> Result<EmbedderSettings> {
    if let Some(found) = embedder(transaction)? {
        return Ok(found);
    }
    transaction
        .execute(
            "INSERT INTO settings (name, record) VALUES (?1, ?2)",
            (EMBEDDER, record::encode(EMBEDDER, &settings)?),
        )
        .map_err(failed)?;
    Ok(settings)
}

fn insert(transaction: &Transaction<'_>, document: &Document) -> Result<()> {
    let body = DocumentBody {
        title: document.title.clone(),
        metadata: document.metadata.clone(),
    };
    let record = record::encode(&document.id, &body)?;
    let count = document.chunks.len();
    transaction
        .prepare_cached(
            "INSERT INTO documents (id, origin, content_hash, chunks, record)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut it| {
            it.execute((
                &document.id,
                &document.origin,
                &document.content_hash,
                to_row(count),
                record,
            ))
        })
        .map_err(failed)?;
    let first_id = advance(transaction, "chunk", count as u64)? + 1;
    let first_sequence = advance(transaction, "sequence", count as u64)? + 1;
    let mut statement = transaction
        .prepare_cached(
            "INSERT INTO chunks (id, document_id, position, sequence, record, embedding)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .map_err(failed)?;
    for (position, chunk) in document.chunks.iter().enumerate() {
        let id = first_id + position as u64;
        let (record, embedding) = encode_chunk(id, chunk)?;
        statement
            .execute((
                signed(id),
                &document.id,
                to_row(position),
                signed(first_sequence + position as u64),
                record,
                embedding,
            ))
            .map_err(failed)?;
    }
    Ok(())
}

fn delete(transaction: &Transaction<'_>, document_id: &str) -> Result<bool> {
    let execute = |sql: &str| {
        transaction
            .prepare_cached(sql)
            .and_then(|mut it| it.execute([document_id]))
            .map_err(failed)
    };
    if execute("DELETE FROM documents WHERE id = ?1")? == 0 {
        return Ok(false);
    }
    let mut ids: Vec<i64> = transaction
        .prepare_cached("SELECT id FROM chunks WHERE document_id = ?1")
        .and_then(|mut it| it.query_map([document_id], |row| row.get(0))?.collect())
        .map_err(failed)?;
    ids.sort_unstable();
    execute("DELETE FROM chunks WHERE document_id = ?1")?;
    let mut sequence = advance(transaction, "sequence", ids.len() as u64)?;
    let mut statement = transaction
        .prepare_cached("INSERT INTO deleted_chunks (sequence, id) VALUES (?1, ?2)")
        .map_err(failed)?;
    for id in ids {
        sequence += 1;
        statement.execute((signed(sequence), id)).map_err(failed)?;
    }
    Ok(true)
}

/// Keeps the history of deletions bounded; a reader that is further behind begins anew.
fn forget(transaction: &Transaction<'_>) -> Result<()> {
    let kept = transaction
        .prepare_cached(
            "SELECT sequence FROM deleted_chunks ORDER BY sequence DESC LIMIT 1 OFFSET ?1",
        )
        .and_then(|mut it| {
            it.query_row([to_row(TOMBSTONES_MAX)], |row| row.get::<_, i64>(0))
                .optional()
        })
        .map_err(failed)?;
    let Some(forgotten) = kept else {
        return Ok(());
    };
    transaction
        .execute(
            "DELETE FROM deleted_chunks WHERE sequence <= ?1",
            [forgotten],
        )
        .map_err(failed)?;
    let before = counter(transaction, "forgotten")?;
    advance(
        transaction,
        "forgotten",
        unsigned(forgotten).saturating_sub(before),
    )?;
    Ok(())
}

fn fetch(transaction: &Transaction<'_>, id: ChunkId) -> Result<Option<StoredChunk>> {
    let row = transaction
        .prepare_cached(
            "SELECT chunks.document_id, chunks.position, chunks.record, documents.record
             FROM chunks JOIN documents ON documents.id = chunks.document_id
             WHERE chunks.id = ?1",
        )
        .and_then(|mut it| {
            it.query_row([signed(id)], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, i64>(1).map(to_count)?,
                    row.get::<_, Vec<u8>>(2)?,
                    row.get::<_, Vec<u8>>(3)?,
                ))
            })
            .optional()
        })
        .map_err(failed)?;
    let Some((document_id, position, chunk, document)) = row else {
        return Ok(None);
    };
    let document = Body::decode(&document_id, &document)?;
    stored(id, &chunk, (&document_id, position), &document).map(Some)
}

/// A chunk as it is handed out, from its record, its place and its document.
fn stored(
    id: ChunkId,
    record: &[u8],
    (document_id, position): (&str, usize),
    document: &Body,
) -> Result<StoredChunk> {
    let chunk: ChunkBody = record::decode(&chunk_key(id), record)?;
    Ok(StoredChunk {
        id,
        document_id: document_id.to_owned(),
        title: document.title.clone(),
        metadata: Map::clone(&document.metadata),
        position,
        text: chunk.text,
        headings: chunk.headings,
        start: chunk.start,
        end: chunk.end,
    })
}

/// The record of a document, shared by its chunks.
#[derive(Clone, Debug)]
pub(super) struct Body {
    title: Option<String>,
    metadata: Arc<Map>,
}

impl Body {
    pub(super) fn decode(document_id: &str, record: &[u8]) -> Result<Self> {
        let body: DocumentBody = record::decode(document_id, record)?;
        Ok(Self {
            title: body.title,
            metadata: Arc::new(body.metadata),
        })
    }
}

fn document(transaction: &Transaction<'_>, id: String) -> Result<Option<Document>> {
    let found: Option<(Option<String>, String, Vec<u8>)> = transaction
        .prepare_cached("SELECT origin, content_hash, record FROM documents WHERE id = ?1")
        .and_then(|mut it| {
            it.query_row([&id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        })
        .map_err(failed)?;
    let Some((origin, content_hash, record)) = found else {
        return Ok(None);
    };
    let body: DocumentBody = record::decode(&id, &record)?;
    Ok(Some(Document {
        chunks: chunks(transaction, &id)?,
        id,
        origin,
        title: body.title,
        content_hash,
        metadata: body.metadata,
    }))
}

fn chunks(transaction: &Transaction<'_>, document_id: &str) -> Result<Vec<Chunk>> {
    let mut statement = transaction
        .prepare_cached(
            "SELECT id, record, embedding FROM chunks WHERE document_id = ?1 ORDER BY position",
        )
        .map_err(failed)?;
    let mut rows = statement.query([document_id]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let id = unsigned(row.get(0).map_err(failed)?);
        let record: Vec<u8> = row.get(1).map_err(failed)?;
        let embedding: Vec<u8> = row.get(2).map_err(failed)?;
        let body: ChunkBody = record::decode(&chunk_key(id), &record)?;
        found.push(Chunk {
            text: body.text,
            headings: body.headings,
            start: body.start,
            end: body.end,
            embedded: decode_embedding(id, &embedding)?,
        });
    }
    Ok(found)
}

fn chunk_key(id: ChunkId) -> String {
    format!("chunk {id}")
}

fn embedding_key(id: ChunkId) -> String {
    format!("embedding of chunk {id}")
}

fn encode_chunk(id: ChunkId, chunk: &Chunk) -> Result<(Vec<u8>, Vec<u8>)> {
    let body = ChunkBody {
        text: chunk.text.clone(),
        headings: chunk.headings.clone(),
        start: chunk.start,
        end: chunk.end,
    };
    let embedded = &chunk.embedded;
    let weights = embedded.terms.iter().map(|term| term.weight);
    let hashes = embedded.terms.iter().flat_map(|it| it.hash.to_le_bytes());
    let embedding = EmbeddingBody {
        vector: to_bytes(embedded.vector.iter().copied()),
        term_hashes: hashes.collect(),
        term_weights: to_bytes(weights),
    };
    Ok((
        record::encode(&chunk_key(id), &body)?,
        record::encode(&embedding_key(id), &embedding)?,
    ))
}

fn decode_embedding(id: ChunkId, bytes: &[u8]) -> Result<Embedded> {
    let body: EmbeddingBody = record::decode(&embedding_key(id), bytes)?;
    let (hashes, _) = body.term_hashes.as_chunks();
    let hashes = hashes.iter().map(|it| u32::from_le_bytes(*it));
    let terms = hashes.zip(from_bytes(&body.term_weights));
    Ok(Embedded {
        vector: from_bytes(&body.vector).collect(),
        terms: terms.map(|(hash, weight)| Term { hash, weight }).collect(),
    })
}

fn to_bytes(numbers: impl Iterator<Item = f32>) -> Bytes {
    numbers.flat_map(f32::to_le_bytes).collect()
}

fn from_bytes(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|it| f32::from_le_bytes(*it))
}
