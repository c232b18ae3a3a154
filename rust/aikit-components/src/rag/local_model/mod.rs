//! Embedding models that run in this process: a folder on disk, read once a process.
//!
//! The folder is written as sentence-transformers writes it: `config.json`, `tokenizer.json`,
//! `model.safetensors`, and what says how the words' vectors become the text's.

#[cfg(feature = "local-embeddings")]
mod bert;
#[cfg(feature = "local-embeddings")]
mod settings;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use aikit_core::{
    Context, Error, ErrorKind, Result, io, per_process::PerProcess, services::Files,
    storage::Embedded,
};
use futures::{FutureExt as _, future::BoxFuture};
#[cfg(feature = "local-embeddings")]
use futures::{StreamExt as _, stream};
use tokio::sync::OnceCell;

use super::embedding::{Embed, EmbedInput};

/// Largest file with weights, in bytes; they are read into memory.
const WEIGHTS_BYTES_MAX: u64 = 4 << 30;

/// Largest file beside the weights, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes that are asked for at once.
const READ_BYTES: u64 = 32 << 20;

/// Where a model's folder is, and who may read it.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A folder that a caller named: every file passes the path guard.
    Guarded { files: Arc<dyn Files>, path: String },
    /// The folder of an installed package.
    Installed(PathBuf),
}

/// What is in a model's folder.
#[cfg_attr(
    not(feature = "local-embeddings"),
    expect(dead_code, reason = "nothing reads a model without the feature")
)]
#[derive(Debug)]
struct Folder {
    config: Vec<u8>,
    tokenizer: Vec<u8>,
    weights: Vec<u8>,
    /// `sentence_bert_config.json`: how long a text may be.
    lengths: Option<Vec<u8>>,
    /// `1_Pooling/config.json`: how the vectors of the words become the text's.
    pooling: Option<Vec<u8>>,
    /// `modules.json`: what comes after the words' vectors.
    modules: Option<Vec<u8>>,
}

/// A model that is ready to embed.
#[cfg(feature = "local-embeddings")]
type Ready = bert::Bert;

/// A model that is ready to embed; without the feature there is none.
#[cfg(not(feature = "local-embeddings"))]
type Ready = std::convert::Infallible;

type Cell = OnceCell<(Arc<Ready>, String)>;

/// The models of this process, as long as an index uses them.
// A std lock: it is never held across an await.
static MODELS: PerProcess<Mutex<HashMap<PathBuf, Weak<Cell>>>> = PerProcess::new();

/// An embedder whose model is a folder on disk.
#[derive(Debug)]
pub(super) struct LocalModel {
    /// As the caller wrote it.
    given: String,
    place: Place,
    /// Whether the name that a store remembers is the given one, because it can only mean one model.
    is_named: bool,
    /// Set by the first call.
    model: std::sync::OnceLock<Arc<Cell>>,
}

impl LocalModel {
    /// A folder that a caller named.
    pub(super) fn at(given: &str, path: &str, files: Arc<dyn Files>) -> Self {
        let path = path.to_owned();
        Self::new(given, Place::Guarded { files, path }, false)
    }

    /// The model of an installed package, whose name says which weights it has.
    pub(super) fn installed(given: &str, folder: PathBuf) -> Self {
        Self::new(given, Place::Installed(folder), true)
    }

    fn new(given: &str, place: Place, is_named: bool) -> Self {
        Self {
            given: given.to_owned(),
            place,
            is_named,
            model: std::sync::OnceLock::new(),
        }
    }

    /// The model; read by the first who asks in this process, and shared by all others.
    async fn model(&self, cx: &Context) -> Result<&Arc<Ready>> {
        let cell = if let Some(cell) = self.model.get() {
            cell
        } else {
            let key = self.place.resolve(cx).await?;
            self.model.get_or_init(|| shared(key))
        };
        let read = || async {
            let folder = self.place.read(cx).await?;
            let given = self.given.clone();
            let name = (!self.is_named).then(|| self.place.name()).flatten();
            io::spawn_blocking(move || open(&given, name, folder)).await
        };
        cell.get_or_try_init(read).await.map(|(model, _)| model)
    }
}

