//! Models, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::models::{self, FunctionModel};
use aikit_core::{
    Error, ErrorKind, Result, Value,
    model::{ChatEvent, ChatModel, ChatRequest, Message, Role, ToolDefinition},
    services::ModelOptions,
    tool::ToolContext,
};
use futures::{StreamExt as _, stream::BoxStream};
use numpy::{PyArray2, PyArrayMethods as _};
use pyo3::{prelude::*, types::PyType};

use crate::{callbacks::PyCallable, convert::PyValue, errors, session, tools::Tool, wait, whole};

/// A language model.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Model(Arc<Source>);

/// A model, and how its provider is reached.
struct Source {
    chat: Arc<dyn ChatModel>,
    /// `None` for a function, which has no provider.
    options: Option<ModelOptions>,
}

#[pymethods]
impl Model {
    /// A model by `provider:model`; `None` for the configured one.
    #[new]
    #[pyo3(signature = (name, base_url, api_key, options))]
    fn new(
        py: Python<'_>,
        name: Option<String>,
        base_url: Option<String>,
        api_key: Option<String>,
        options: PyValue,
    ) -> PyResult<Self> {
        let extra = options.0.as_map().cloned().unwrap_or_default();
        let options = ModelOptions {
            base_url,
            api_key,
            extra,
        };
        let cx = session::current(py)?.tool_context();
        let models = cx.services.models();
        let chat = models.and_then(|it| it.chat(name.as_deref(), options.clone()));
        Ok(Self(Arc::new(Source {
            chat: chat.map_err(|error| errors::to_python(py, &error))?,
            options: Some(options),
        })))
    }

    /// A model that asks a function for each answer.
    #[classmethod]
    fn from_function(
        _class: &Bound<'_, PyType>,
        name: &str,
        function: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let model = FunctionModel::new(name, PyCallable::make(function)?);
        Ok(Self(Arc::new(Source {
            chat: Arc::new(model),
            options: None,
        })))
    }

    /// Full name, `provider:model`.
    fn name(&self) -> &str {
        self.0.chat.name()
    }

    /// One whole answer. `request` is a mapping of `prompt` (a text or a list of messages),
    /// `instructions`, `temperature` and `max_tokens`; the model may ask for `tools`.
    fn complete(
        &self,
        py: Python<'_>,
        request: PyValue,
        tools: Vec<PyRef<'_, Tool>>,
    ) -> PyResult<PyValue> {
        let (source, tools) = (Arc::clone(&self.0), definitions(&tools));
        wait::blocking(py, move |cx| complete(source, cx, request, tools))
    }

    /// `complete` as an awaitable.
    fn acomplete<'py>(
        &self,
        py: Python<'py>,
        request: PyValue,
        tools: Vec<PyRef<'py, Tool>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (source, tools) = (Arc::clone(&self.0), definitions(&tools));
        wait::awaitable(py, move |cx| complete(source, cx, request, tools))
    }

    /// An answer piece by piece, to the request of `complete`.
    fn stream(
        &self,
        py: Python<'_>,
        request: PyValue,
        tools: Vec<PyRef<'_, Tool>>,
    ) -> PyResult<ModelStream> {
        let cx = wait::started(py)?;
        let request = read_request(request.0, definitions(&tools));
        let request = request.map_err(|error| errors::to_python(py, &error))?;
        let events = models::stream(&cx, &self.0.chat, request);
        Ok(ModelStream(Arc::new(tokio::sync::Mutex::new(events))))
    }

    /// One embedding for each text, as an array of shape (n, dim).
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let source = Arc::clone(&self.0);
        let rows = wait::blocking(py, move |cx| async move { source.embed(&cx, texts).await })?;
        rows.into_pyobject(py)
    }

    /// `embed` as an awaitable.
    fn aembed<'py>(&self, py: Python<'py>, texts: Vec<String>) -> PyResult<Bound<'py, PyAny>> {
        let source = Arc::clone(&self.0);
        wait::awaitable(py, move |cx| async move { source.embed(&cx, texts).await })
    }
}

impl Model {
    /// The model itself.
    pub(crate) fn chat(&self) -> Arc<dyn ChatModel> {
        Arc::clone(&self.0.chat)
    }
}

