//! Ingest: finds sources, reads, splits and embeds them, and stores what changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    event::EventKind,
    io,
    services::ListOptions,
    storage::{Chunk, Document, DocumentHead, DocumentStore},
    tool::ToolContext,
    value::Map,
};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{
    Inner,
    chunking::{Piece, Size},
    embedding::Passage,
    loaders::{self, Loader},
};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Most files of one source.
const FILES_MAX: usize = 100_000;

/// Documents that are read, split and embedded at once.
const PARALLEL: usize = 4;

/// Documents and chunks of one transaction: one `fsync` for all of them.
const BATCH_DOCUMENTS: usize = 64;
const BATCH_CHUNKS: usize = 1_024;

/// Heads read at once.
const PAGE_HEADS: usize = 4_096;

/// Changes when loaders or chunkers make something else of the same bytes.
const VERSION: u32 = 1;

/// Where documents come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, a folder with everything below, or a glob such as `docs/*.md` or `docs/**/*.md`.
    Path(String),
    /// A text given by the caller.
    Record(Record),
}

/// A text given by the caller.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Identity; a later record with it replaces this one.
    pub id: String,
    /// The text.
    pub text: String,
    /// Its title; the first heading when it is not given.
    #[serde(default)]
    pub title: Option<String>,
    /// Name of a loader such as `markdown`; plain text when it is not given.
    #[serde(default)]
    pub format: Option<String>,
    /// What is known about it; comes back with hits.
    #[serde(default)]
    pub metadata: Map,
}

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
    /// Chunks written.
    pub chunks: usize,
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

/// One document to be.
#[derive(Clone, Debug)]
struct Item {
    id: String,
    origin: Option<String>,
    content: Content,
    metadata: Map,
}

#[derive(Clone, Debug)]
enum Content {
    File,
    Record(Record),
}

/// What became of an item.
#[derive(Debug)]
enum Outcome {
    Unchanged,
    Changed(Document),
}

/// Ingests all sources.
pub(super) async fn run(
    inner: &Inner,
    cx: &ToolContext,
    sources: Vec<Source>,
    options: IngestOptions,
) -> Result<IngestReport> {
    let heads = heads(&*inner.store).await?;
    let mut report = IngestReport::default();
    let mut found = find(cx, sources, (&options, &heads), &mut report).await?;
    let total = found.items.len();
    let items = std::mem::take(&mut found.items);
    let prepared = stream::iter(items.into_values()).map(|item| {
        let heads = &heads;
        async move {
            let known = heads.get(&item.id);
            let id = item.id.clone();
            (id, prepare(inner, cx, item, known).await)
        }
    });
    let mut prepared = prepared.buffer_unordered(PARALLEL);
    let mut batch = Batch::default();
    let mut done = 0;
    while let Some((id, outcome)) = prepared.next().await {
        cx.context.check()?;
        done += 1;
        match outcome {
            Ok(Outcome::Unchanged) => report.unchanged += 1,
            Ok(Outcome::Changed(document)) => {
                batch.push(document, heads.contains_key(&id));
                if batch.is_full() {
                    batch.store(inner, &mut report).await?;
                }
            }
            Err(error) if ends_the_call(&error) => return Err(error),
            Err(error) => report.failed.push(failure(&id, &error)),
        }
        progress(&cx.context, done, total, &id);
    }
    batch.store(inner, &mut report).await?;
    if options.gone == Gone::Delete {
        report.deleted = delete_gone(inner, cx, &heads, &found).await?;
    }
    report.failed.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(report)
}

/// Documents of one transaction.
#[derive(Debug, Default)]
struct Batch {
    documents: Vec<Document>,
    chunks: usize,
    updated: usize,
}

impl Batch {
    fn push(&mut self, document: Document, is_known: bool) {
        self.chunks += document.chunks.len();
        self.updated += usize::from(is_known);
        self.documents.push(document);
    }

    fn is_full(&self) -> bool {
        self.documents.len() >= BATCH_DOCUMENTS || self.chunks >= BATCH_CHUNKS
    }

    async fn store(&mut self, inner: &Inner, report: &mut IngestReport) -> Result<()> {
        let batch = std::mem::take(self);
        if batch.documents.is_empty() {
            return Ok(());
        }
        let count = batch.documents.len();
        inner.store.upsert(batch.documents).await?;
        report.chunks += batch.chunks;
        report.updated += batch.updated;
        report.added += count - batch.updated;
        Ok(())
    }
}

/// What the sources lead to.
#[derive(Debug, Default)]
struct Found {
    items: BTreeMap<String, Item>,
    ids: BTreeSet<String>,
    /// Folders that were listed, as ids write them.
    folders: Vec<PathBuf>,
}

type Heads = HashMap<String, DocumentHead>;