/// The cell of the model at `key`: the one that somebody has, or a new one.
fn shared(key: PathBuf) -> Arc<Cell> {
    let models = MODELS.get_or_init(Mutex::default);
    let mut models = models.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cell) = models.get(&key).and_then(Weak::upgrade) {
        return cell;
    }
    models.retain(|_, cell| cell.strong_count() > 0);
    let cell = Arc::new(Cell::new());
    models.insert(key, Arc::downgrade(&cell));
    cell
}

/// Makes the model, and the name that stores remember. A path says little of what is there: the
/// name of a folder goes with a fingerprint of its weights, so that a moved folder stays the same
/// embedder and other weights do not.
#[cfg(feature = "local-embeddings")]
fn open(given: &str, name: Option<String>, folder: Folder) -> Result<(Arc<Ready>, String)> {
    let name = name.map_or_else(
        || given.to_owned(),
        |name| {
            let hash = blake3::hash(&folder.weights).to_hex();
            format!("local:{name}#{}", &hash[..FINGERPRINT_DIGITS])
        },
    );
    let model = bert::Bert::open(folder).map_err(|error| {
        let message = format!("`{given}` is no embedding model: {}", error.message());
        let hint = error.hint().unwrap_or(
            "name a folder with config.json, tokenizer.json and model.safetensors of a BERT model, \
             as sentence-transformers saves it",
        );
        Error::new(error.kind(), message).with_hint(hint)
    })?;
    Ok((Arc::new(model), name))
}

#[cfg(not(feature = "local-embeddings"))]
fn open(given: &str, _: Option<String>, _: Folder) -> Result<(Arc<Ready>, String)> {
    let message = format!("`{given}` cannot be opened: this build has no local embedders");
    Err(Error::new(ErrorKind::Unavailable, message)
        .with_hint("use a build with the feature `local-embeddings`, or another embedder"))
}

/// Hexadecimal digits of a fingerprint.
#[cfg(feature = "local-embeddings")]
const FINGERPRINT_DIGITS: usize = 12;

impl Place {
    /// One spelling for each folder.
    async fn resolve(&self, cx: &Context) -> Result<PathBuf> {
        match self {
            Self::Guarded { files, path } => files.resolve(cx, path).await,
            Self::Installed(folder) => Ok(folder.clone()),
        }
    }

    /// The folder's own name.
    fn name(&self) -> Option<String> {
        let path = match self {
            Self::Guarded { path, .. } => Path::new(path),
            Self::Installed(folder) => folder,
        };
        let name = path.file_name()?.to_str()?;
        Some(name.to_owned())
    }

    async fn read(&self, cx: &Context) -> Result<Folder> {
        // The small ones first: what is missing is said before much is read.
        Ok(Folder {
            config: self.required(cx, "config.json", FILE_BYTES_MAX).await?,
            tokenizer: self.required(cx, "tokenizer.json", FILE_BYTES_MAX).await?,
            lengths: self.optional(cx, "sentence_bert_config.json").await?,
            pooling: self.optional(cx, "1_Pooling/config.json").await?,
            modules: self.optional(cx, "modules.json").await?,
            weights: self
                .required(cx, "model.safetensors", WEIGHTS_BYTES_MAX)
                .await?,
        })
    }

