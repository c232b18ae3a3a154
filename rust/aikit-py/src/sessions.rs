//! Sessions of a project, seen from Python.

use aikit_components::sessions::{
    self, SessionFilter, SessionInfo, SessionOptions, Sessions, Status,
};
use aikit_core::{Result, Value, tool::ToolContext, value::Map};
use pyo3::{prelude::*, types::PyType};

use crate::{convert::PyValue, models, session, state::State, wait};

/// One session.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Session(sessions::Session);

#[pymethods]
impl Session {
    /// Begins a session; `how` is `create`, or `open` to take up the one of that name.
    #[new]
    fn new(
        py: Python<'_>,
        how: String,
        name: Option<String>,
        tags: Vec<String>,
        metadata: PyValue,
    ) -> PyResult<Self> {
        let sessions = sessions(py)?;
        wait::blocking(py, |cx| {
            make(sessions, cx, how, options(name, tags, metadata))
        })
        .map(Self)
    }

    /// `new` as an awaitable.
    #[classmethod]
    fn amake<'py>(
        class: &Bound<'py, PyType>,
        how: String,
        name: Option<String>,
        tags: Vec<String>,
        metadata: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let sessions = sessions(class.py())?;
        wait::awaitable(class.py(), |cx| async move {
            let made = make(sessions, cx, how, options(name, tags, metadata)).await;
            made.map(Self)
        })
    }

    /// Takes up a session.
    #[classmethod]
    fn resume(class: &Bound<'_, PyType>, id_or_name: String) -> PyResult<Self> {
        let sessions = sessions(class.py())?;
        wait::blocking(class.py(), |cx| async move {
            sessions.resume(&cx.context, &id_or_name).await
        })
        .map(Self)
    }

    /// `resume` as an awaitable.
    #[classmethod]
    fn aresume<'py>(class: &Bound<'py, PyType>, id_or_name: String) -> PyResult<Bound<'py, PyAny>> {
        let sessions = sessions(class.py())?;
        wait::awaitable(class.py(), |cx| async move {
            sessions.resume(&cx.context, &id_or_name).await.map(Self)
        })
    }

    /// The sessions with a tag and a status.
    #[classmethod]
    fn list(
        class: &Bound<'_, PyType>,
        tag: Option<String>,
        status: Option<String>,
    ) -> PyResult<PyValue> {
        let sessions = sessions(class.py())?;
        wait::blocking(class.py(), |cx| list(sessions, cx, tag, status))
    }

    /// `list` as an awaitable.
    #[classmethod]
    fn alist<'py>(
        class: &Bound<'py, PyType>,
        tag: Option<String>,
        status: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let sessions = sessions(class.py())?;
        wait::awaitable(class.py(), |cx| list(sessions, cx, tag, status))
    }

    /// Deletes a session.
    #[classmethod]
    fn delete(class: &Bound<'_, PyType>, id_or_name: String) -> PyResult<()> {
        let sessions = sessions(class.py())?;
        wait::blocking(class.py(), |cx| async move {
            sessions.delete(&cx.context, &id_or_name).await
        })
    }

    /// `delete` as an awaitable.
    #[classmethod]
    fn adelete<'py>(class: &Bound<'py, PyType>, id_or_name: String) -> PyResult<Bound<'py, PyAny>> {
        let sessions = sessions(class.py())?;
        wait::awaitable(class.py(), |cx| async move {
            sessions.delete(&cx.context, &id_or_name).await
        })
    }

    /// Its identity.
    fn id(&self) -> String {
        self.0.id().to_owned()
    }

    /// Its state.
    fn state(&self) -> State {
        State(self.0.state().clone())
    }

    /// What is known about it now.
    fn info(&self, py: Python<'_>) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| info(this, cx))
    }

    /// `info` as an awaitable.
    fn ainfo<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| info(this, cx))
    }

    /// Its conversation.
    fn messages(&self, py: Python<'_>) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| messages(this, cx))
    }

    /// `messages` as an awaitable.
    fn amessages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| messages(this, cx))
    }

    /// Adds messages to its conversation.
    fn append(&self, py: Python<'_>, messages: PyValue) -> PyResult<()> {
        let this = self.0.clone();
        wait::blocking(py, |cx| append(this, cx, messages))
    }

    /// `append` as an awaitable.
    fn aappend<'py>(&self, py: Python<'py>, messages: PyValue) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| append(this, cx, messages))
    }

    /// Keeps the conversation and the state as they are now.
    fn checkpoint(&self, py: Python<'_>, name: Option<String>) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| checkpoint(this, cx, name))
    }

    /// `checkpoint` as an awaitable.
    fn acheckpoint<'py>(
        &self,
        py: Python<'py>,
        name: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| checkpoint(this, cx, name))
    }

    /// Its checkpoints.
    fn checkpoints(&self, py: Python<'_>) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| checkpoints(this, cx))
    }

    /// `checkpoints` as an awaitable.
    fn acheckpoints<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| checkpoints(this, cx))
    }

    /// Makes everything what it was at a checkpoint.
    fn restore(&self, py: Python<'_>, name: Option<String>) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| restore(this, cx, name))
    }

    /// `restore` as an awaitable.
    fn arestore<'py>(&self, py: Python<'py>, name: Option<String>) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| restore(this, cx, name))
    }

    /// Ends it.
    fn complete(&self, py: Python<'_>) -> PyResult<()> {
        let this = self.0.clone();
        wait::blocking(py, |cx| async move { this.complete(&cx.context).await })
    }

    /// `complete` as an awaitable.
    fn acomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| async move { this.complete(&cx.context).await })
    }
}

