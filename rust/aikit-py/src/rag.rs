//! Retrieval, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::{path::PathBuf, sync::Arc};

use aikit_components::{
    rag::{
        self, AskOptions, Embedder, EvaluateOptions, IngestOptions, Judged, RagOptions, Record,
        SearchOptions, Source, ToolOptions,
    },
    security::home,
};
use aikit_core::{
    Error, Result, Value, model::ChatModel, procedure, services::ModelOptions, tool::ToolContext,
};
use pyo3::prelude::*;

use crate::{
    callbacks::PyCallable,
    convert::PyValue,
    errors,
    handles::Handle,
    models::Model,
    session,
    tools::Tool,
    wait,
    whole::{self, Whole},
};

/// Documents and an index over them.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Rag(rag::Rag);

/// How to embed: by name, or a function with its name and dimension.
enum Embedding {
    Named(String, ModelOptions),
    Function(Embedder),
}

#[pymethods]
impl Rag {
    /// Opens a store; `None` keeps everything in memory. `options` is a mapping of `index`,
    /// `chunker`, `chunk_size_tokens`, `chunk_overlap_tokens` and `language`, of `embedder_name` and `dim` where
    /// the embedder is a function, and of `base_url` and `api_key` where it is a provider's.
    #[new]
    fn new(path: Option<PathBuf>, embedder: &Bound<'_, PyAny>, options: PyValue) -> PyResult<Self> {
        let py = embedder.py();
        let fail = |error: Error| errors::to_python(py, &error);
        let given = &options.0;
        let embedding = if let Ok(name) = embedder.extract::<String>() {
            let place = ModelOptions {
                base_url: word(given, "base_url"),
                api_key: word(given, "api_key"),
                ..ModelOptions::default()
            };
            Embedding::Named(name, place)
        } else {
            let name = word(given, "embedder_name").unwrap_or_else(|| "function".to_owned());
            let dimension = whole::field(given, "dim")
                .map_err(fail)?
                .unwrap_or_default();
            let function = PyCallable::make(embedder)?;
            Embedding::Function(Embedder::function(&name, dimension, function))
        };
        let options = read_options(path, given).map_err(fail)?;
        wait::blocking(py, |cx| open(cx, options, embedding)).map(Self)
    }

    /// Ingests paths and records.
    fn ingest(&self, py: Python<'_>, sources: PyValue, options: PyValue) -> PyResult<PyValue> {
        let rag = self.0.clone();
        wait::blocking(py, move |cx| async move {
            let options = IngestOptions::from_value(options.0)?;
            let report = rag.ingest(&cx, read_sources(sources.0)?, options).await?;
            Value::from_serialize(&report).map(PyValue)
        })
    }

    /// Starts an ingest whose events tell its progress.
    fn start_ingest(&self, py: Python<'_>, sources: PyValue, options: PyValue) -> PyResult<Handle> {
        let cx = wait::started(py)?;
        let fail = |error: Error| errors::to_python(py, &error);
        let sources = read_sources(sources.0).map_err(fail)?;
        let options = IngestOptions::from_value(options.0).map_err(fail)?;
        let rag = self.0.clone();
        let handle = procedure::Handle::start(&cx.context.clone(), move |context| async move {
            let report = rag
                .ingest(&cx.with_context(context), sources, options)
                .await?;
            Value::from_serialize(&report)
        });
        Ok(Handle::new(handle))
    }

    /// The chunks that fit best, best first. `options` is a mapping of `mode`, `fusion`,
    /// `dense_weight`, `min_score` and `filter`.
    fn search(
        &self,
        py: Python<'_>,
        query: String,
        k: Whole,
        options: PyValue,
    ) -> PyResult<PyValue> {
        let rag = self.0.clone();
        wait::blocking(py, move |cx| search(rag, cx, (query, k), options))
    }

