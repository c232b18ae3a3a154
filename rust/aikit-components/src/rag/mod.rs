//! Retrieval: documents go in, the chunks that fit a question come out.
//!
//! The truth is rows in a store (documents, chunks, vectors, a history); the vector index, the
//! keyword index and what filters look at are derived from it and follow what any process writes.

mod answer;
mod chunking;
mod claims;
mod derived;
mod embedders;
mod embedding;
mod evaluate;
mod filter;
mod fuse;
mod hooked;
mod ids;
mod ingest;
mod keyword;
mod labels;
mod loaders;
mod local_model;
mod packages;
mod place;
mod reading;
mod search;
mod sources;
mod stage;
mod tool;

use std::{
    borrow::Cow,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    hook::{RAG_INGEST, RAG_RETRIEVE, around},
    storage::{DocumentStore, Embedded, EmbedderSettings, Metric},
    tool::{DynTool, ToolContext},
    tracker::{Operation, track},
};
use serde::{Deserialize, Serialize};

use self::{
    derived::Derived,
    embedding::EmbedInput,
    keyword::{Keyword, Language},
    labels::Labels,
    stage::{EMBED, stage},
    tool::SearchTool,
};
use crate::{storage, telemetry::genai};

pub use self::{
    answer::{Answer, AskOptions, Citation, Unverified},
    chunking::{CHUNKERS, Chunker},
    embedders::{EMBEDDERS, Embedder, EmbedderKind},
    evaluate::{CUTOFFS_DEFAULT, EvaluateOptions, Evaluation, Judged, Latency, Level, Measures},
    fuse::Fusion,
    ingest::{Failure, GONE, Gone, IngestOptions, IngestReport, Skipped},
    loaders::{LOADERS, Loader},
    packages::{Finder, find_packages_with},
    place::store_path,
    search::{FUSIONS, Hit, K_DEFAULT, K_MAX, MODES, Mode, SearchOptions, StageScores},
    sources::{Record, Source},
    tool::ToolOptions,
};

/// Tokens that two chunks share, where the chunks are large enough.
const OVERLAP_TOKENS: usize = 64;

/// Largest chunk that may be asked for.
const CHUNK_TOKENS_MAX: usize = 100_000;

/// How to open an index.
#[derive(Clone, Debug)]
pub struct RagOptions {
    /// The file of the store; `None` keeps everything in memory.
    pub path: Option<PathBuf>,
    /// What turns texts into vectors.
    pub embedder: Embedder,
    /// Kind of vector index: `flat` or `hnsw`.
    pub index: String,
    /// Name of the chunker: `tokens`, `markdown` or `whole`.
    pub chunker: String,
    /// Most tokens of a chunk.
    pub chunk_size_tokens: usize,
    /// Tokens that two chunks of one section share; an eighth of the chunk size, at most 64, when
    /// it is `None`.
    pub chunk_overlap_tokens: Option<usize>,
    /// Language of the documents, whose words the keyword index stems: its English name, or `none`.
    /// That of the index when it is `None`, which is `english` for a new one.
    pub language: Option<String>,
}

impl RagOptions {
    /// Tokens that two chunks of one section share.
    pub(crate) fn overlap_tokens(&self) -> usize {
        let natural = OVERLAP_TOKENS.min(self.chunk_size_tokens / 8);
        self.chunk_overlap_tokens.unwrap_or(natural)
    }
}

impl Default for RagOptions {
    fn default() -> Self {
        Self {
            path: None,
            embedder: Embedder::lexical(),
            index: "flat".to_owned(),
            chunker: "tokens".to_owned(),
            chunk_size_tokens: 512,
            chunk_overlap_tokens: None,
            language: None,
        }
    }
}

