//! Ingest: finds sources, reads, splits and embeds them, and stores what changed.

use std::{collections::HashMap, time::Duration};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    event::EventKind,
    io,
    meter::Meter,
    storage::{Chunk, Document, DocumentHead, DocumentStore, Embedded},
    tool::ToolContext,
    value::Map,
};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    Inner,
    chunking::{Piece, Size},
    embedding::EmbedInput,
    loaders::Loader,
    search::check_word,
    sources::{self, Content, Found, Heads, Item, Source, ends_the_call},
    stage::{self, LOAD, SPLIT, stage},
};

/// Documents that are read, split and embedded at once.
const PARALLEL: usize = 4;

/// Documents and chunks of one transaction: one `fsync` for all of them.
const BATCH_DOCUMENTS: usize = 64;
const BATCH_CHUNKS: usize = 1_024;

/// An ingest that takes no longer is not worth a bar.
const BAR_DELAY: Duration = Duration::from_millis(500);

/// Heads read at once.
const PAGE_HEADS: usize = 4_096;

/// Changes when loaders or chunkers make something else of the same bytes.
const VERSION: u32 = 2;

/// What happens to documents whose file is no longer where it was.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// They are deleted from the store.
    #[default]
    Delete,
    /// They stay in the store.
    Keep,
}

/// How to ingest.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestOptions {
    /// What happens to documents of the same folder or glob whose file is gone.
    pub gone: Gone,
    /// What is known about every document of this call.
    pub metadata: Map,
}

impl IngestOptions {
    /// Reads options as a script or a program gives them.
    ///
    /// # Errors
    ///
    /// `invalid_args` that names the option which does not fit.
    pub fn from_value(given: Value) -> Result<Self> {
        check_word(&given, "gone", GONE)?;
        let read: Result<Self> = given.deserialize();
        read.map_err(|error| error.with_hint("the options are `gone` and `metadata`"))
    }
}

/// What may happen to documents whose source is gone, by name.
pub const GONE: &[&str] = &["delete", "keep"];

/// What an ingest did.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct IngestReport {
    /// Documents that are new.
    pub added: usize,
    /// Documents whose content changed.
    pub updated: usize,
    /// Documents that were there already.
    pub unchanged: usize,
    /// Documents whose file is gone.
    pub deleted: usize,
    /// Sources that could not be ingested; the rest was.
    pub failed: Vec<Failure>,
    /// Files of folders and globs that were left out, because their names do not say what reads
    /// them.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// Chunks written.
    pub chunks: usize,
    /// Those of them whose text was new and was embedded; the others kept their embeddings.
    pub embedded: usize,
}

/// A source that could not be ingested.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    /// Path or id.
    pub source: String,
    /// Code of the error's kind.
    pub kind: String,
    /// What went wrong.
    pub reason: String,
}

/// A file that was left out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Skipped {
    /// Its path.
    pub source: String,
    /// Why.
    pub reason: String,
}

/// What became of an item.
#[derive(Debug)]
enum Outcome {
    Unchanged,
    /// The document, and how many of its chunks were embedded for it.
    Changed(Document, usize),
}

/// Ingests all sources.
pub(super) async fn run(
    inner: &Inner,
    cx: &ToolContext,
    sources: Vec<Source>,
    options: IngestOptions,
) -> Result<IngestReport> {
    let heads = heads(&*inner.store).await?;
    let mut found = sources::find(cx, sources, &options.metadata, &heads).await?;
    let mut report = IngestReport {
        failed: found
            .failed
            .iter()
            .map(|(it, error)| failure(it, error))
            .collect(),
        skipped: found.skipped(),
        ..IngestReport::default()
    };
    let total = found.items.len();
    let items = std::mem::take(&mut found.items);
    let numbered = items.into_values().enumerate();
    let prepared = stream::iter(numbered).map(|(number, item)| {
        let heads = &heads;
        async move {
            let known = heads.get(&item.id);
            let id = item.id.clone();
            (number, id, prepare(inner, cx, item, known).await)
        }
    });
    let mut prepared = prepared.buffer_unordered(PARALLEL);
    let mut batch = Batch::default();
    let mut done = 0;
    let mut meter = Meter::start(&cx.context, "Documents", Some(total as u64), BAR_DELAY);
    while let Some((number, id, outcome)) = prepared.next().await {
        cx.context.check()?;
        done += 1;
        match outcome {
            Ok(Outcome::Unchanged) => report.unchanged += 1,
            Ok(Outcome::Changed(document, embedded)) => {
                batch.push((number, document), embedded, heads.contains_key(&id));
                if batch.is_full() {
                    batch.store(inner, &mut report).await?;
                }
            }
            Err(error) if ends_the_call(&error) => return Err(error),
            Err(error) => report.failed.push(failure(&id, &error)),
        }
        progress(&cx.context, (done, total, &id), &report, &batch);
        meter.update(done as u64);
    }
    meter.close();
    batch.store(inner, &mut report).await?;
    if options.gone == Gone::Delete {
        report.deleted = delete_gone(inner, cx, &heads, &found).await?;
    }
    report.failed.sort_by(|a, b| a.source.cmp(&b.source));
    if inner
        .keyword
        .is_worth_saving(report.chunks + report.deleted)
    {
        // Else whoever searches first would wait for it, in each new process again.
        if let Err(error) = inner.keyword.catch_up().await {
            warn!(%error, "the keyword index is made by the next search");
        }
    }
    Ok(report)
}