    /// `search` as an awaitable.
    fn asearch<'py>(
        &self,
        py: Python<'py>,
        query: String,
        k: Whole,
        options: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rag = self.0.clone();
        wait::awaitable(py, move |cx| search(rag, cx, (query, k), options))
    }

    /// Answers a question with a model that reads `k` chunks; `options` is a mapping of those of
    /// `search`, `instructions` and `max_tokens`.
    fn ask(
        &self,
        question: String,
        model: PyRef<'_, Model>,
        k: Whole,
        options: PyValue,
    ) -> PyResult<PyValue> {
        let (rag, chat) = (self.0.clone(), model.chat());
        let work = move |cx| ask(rag, cx, chat, (question, k), options);
        wait::blocking(model.py(), work)
    }

    /// `ask` as an awaitable.
    fn aask<'py>(
        &self,
        question: String,
        model: PyRef<'py, Model>,
        k: Whole,
        options: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (rag, chat) = (self.0.clone(), model.chat());
        let work = move |cx| ask(rag, cx, chat, (question, k), options);
        wait::awaitable(model.py(), work)
    }

    /// Measures how judged questions are answered; `options` is a mapping of `at`,
    /// `level` and those of `search` but for `k`.
    fn evaluate(&self, py: Python<'_>, qrels: PyValue, options: PyValue) -> PyResult<PyValue> {
        let rag = self.0.clone();
        wait::blocking(py, move |cx| evaluate(rag, cx, qrels, options))
    }

    /// `evaluate` as an awaitable.
    fn aevaluate<'py>(
        &self,
        py: Python<'py>,
        qrels: PyValue,
        options: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rag = self.0.clone();
        wait::awaitable(py, move |cx| evaluate(rag, cx, qrels, options))
    }

    /// Deletes documents; answers how many there were.
    fn delete(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<usize> {
        let rag = self.0.clone();
        wait::blocking(
            py,
            move |cx| async move { rag.delete(&cx.context, ids).await },
        )
    }

    /// `delete` as an awaitable.
    fn adelete<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Bound<'py, PyAny>> {
        let rag = self.0.clone();
        wait::awaitable(
            py,
            move |cx| async move { rag.delete(&cx.context, ids).await },
        )
    }

    /// What the index holds.
    fn stats(&self, py: Python<'_>) -> PyResult<PyValue> {
        let rag = self.0.clone();
        wait::blocking(py, move |cx| stats(rag, cx))
    }

    /// `stats` as an awaitable.
    fn astats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rag = self.0.clone();
        wait::awaitable(py, move |cx| stats(rag, cx))
    }

    /// The search as a tool of agents.
    fn as_tool(&self, py: Python<'_>, name: String, summary: String, k: Whole) -> PyResult<Tool> {
        let tool = k
            .named("k")
            .and_then(|k| self.0.as_tool(ToolOptions { name, summary, k }));
        tool.map(Tool::new)
            .map_err(|error| errors::to_python(py, &error))
    }
}

fn read_options(path: Option<PathBuf>, given: &Value) -> Result<RagOptions> {
    let default = RagOptions::default();
    Ok(RagOptions {
        path,
        index: word(given, "index").unwrap_or(default.index),
        chunker: word(given, "chunker").unwrap_or(default.chunker),
        chunk_size_tokens: whole::field(given, "chunk_size_tokens")?
            .unwrap_or(default.chunk_size_tokens),
        chunk_overlap_tokens: whole::field(given, "chunk_overlap_tokens")?,
        language: word(given, "language"),
        embedder: default.embedder,
    })
}

fn word(given: &Value, key: &str) -> Option<String> {
    given.get(key).and_then(Value::as_str).map(str::to_owned)
}

async fn open(cx: ToolContext, options: RagOptions, embedding: Embedding) -> Result<rag::Rag> {
    let embedder = match embedding {
        Embedding::Named(name, place) => Embedder::named(&name, place, &cx.services)?,
        Embedding::Function(embedder) => embedder,
    };
    let options = RagOptions {
        embedder,
        ..options
    };
    rag::Rag::open(&cx.context, options).await
}