impl Session {
    /// The session itself.
    pub(crate) fn inner(&self) -> sessions::Session {
        self.0.clone()
    }
}

fn sessions(py: Python<'_>) -> PyResult<Sessions> {
    Ok(session::current(py)?.sessions.clone())
}

fn options(name: Option<String>, tags: Vec<String>, metadata: PyValue) -> SessionOptions {
    SessionOptions {
        name,
        tags,
        metadata: match metadata.0 {
            Value::Map(metadata) => metadata,
            _ => Map::new(),
        },
    }
}

async fn make(
    sessions: Sessions,
    cx: ToolContext,
    how: String,
    options: SessionOptions,
) -> Result<sessions::Session> {
    match how.as_str() {
        "open" => sessions.open(&cx.context, options).await,
        _ => sessions.create(&cx.context, options).await,
    }
}

async fn list(
    sessions: Sessions,
    cx: ToolContext,
    tag: Option<String>,
    status: Option<String>,
) -> Result<PyValue> {
    let status = status.map(|word| Status::parse(&word)).transpose()?;
    let found: Vec<SessionInfo> = sessions
        .list(&cx.context, SessionFilter { tag, status })
        .await?;
    Value::from_serialize(&found).map(PyValue)
}

async fn info(this: sessions::Session, cx: ToolContext) -> Result<PyValue> {
    Value::from_serialize(&this.info(&cx.context).await?).map(PyValue)
}

async fn messages(this: sessions::Session, cx: ToolContext) -> Result<PyValue> {
    Value::from_serialize(&this.messages(&cx.context).await?).map(PyValue)
}

async fn append(this: sessions::Session, cx: ToolContext, messages: PyValue) -> Result<()> {
    let messages = models::messages(messages.0)?;
    this.append(&cx.context, &messages).await
}

async fn checkpoint(
    this: sessions::Session,
    cx: ToolContext,
    name: Option<String>,
) -> Result<PyValue> {
    let kept = this.checkpoint(&cx.context, name.as_deref()).await?;
    Value::from_serialize(&kept).map(PyValue)
}

async fn checkpoints(this: sessions::Session, cx: ToolContext) -> Result<PyValue> {
    Value::from_serialize(&this.checkpoints(&cx.context).await?).map(PyValue)
}

async fn restore(
    this: sessions::Session,
    cx: ToolContext,
    name: Option<String>,
) -> Result<PyValue> {
    let found = this.restore(&cx.context, name.as_deref()).await?;
    Value::from_serialize(&found).map(PyValue)
}