/// Documents of one transaction.
#[derive(Debug, Default)]
struct Batch {
    /// Each with its number among the sources.
    documents: Vec<(usize, Document)>,
    chunks: usize,
    embedded: usize,
    updated: usize,
}

impl Batch {
    fn push(&mut self, document: (usize, Document), embedded: usize, is_known: bool) {
        self.embedded += embedded;
        self.chunks += document.1.chunks.len();
        self.updated += usize::from(is_known);
        self.documents.push(document);
    }

    fn is_full(&self) -> bool {
        self.documents.len() >= BATCH_DOCUMENTS || self.chunks >= BATCH_CHUNKS
    }

    async fn store(&mut self, inner: &Inner, report: &mut IngestReport) -> Result<()> {
        let mut batch = std::mem::take(self);
        if batch.documents.is_empty() {
            return Ok(());
        }
        let count = batch.documents.len();
        // They were ready in any order, and the older of two equal hits comes first.
        batch.documents.sort_unstable_by_key(|it| it.0);
        let documents = batch.documents.into_iter().map(|it| it.1);
        inner.store.upsert(documents.collect()).await?;
        report.chunks += batch.chunks;
        report.embedded += batch.embedded;
        report.updated += batch.updated;
        report.added += count - batch.updated;
        Ok(())
    }
}

/// Reads, splits and embeds one document, unless it is stored already.
async fn prepare(
    inner: &Inner,
    cx: &ToolContext,
    item: Item,
    known: Option<&DocumentHead>,
) -> Result<Outcome> {
    let about = ("aikit.rag.document", item.id.as_str());
    let reading = |inner| async {
        let cx = cx.with_context(inner);
        sources::read(&cx, &item).await
    };
    let (text, loader, title) = stage(&cx.context, LOAD, about, reading).await?;
    let size = Size {
        tokens: inner.options.chunk_size_tokens,
        overlap: inner.options.overlap_tokens(),
    };
    let content_hash = fingerprint(&item, &text, loader, (inner.chunker.name, size))?;
    let is_same = |head: &DocumentHead| {
        // How a file was named does not matter, but that it is one does.
        head.content_hash == content_hash && head.origin.is_some() == item.origin.is_some()
    };
    if known.is_some_and(is_same) {
        return Ok(Outcome::Unchanged);
    }
    let chunker = inner.chunker;
    let splitting = |inner: Context| async move {
        let (title, pieces) = io::spawn_blocking(move || {
            let document = loader.load(text);
            let pieces = chunker.split(&document, size);
            Ok((title.or(document.title), pieces))
        })
        .await?;
        stage::note(&inner, "aikit.rag.chunks", pieces.len());
        Ok((title, pieces))
    };
    let about = ("aikit.rag.chunker", chunker.name);
    let (title, pieces) = stage(&cx.context, SPLIT, about, splitting).await?;
    let known = match known {
        Some(head) => stored(inner, &head.id).await,
        None => HashMap::new(),
    };
    let (chunks, embedded) = embed(inner, &cx.context, (title.as_deref(), known), pieces).await?;
    let document = Document {
        id: item.id,
        origin: item.origin,
        title,
        content_hash,
        metadata: item.metadata,
        chunks,
    };
    Ok(Outcome::Changed(document, embedded))
}

/// The embeddings of a stored document by what they were made from.
async fn stored(inner: &Inner, id: &str) -> HashMap<EmbedInput, Embedded> {
    // One that is damaged is embedded anew.
    let Ok(Some(document)) = inner.store.document(id).await else {
        return HashMap::new();
    };
    let title = document.title.as_deref();
    let chunks = document.chunks.into_iter().map(|chunk| {
        let input = EmbedInput::of(title, &chunk.headings, &chunk.text);
        (input, chunk.embedded)
    });
    chunks.collect()
}