async fn find(
    cx: &ToolContext,
    sources: Vec<Source>,
    (options, heads): (&IngestOptions, &Heads),
    report: &mut IngestReport,
) -> Result<Found> {
    let mut found = Found::default();
    let mut first_error = None;
    for source in sources {
        match source {
            Source::Record(record) => {
                let mut metadata = options.metadata.clone();
                metadata.extend(record.metadata.clone());
                found.push(Item {
                    id: record.id.clone(),
                    origin: None,
                    content: Content::Record(record),
                    metadata,
                });
            }
            Source::Path(path) => match list(cx, &path, heads).await {
                Ok(listing) => {
                    found.folders.extend(listing.folder);
                    for file in listing.files {
                        found.push(Item {
                            id: file,
                            origin: Some(path.clone()),
                            content: Content::File,
                            metadata: options.metadata.clone(),
                        });
                    }
                }
                Err(error) if ends_the_call(&error) => return Err(error),
                Err(error) => {
                    report.failed.push(failure(&path, &error));
                    first_error.get_or_insert(error);
                }
            },
        }
    }
    match first_error {
        // Nothing to ingest at all is a mistake of the caller, not a detail of a report.
        Some(error) if found.items.is_empty() && found.folders.is_empty() => Err(error),
        _ => Ok(found),
    }
}

impl Found {
    fn push(&mut self, item: Item) {
        self.ids.insert(item.id.clone());
        self.items.insert(item.id.clone(), item);
    }

    /// Whether a stored document came from a file below a folder that was listed, but was not
    /// found there.
    fn misses(&self, head: &DocumentHead) -> bool {
        !self.ids.contains(&head.id) && self.folders.iter().any(|it| is_below(it, head))
    }
}

/// Whether a document came from a file below `folder`.
fn is_below(folder: &Path, head: &DocumentHead) -> bool {
    let id = Path::new(&head.id);
    // An empty path is the working directory; what is outside of it has an absolute id.
    let is_inside = id.starts_with(folder) && (id.is_relative() || folder.is_absolute());
    is_inside && head.origin.is_some()
}

/// What a path or a glob leads to.
#[derive(Debug)]
struct Listing {
    /// The folder that was listed, as ids write it; `None` for a file named by itself.
    folder: Option<PathBuf>,
    files: Vec<String>,
}

/// The files a path or a glob leads to. A file named by itself is taken whatever its name.
async fn list(cx: &ToolContext, path: &str, heads: &Heads) -> Result<Listing> {
    let (folder, glob) = split_glob(path);
    let options = ListOptions {
        hidden: false,
        // What the caller names is read, also where it is generated and not versioned.
        honour_ignore: false,
        // The slash binds it to the folder: without one, a glob fits at any depth.
        include: glob.iter().map(|it| format!("/{it}")).collect(),
        exclude: Vec::new(),
        max_entries: FILES_MAX,
    };
    let files = cx.services.files()?;
    let found = files.list(&cx.context, folder, options).await?;
    if found.len() >= FILES_MAX {
        let message = format!("`{path}` leads to {FILES_MAX} files or more");
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("ingest its folders one by one"));
    }
    let resolved = files.resolve(&cx.context, folder).await?;
    let found = found
        .into_iter()
        .map(|file| file.to_string_lossy().into_owned());
    let found: Vec<String> = found.collect();
    if found.len() == 1 && Path::new(&found[0]) == resolved {
        return Ok(Listing {
            folder: None,
            files: found,
        });
    }
    let known = found.into_iter().filter(|it| Loader::find(it).is_some());
    let known: Vec<String> = known.collect();
    // A folder that was emptied since is not the same as one that never had any document.
    let had_some = || heads.values().any(|head| is_below(&resolved, head));
    if known.is_empty() && !had_some() {
        let endings = loaders::LOADERS.iter().flat_map(|it| it.extensions);
        let endings: Vec<&str> = endings.copied().collect();
        let hint = format!("files that end in one of {} are read", endings.join(", "));
        return Err(Error::not_found(format!("no documents found at `{path}`")).with_hint(hint));
    }
    Ok(Listing {
        folder: Some(resolved),
        files: known,
    })
}

/// `docs/**/*.md` → `docs` and `**/*.md`; a path without a glob is all folder.
fn split_glob(path: &str) -> (&str, Option<&str>) {
    let Some(special) = path.find(['*', '?', '[', '{']) else {
        return (path, None);
    };
    match path[..special].rfind('/') {
        Some(0) => ("/", Some(&path[1..])),
        Some(end) => (&path[..end], Some(&path[end + 1..])),
        None => (".", Some(path)),
    }
}