fn read_sources(sources: Value) -> Result<Vec<Source>> {
    let items = match sources {
        Value::List(items) => items,
        one => vec![one],
    };
    items.into_iter().map(read_source).collect()
}

fn read_source(source: Value) -> Result<Source> {
    match source {
        Value::String(path) => Ok(Source::Path(path)),
        Value::Map(_) => source.deserialize::<Record>().map(Source::Record),
        other => {
            let message = format!("a source is a path or a record, not {}", other.type_name());
            Err(Error::invalid_args(message)
                .with_hint("pass paths, globs, or records of `id`, `text` and `metadata`"))
        }
    }
}

async fn search(
    rag: rag::Rag,
    cx: ToolContext,
    (query, k): (String, Whole),
    options: PyValue,
) -> Result<PyValue> {
    let options = SearchOptions {
        k: k.named("k")?,
        ..SearchOptions::from_value(options.0)?
    };
    let hits = rag.search(&cx, &query, options).await?;
    Value::from_serialize(&hits).map(PyValue)
}

/// How to search, from a mapping that holds more; what was left out has its default.
fn read_search(mut given: Value) -> Result<SearchOptions> {
    if let Value::Map(given) = &mut given {
        given.retain(|name, value| SEARCH.contains(&name.as_str()) && !value.is_null());
    }
    SearchOptions::from_value(given)
}

/// The options of a search but for `k`.
const SEARCH: [&str; 5] = ["mode", "fusion", "dense_weight", "min_score", "filter"];

async fn ask(
    rag: rag::Rag,
    cx: ToolContext,
    model: Arc<dyn ChatModel>,
    (question, k): (String, Whole),
    options: PyValue,
) -> Result<PyValue> {
    let given = &options.0;
    let options = AskOptions {
        instructions: word(given, "instructions").unwrap_or_default(),
        max_tokens: whole::field(given, "max_tokens")?,
        search: SearchOptions {
            k: k.named("k")?,
            ..read_search(options.0)?
        },
    };
    let answer = rag.ask(&cx, &model, &question, options).await?;
    Value::from_serialize(&answer).map(PyValue)
}

async fn evaluate(
    rag: rag::Rag,
    cx: ToolContext,
    qrels: PyValue,
    options: PyValue,
) -> Result<PyValue> {
    let field = |key: &str| options.0.get(key).cloned().unwrap_or_default();
    let given = EvaluateOptions::parse(field("at"), &field("level"))?;
    let given = EvaluateOptions {
        search: read_search(options.0)?,
        ..given
    };
    let judged = Judged::parse_all(qrels.0)?;
    let evaluation = rag.evaluate(&cx, judged, given).await?;
    Value::from_serialize(&evaluation).map(PyValue)
}

async fn stats(rag: rag::Rag, cx: ToolContext) -> Result<PyValue> {
    let stats = rag.stats(&cx.context).await?;
    Value::from_serialize(&stats).map(PyValue)
}

/// The file of the index that a program calls `place`: a plain name is one of the project, as in
/// scripts; anything else is a path.
#[pyfunction]
pub(crate) fn store_path(py: Python<'_>, place: PathBuf) -> PyResult<PathBuf> {
    let session = session::current(py)?;
    let folder = &session.working_directory;
    let is_name = place.components().count() == 1 && place.extension().is_none();
    match place.to_str() {
        Some(name) if is_name || name.is_empty() => {
            rag::store_path(folder, name).map_err(|error| errors::to_python(py, &error))
        }
        Some(path) => {
            let path = home::expand(session.config.home.as_deref(), path);
            path.map(|path| folder.join(path))
                .map_err(|error| errors::to_python(py, &error))
        }
        None => Ok(folder.join(place)),
    }
}