/// A hash of everything that shapes the stored document.
fn fingerprint(item: &Item, text: &str, loader: &Loader, chunking: (&str, Size)) -> Result<String> {
    let title = match &item.content {
        Content::Record(record) => record.title.clone(),
        Content::File | Content::Page => None,
    };
    let (chunker, size) = chunking;
    let shape = (
        VERSION,
        loader.name,
        chunker,
        size.tokens,
        size.overlap,
        title,
        Value::Map(item.metadata.clone())
            .to_escaped_json()
            .to_string(),
    );
    let shape = serde_json::to_vec(&shape)
        .map_err(|error| Error::internal("a document has no hash").with_source(error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(shape.len() as u64).to_le_bytes());
    hasher.update(&shape);
    hasher.update(text.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

/// The chunks of pieces, and how many of them had to be embedded: those whose text is `known` keep
/// the embedding they have.
async fn embed(
    inner: &Inner,
    cx: &Context,
    (title, known): (Option<&str>, HashMap<EmbedInput, Embedded>),
    pieces: Vec<Piece>,
) -> Result<(Vec<Chunk>, usize)> {
    let inputs = pieces
        .iter()
        .map(|piece| EmbedInput::of(title, &piece.headings, &piece.text));
    let found: Vec<Result<Embedded, EmbedInput>> = inputs
        .map(|input| known.get(&input).cloned().ok_or(input))
        .collect();
    let new: Vec<EmbedInput> = found
        .iter()
        .filter_map(|it| it.as_ref().err().cloned())
        .collect();
    let count = new.len();
    let made = if new.is_empty() {
        Vec::new()
    } else {
        inner.embed(cx, new).await?
    };
    if made.len() != count {
        let message = format!(
            "the embedder answered {} vectors for {count} texts",
            made.len()
        );
        return Err(Error::new(ErrorKind::BadResponse, message)
            .with_hint("check the model or function that embeds"));
    }
    let mut made = made.into_iter();
    let mut chunks = Vec::with_capacity(pieces.len());
    for (piece, found) in pieces.into_iter().zip(found) {
        let Some(embedded) = found.ok().or_else(|| made.next()) else {
            break;
        };
        chunks.push(Chunk {
            text: piece.text,
            headings: piece.headings,
            start: piece.start,
            end: piece.end,
            embedded,
        });
    }
    Ok((chunks, count))
}

/// Deletes the documents whose file is gone. A file that is there but was not listed, because
/// another glob leads to it, keeps its document.
async fn delete_gone(
    inner: &Inner,
    cx: &ToolContext,
    heads: &Heads,
    found: &Found,
) -> Result<usize> {
    let mut gone = Vec::new();
    for head in heads.values().filter(|head| found.misses(head)) {
        let resolved = cx.services.files()?.resolve(&cx.context, &head.id).await;
        if resolved.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            gone.push(head.id.clone());
        }
    }
    if gone.is_empty() {
        return Ok(0);
    }
    inner.store.delete(gone).await
}

/// Every stored document by its id.
pub(super) async fn heads(store: &dyn DocumentStore) -> Result<Heads> {
    let mut all = Heads::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.heads(after.as_deref(), PAGE_HEADS).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.id.clone());
        all.extend(page.into_iter().map(|head| (head.id.clone(), head)));
    }
}

fn failure(source: &str, error: &Error) -> Failure {
    let hint = error
        .hint()
        .map(|hint| format!(": {hint}"))
        .unwrap_or_default();
    Failure {
        source: source.to_owned(),
        kind: error.kind().code().to_owned(),
        reason: format!("{}{hint}", error.message()),
    }
}

/// Tells how far an ingest is; documents of a batch that is not stored yet count as well.
fn progress(cx: &Context, at: (usize, usize, &str), report: &IngestReport, batch: &Batch) {
    if cx.is_observed() {
        let (done, total, id) = at;
        let added = report.added + batch.documents.len() - batch.updated;
        let data = Value::map([
            ("done", Value::from(done)),
            ("total", Value::from(total)),
            ("source", Value::from(id)),
            ("added", Value::from(added)),
            ("updated", Value::from(report.updated + batch.updated)),
            ("unchanged", Value::from(report.unchanged)),
            ("failed", Value::from(report.failed.len())),
            ("chunks", Value::from(report.chunks + batch.chunks)),
        ]);
        cx.emit(EventKind::IngestProgress, data);
    }
}