    async fn optional(&self, cx: &Context, name: &str) -> Result<Option<Vec<u8>>> {
        match self.file(cx, name, FILE_BYTES_MAX).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn required(&self, cx: &Context, name: &str, most: u64) -> Result<Vec<u8>> {
        self.file(cx, name, most).await.map_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                return error;
            }
            let folder = match self {
                Self::Guarded { path, .. } => path.clone(),
                Self::Installed(folder) => folder.display().to_string(),
            };
            Error::not_found(format!("the model folder `{folder}` has no `{name}`")).with_hint(
                "name the folder of a BERT model that holds config.json, tokenizer.json and \
                 model.safetensors",
            )
        })
    }

    async fn file(&self, cx: &Context, name: &str, most: u64) -> Result<Vec<u8>> {
        let too_large = |bytes: u64| {
            let message = format!("`{name}` of the model has {bytes} bytes");
            Error::new(ErrorKind::LimitExceeded, message).with_hint(format!(
                "files up to {most} bytes are read; take a smaller model"
            ))
        };
        match self {
            Self::Guarded { files, path } => {
                let path = format!("{path}/{name}");
                let mut bytes: Vec<u8> = Vec::new();
                loop {
                    cx.check()?;
                    let at = bytes.len() as u64;
                    let part = files.read(cx, &path, at, READ_BYTES).await?;
                    if part.total_bytes > most || at > most {
                        return Err(too_large(part.total_bytes));
                    }
                    bytes.extend_from_slice(&part.bytes);
                    if part.bytes.is_empty() || bytes.len() as u64 >= part.total_bytes {
                        return Ok(bytes);
                    }
                }
            }
            Self::Installed(folder) => {
                let path = folder.join(name);
                let read = move || {
                    let bytes = std::fs::metadata(&path)?.len();
                    Ok((
                        bytes,
                        (bytes <= most).then(|| std::fs::read(&path)).transpose()?,
                    ))
                };
                let (bytes, read) = io::spawn_blocking(read).await?;
                read.ok_or_else(|| too_large(bytes))
            }
        }
    }
}

impl Embed for LocalModel {
    fn name(&self) -> &str {
        let ready = self.model.get().and_then(|cell| cell.get());
        ready.map_or(&self.given, |(_, name)| name)
    }

    fn dimension(&self) -> Option<usize> {
        let (model, _) = self.model.get()?.get()?;
        Some(dimension(model))
    }

    fn prepare<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        async move { self.model(cx).await.map(drop) }.boxed()
    }

    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        inputs: Vec<EmbedInput>,
    ) -> BoxFuture<'a, Result<Vec<Embedded>>> {
        async move {
            let model = self.model(cx).await?;
            embed(cx, model, inputs).await
        }
        .boxed()
    }
}

#[cfg(feature = "local-embeddings")]
fn dimension(model: &Ready) -> usize {
    model.dimension()
}

#[cfg(not(feature = "local-embeddings"))]
fn dimension(model: &Ready) -> usize {
    match *model {}
}

/// Embeds texts in batches of about one length; ends between two of them when `cx` does.
#[cfg(feature = "local-embeddings")]
async fn embed(cx: &Context, model: &Arc<Ready>, inputs: Vec<EmbedInput>) -> Result<Vec<Embedded>> {
    let texts: Vec<String> = inputs.into_iter().map(EmbedInput::into_text).collect();
    let count = texts.len();
    let tokenizing = Arc::clone(model);
    // Texts go to other threads: whoever waits for them may be one that others wait for.
    let tokenized = io::spawn_blocking(move || tokenizing.tokenize(&texts)).await?;
    let mut embedded = vec![Embedded::default(); count];
    let embedding = bert::batches(tokenized).into_iter().map(|batch| {
        let model = Arc::clone(model);
        // Begun when its turn comes: what is not begun yet ends with the call.
        async move { io::spawn_blocking(move || model.embed(&batch)).await }
    });
    let mut embedding = stream::iter(embedding).buffer_unordered(bert::parallel());
    while let Some(vectors) = embedding.next().await {
        cx.check()?;
        for (index, vector) in vectors? {
            embedded[index].vector = vector;
        }
    }
    Ok(embedded)
}

#[cfg(not(feature = "local-embeddings"))]
async fn embed(_: &Context, model: &Arc<Ready>, _: Vec<EmbedInput>) -> Result<Vec<Embedded>> {
    match **model {}
}