/// Reads, splits and embeds one document, unless it is stored already.
async fn prepare(
    inner: &Inner,
    cx: &ToolContext,
    item: Item,
    known: Option<&DocumentHead>,
) -> Result<Outcome> {
    let (text, loader, title) = read(cx, &item).await?;
    let size = Size {
        tokens: inner.options.chunk_size_tokens,
        overlap: inner.options.chunk_overlap_tokens,
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
    let (title, pieces) = io::spawn_blocking(move || {
        let document = loader.load(text);
        let pieces = chunker.split(&document, size);
        Ok((title.or(document.title), pieces))
    })
    .await?;
    let chunks = embed(inner, &cx.context, title.as_deref(), pieces).await?;
    Ok(Outcome::Changed(Document {
        id: item.id,
        origin: item.origin,
        title,
        content_hash,
        metadata: item.metadata,
        chunks,
    }))
}

async fn read(cx: &ToolContext, item: &Item) -> Result<(String, &'static Loader, Option<String>)> {
    let record = match &item.content {
        Content::Record(record) => record,
        Content::File => {
            let files = cx.services.files()?;
            let part = files.read(&cx.context, &item.id, 0, FILE_BYTES_MAX).await?;
            if part.total_bytes > FILE_BYTES_MAX {
                let message = format!("the file has {} bytes", part.total_bytes);
                return Err(Error::new(ErrorKind::LimitExceeded, message)
                    .with_hint(format!("files up to {FILE_BYTES_MAX} bytes are read")));
            }
            let loader = Loader::find(&item.id).unwrap_or_else(Loader::plain);
            let text = io::spawn_blocking(move || {
                loaders::decode(&part.bytes)
                    .map(std::borrow::Cow::into_owned)
                    .ok_or_else(|| {
                        Error::new(ErrorKind::Protocol, "the file is binary, not text")
                            .with_hint("convert it to text, Markdown or reStructuredText")
                    })
            })
            .await?;
            return Ok((text, loader, None));
        }
    };
    let loader = match record.format.as_deref() {
        None => Loader::plain(),
        Some(name) => loaders::LOADERS
            .iter()
            .find(|loader| loader.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = loaders::LOADERS.iter().map(|it| it.name).collect();
                Error::not_found(format!("no loader named `{name}`"))
                    .with_hint(format!("use one of {}", names.join(", ")))
            })?,
    };
    Ok((record.text.clone(), loader, record.title.clone()))
}

/// A hash of everything that shapes the stored document.
fn fingerprint(item: &Item, text: &str, loader: &Loader, chunking: (&str, Size)) -> Result<String> {
    let title = match &item.content {
        Content::Record(record) => record.title.clone(),
        Content::File => None,
    };
    let (chunker, size) = chunking;
    let shape = (
        VERSION,
        loader.name,
        chunker,
        size.tokens,
        size.overlap,
        title,
        Value::Map(item.metadata.clone()).to_json().to_string(),
    );
    let shape = serde_json::to_vec(&shape)
        .map_err(|error| Error::internal("a document has no hash").with_source(error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(shape.len() as u64).to_le_bytes());
    hasher.update(&shape);
    hasher.update(text.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

async fn embed(
    inner: &Inner,
    cx: &Context,
    title: Option<&str>,
    pieces: Vec<Piece>,
) -> Result<Vec<Chunk>> {
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let passages: Vec<Passage> = pieces
        .iter()
        .map(|piece| {
            let title =
                title.filter(|title| piece.headings.first().map(String::as_str) != Some(title));
            let above = title.map(str::to_owned).into_iter();
            Passage {
                text: piece.text.clone(),
                above: above.chain(piece.headings.iter().cloned()).collect(),
            }
        })
        .collect();
    let embedded = inner.embed(cx, passages).await?;
    let chunks = pieces
        .into_iter()
        .zip(embedded)
        .map(|(piece, embedded)| Chunk {
            text: piece.text,
            headings: piece.headings,
            start: piece.start,
            end: piece.end,
            embedded,
        });
    Ok(chunks.collect())
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
    let mut all = HashMap::new();
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

/// Errors that concern the whole call, not one source.
fn ends_the_call(error: &Error) -> bool {
    use ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::Cancelled
            | Kind::Interrupted
            | Kind::Timeout
            | Kind::Unavailable
            | Kind::ModelAuth
            | Kind::NoSpace
            | Kind::Internal
    )
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

fn progress(cx: &Context, done: usize, total: usize, id: &str) {
    if cx.is_observed() {
        let data = Value::map([
            ("done", Value::from(done)),
            ("total", Value::from(total)),
            ("source", Value::from(id)),
        ]);
        cx.emit(EventKind::IngestProgress, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_split_from_the_folder_it_begins_in() {
        assert_eq!(split_glob("docs"), ("docs", None));
        assert_eq!(split_glob("docs/**/*.md"), ("docs", Some("**/*.md")));
        assert_eq!(split_glob("a/b?/c.md"), ("a", Some("b?/c.md")));
        assert_eq!(split_glob("*.md"), (".", Some("*.md")));
        assert_eq!(split_glob("/*.md"), ("/", Some("*.md")));
    }
}
