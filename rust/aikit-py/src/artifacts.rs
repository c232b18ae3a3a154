//! Artifacts, seen from Python.

use aikit_components::{
    artifacts::{self, ArtifactFilter, PutOptions},
    project::Place,
    state::Scope,
};
use aikit_core::{Error, Result, Value, tool::ToolContext};
use pyo3::prelude::*;

use crate::{convert::PyValue, session, wait};

/// The artifacts of one scope.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Artifacts(artifacts::Artifacts);

#[pymethods]
impl Artifacts {
    /// Opens a scope at `url`; in the store of the project when it is `None`.
    #[new]
    fn new(py: Python<'_>, scope: String, url: Option<String>) -> PyResult<Self> {
        let project = session::current(py)?.project.clone();
        wait::blocking(py, |cx| async move {
            let (scope, place) = (scope.parse::<Scope>()?, Place::parse(url.as_deref())?);
            artifacts::Artifacts::open_at(&cx.context, &project, scope, &place).await
        })
        .map(Self)
    }

    /// Stores a value; `options` is a mapping of `mime`, `tags` and `metadata`, and of `file` where
    /// a file is stored in place of a value.
    fn put(
        &self,
        py: Python<'_>,
        name: String,
        value: PyValue,
        options: PyValue,
    ) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| put(this, cx, (name, value), options))
    }

    /// `put` as an awaitable.
    fn aput<'py>(
        &self,
        py: Python<'py>,
        name: String,
        value: PyValue,
        options: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| put(this, cx, (name, value), options))
    }

    /// An artifact with its content.
    fn get(&self, py: Python<'_>, name: String) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| get(this, cx, name))
    }

    /// `get` as an awaitable.
    fn aget<'py>(&self, py: Python<'py>, name: String) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| get(this, cx, name))
    }

    /// The artifacts with a tag whose names begin with `prefix`.
    fn list(&self, py: Python<'_>, tag: Option<String>, prefix: String) -> PyResult<PyValue> {
        let this = self.0.clone();
        wait::blocking(py, |cx| list(this, cx, tag, prefix))
    }

    /// `list` as an awaitable.
    fn alist<'py>(
        &self,
        py: Python<'py>,
        tag: Option<String>,
        prefix: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(py, |cx| list(this, cx, tag, prefix))
    }

    /// Deletes an artifact; answers whether there was one.
    fn delete(&self, py: Python<'_>, name: String) -> PyResult<bool> {
        let this = self.0.clone();
        wait::blocking(
            py,
            |cx| async move { this.delete(&cx.context, &name).await },
        )
    }

    /// `delete` as an awaitable.
    fn adelete<'py>(&self, py: Python<'py>, name: String) -> PyResult<Bound<'py, PyAny>> {
        let this = self.0.clone();
        wait::awaitable(
            py,
            |cx| async move { this.delete(&cx.context, &name).await },
        )
    }
}

async fn put(
    this: artifacts::Artifacts,
    cx: ToolContext,
    (name, value): (String, PyValue),
    mut options: PyValue,
) -> Result<PyValue> {
    let file = match &mut options.0 {
        Value::Map(given) => given.shift_remove("file"),
        _ => None,
    };
    let file = file.as_ref().and_then(Value::as_str);
    let options: PutOptions = options.0.deserialize()?;
    let stored = match file {
        None => this.put(&cx.context, &name, &value.0, options).await?,
        Some(path) if value.0.is_null() => this.put_file(&cx, &name, path, options).await?,
        Some(_) => {
            let message = format!("the artifact `{name}` is given a value and a file");
            return Err(Error::invalid_args(message).with_hint("give one of them"));
        }
    };
    Value::from_serialize(&stored).map(PyValue)
}

/// The description and the content, and `bundle`, what a front end shows.
async fn get(this: artifacts::Artifacts, cx: ToolContext, name: String) -> Result<PyValue> {
    let found = this.get(&cx.context, &name).await?;
    let bundle = Value::Map(found.bundle());
    Ok(PyValue(Value::map([
        ("artifact", found.to_value()?),
        ("bundle", bundle),
    ])))
}

async fn list(
    this: artifacts::Artifacts,
    cx: ToolContext,
    tag: Option<String>,
    prefix: String,
) -> Result<PyValue> {
    let filter = ArtifactFilter { tag, prefix };
    let found = this.list(&cx.context, &filter).await?;
    Value::from_serialize(&found).map(PyValue)
}