/// What an index holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stats {
    /// Number of documents.
    pub documents: usize,
    /// Number of chunks.
    pub chunks: usize,
    /// Chunks that are damaged and cannot be found; ingest their documents again.
    pub damaged: usize,
    /// Name of the embedder.
    pub embedder: String,
    /// Length of its vectors.
    #[serde(rename = "dim")]
    pub dimension: usize,
    /// Kind of vector index.
    pub index: String,
    /// The file of the store, if there is one.
    pub path: Option<String>,
}

/// Documents, their chunks and an index over them; a cheap handle.
#[derive(Clone, Debug)]
pub struct Rag(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: RagOptions,
    chunker: &'static Chunker,
    settings: EmbedderSettings,
    store: Arc<dyn DocumentStore>,
    derived: Derived,
    keyword: Keyword,
    labels: Labels,
}

impl Rag {
    /// Opens an index; a file that does not exist is made.
    ///
    /// # Errors
    ///
    /// `invalid_args` for sizes that make no sense, `not_found` for an unknown kind of index, chunker
    /// or language, `config` when the store was made with another embedder or language, those of the store, and
    /// those of the embedder: a folder without a model, a model that is asked for the length of its
    /// vectors and fails.
    pub async fn open(cx: &Context, options: RagOptions) -> Result<Self> {
        check_sizes(&options)?;
        let chunker = Chunker::find(&options.chunker)?;
        let language = options.language.as_deref();
        let language = language.map(Language::find).transpose()?;
        cx.within(options.embedder.0.prepare(cx)).await??;
        let backend = storage::find(if options.path.is_some() {
            "sqlite"
        } else {
            "memory"
        })?;
        let stores = backend.open(options.path.clone()).await?;
        let store = stores.documents;
        let settings = claims::embedder(cx, &*store, &options).await?;
        let language = claims::language(&*stores.keys, language).await?;
        let derived = Derived::new(
            &options.index,
            settings.dimension,
            options.embedder.clone(),
            Arc::clone(&store),
        )?;
        let keyword = Keyword::new(Arc::clone(&store), language, options.path.as_deref());
        keyword.check_file().await?;
        Ok(Self(Arc::new(Inner {
            options,
            chunker,
            settings,
            labels: Labels::new(Arc::clone(&store)),
            store,
            derived,
            keyword,
        })))
    }

    /// Reads, splits, embeds and stores documents; what is stored already is left alone.
    ///
    /// Every document is written with its chunks in one transaction. A source that fails is named
    /// in the report and does not stop the others. Of a document that changed, chunks whose text is
    /// the same keep their embeddings. Publishes `rag.ingest.progress` after each document with
    /// `done`, `total` and `source`, and with the counts of the report so far.
    ///
    /// # Errors
    ///
    /// Those of the store, a cancellation or a deadline; what was stored before stays.
    pub async fn ingest(
        &self,
        cx: &ToolContext,
        sources: Vec<Source>,
        options: IngestOptions,
    ) -> Result<IngestReport> {
        track(
            &cx.context,
            Operation::new("rag ingest"),
            |inner| async move {
                let cx = cx.with_context(inner);
                let mut call = hooked::Ingest { rag: self, cx: &cx };
                around(&cx.context, &RAG_INGEST, &mut call, (sources, options)).await
            },
        )
        .await
    }

    /// Finds the chunks that fit a question best, best first.
    ///
    /// # Errors
    ///
    /// `invalid_args` when an option is out of its range, a filter is wrong or the question is
    /// empty, those of the embedder and the store.
    pub async fn search(
        &self,
        cx: &ToolContext,
        query: &str,
        options: SearchOptions,
    ) -> Result<Vec<Hit>> {
        let operation = Operation::new(format!("retrieval {}", self.source()));
        let operation = operation.with_span(|| genai::retrieval(self.source(), query));
        track(&cx.context, operation, |inner| async move {
            let mut call = hooked::Search {
                rag: self,
                cx: &inner,
            };
            let input = (Cow::Borrowed(query), options);
            around(&inner, &RAG_RETRIEVE, &mut call, input).await
        })
        .await
    }