impl Source {
    async fn embed(&self, cx: &ToolContext, texts: Vec<String>) -> Result<Rows> {
        let Some(options) = self.options.clone() else {
            let message = "a function model has no embeddings";
            return Err(Error::new(ErrorKind::Unavailable, message)
                .with_hint("name an embedding model, such as `openai:text-embedding-3-small`"));
        };
        let model = cx.services.models()?.embedding(self.chat.name(), options)?;
        models::embed(&cx.context, &model, texts).await.map(Rows)
    }
}

/// Rows of equal length as an array.
struct Rows(Vec<Vec<f32>>);

impl<'py> IntoPyObject<'py> for Rows {
    type Target = PyArray2<f32>;
    type Output = Bound<'py, PyArray2<f32>>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let columns = self.0.first().map_or(0, Vec::len);
        let rows = self.0.len();
        numpy::PyArray1::from_vec(py, self.0.concat()).reshape([rows, columns])
    }
}

/// Reads a text, or a list of messages with `role` and `content` or `parts`.
pub(crate) fn messages(prompt: Value) -> Result<Vec<Message>> {
    match prompt {
        Value::String(text) => Ok(vec![Message::text(Role::User, text)]),
        Value::List(items) => items.into_iter().map(Message::parse).collect(),
        other => {
            let message = format!(
                "a prompt is a text or a list of messages, not {}",
                other.type_name()
            );
            Err(Error::invalid_args(message)
                .with_hint("write a message as {\"role\": \"user\", \"content\": \"…\"}"))
        }
    }
}

fn definitions(tools: &[PyRef<'_, Tool>]) -> Vec<ToolDefinition> {
    tools
        .iter()
        .map(|it| it.inner().spec().definition())
        .collect()
}

fn read_request(given: Value, tools: Vec<ToolDefinition>) -> Result<ChatRequest> {
    let instructions = given.get("instructions").and_then(Value::as_str);
    let instructions = instructions.filter(|it| !it.is_empty());
    let instructions = instructions.map(|it| Message::text(Role::System, it));
    let conversation = messages(given.get("prompt").cloned().unwrap_or_default())?;
    Ok(ChatRequest {
        messages: instructions.into_iter().chain(conversation).collect(),
        tools,
        temperature: number(&given, "temperature")?,
        max_tokens: whole::field(&given, "max_tokens")?,
    })
}

fn number(given: &Value, key: &str) -> Result<Option<f64>> {
    let Some(value) = given.get(key).filter(|it| !it.is_null()) else {
        return Ok(None);
    };
    value.as_f64().map(Some).ok_or_else(|| {
        Error::invalid_args(format!("`{key}` is `{value}`")).with_hint("give a number")
    })
}

async fn complete(
    source: Arc<Source>,
    cx: ToolContext,
    request: PyValue,
    tools: Vec<ToolDefinition>,
) -> Result<PyValue> {
    let request = read_request(request.0, tools)?;
    let response = models::complete(&cx, &source.chat, request).await?;
    models::describe(&response).map(PyValue)
}

type Events = BoxStream<'static, Result<ChatEvent>>;

/// An answer while it arrives.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct ModelStream(Arc<tokio::sync::Mutex<Events>>);

#[pymethods]
impl ModelStream {
    /// The next piece; `None` after the last one.
    fn next(&self, py: Python<'_>) -> PyResult<Option<PyValue>> {
        let events = Arc::clone(&self.0);
        wait::blocking(py, |_| next(events)).map(|it| it.map(PyValue))
    }

    /// `next` as an awaitable.
    fn anext<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let events = Arc::clone(&self.0);
        wait::awaitable(py, |_| async { Ok(next(events).await?.map(PyValue)) })
    }
}

async fn next(events: Arc<tokio::sync::Mutex<Events>>) -> Result<Option<Value>> {
    let event = events.lock().await.next().await.transpose()?;
    event.map(models::describe_event).transpose()
}

/// The providers: what is usable here and what each lacks.
#[pyfunction]
pub(crate) fn list_models(py: Python<'_>) -> PyResult<Vec<PyValue>> {
    wait::blocking(py, move |cx| async move {
        let rows = cx.services.models()?.list(&cx.context).await;
        Ok(rows.into_iter().map(PyValue).collect())
    })
}

/// As `list_models`, but servers of the user's own are asked; `provider` names one of them.
#[pyfunction]
pub(crate) fn check_models(py: Python<'_>, provider: Option<String>) -> PyResult<Vec<PyValue>> {
    wait::blocking(py, move |cx| async move {
        let models = cx.services.models()?;
        let rows = models.check(&cx.context, provider.as_deref()).await?;
        Ok(rows.into_iter().map(PyValue).collect())
    })
}