    /// Deletes documents by their paths or ids and answers how many there were.
    ///
    /// # Errors
    ///
    /// Those of the store, a cancellation or a deadline.
    pub async fn delete(&self, cx: &Context, ids: Vec<String>) -> Result<usize> {
        track(cx, Operation::new("rag delete"), |_| {
            self.0.store.delete(ids)
        })
        .await
    }

    /// What the index holds.
    ///
    /// # Errors
    ///
    /// Those of the store, a cancellation or a deadline.
    pub async fn stats(&self, cx: &Context) -> Result<Stats> {
        track(cx, Operation::new("rag stats"), |_| self.look()).await
    }

    async fn look(&self) -> Result<Stats> {
        let inner = &self.0;
        let heads = ingest::heads(&*inner.store).await?;
        let damaged = inner.derived.damaged().await?;
        let path = inner.options.path.as_ref();
        Ok(Stats {
            documents: heads.len(),
            chunks: heads.values().map(|head| head.chunks).sum(),
            damaged,
            embedder: inner.settings.name.clone(),
            dimension: inner.settings.dimension,
            index: inner.options.index.clone(),
            path: path.map(|path| path.display().to_string()),
        })
    }

    /// The search as a tool that agents call with `query` and, if they want another number of
    /// hits, `k`.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a name that no tool can have, and for a `k` outside 1 to 1000.
    pub fn as_tool(&self, options: ToolOptions) -> Result<Arc<dyn DynTool>> {
        Ok(Arc::new(SearchTool::new(self.clone(), options)?))
    }

    /// The index in a few words: the name of its file.
    fn source(&self) -> &str {
        let path = self.0.options.path.as_deref();
        let name = path.and_then(Path::file_name).and_then(OsStr::to_str);
        name.unwrap_or("memory")
    }
}

impl Inner {
    /// Embeds texts and checks what came back.
    async fn embed(&self, cx: &Context, inputs: Vec<EmbedInput>) -> Result<Vec<Embedded>> {
        let about = ("aikit.rag.embedder", self.settings.name.as_str());
        stage(cx, EMBED, about, |inner| async move {
            stage::note(&inner, "aikit.rag.texts", inputs.len());
            let embedded = self.options.embedder.0.embed(&inner, inputs).await?;
            let metric = self.options.embedder.0.metric();
            for vector in embedded.iter().map(|it| &it.vector) {
                check_vector(vector, &self.settings, metric)?;
            }
            Ok(embedded)
        })
        .await
    }
}

fn check_vector(vector: &[f32], settings: &EmbedderSettings, metric: Metric) -> Result<()> {
    let name = &settings.name;
    let wrong = |message: String| {
        Err(Error::new(ErrorKind::BadResponse, message)
            .with_hint("check the model or function that embeds"))
    };
    if vector.len() != settings.dimension {
        return wrong(format!(
            "`{name}` answered a vector of dimension {}, the store has {}",
            vector.len(),
            settings.dimension
        ));
    }
    if vector.iter().any(|number| !number.is_finite()) {
        return wrong(format!(
            "`{name}` answered a vector with a number that is not finite"
        ));
    }
    if metric == Metric::Cosine && vector.iter().all(|number| *number == 0.0) {
        return wrong(format!("`{name}` answered a vector of length zero"));
    }
    Ok(())
}

fn check_sizes(options: &RagOptions) -> Result<()> {
    let (size, overlap) = (options.chunk_size_tokens, options.overlap_tokens());
    if !(1..=CHUNK_TOKENS_MAX).contains(&size) {
        return Err(
            Error::invalid_args(format!("`chunk_size_tokens` is `{size}`"))
                .with_hint(format!("use 1 to {CHUNK_TOKENS_MAX} tokens")),
        );
    }
    if overlap >= size {
        let message = format!("`chunk_overlap_tokens` is `{overlap}`, the chunk size `{size}`");
        return Err(Error::invalid_args(message).with_hint("use an overlap below the chunk size"));
    }
    Ok(())
}
