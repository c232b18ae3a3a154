//! State, seen from Python.

use std::sync::Arc;

use aikit_components::{
    project::Place,
    state::{self, Scope},
};
use aikit_core::{Result, Value, script::Callable, tool::ToolContext};
use pyo3::prelude::*;

use crate::{callbacks::PyCallable, convert::PyValue, session, wait};

/// The values of one scope.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct State(pub(crate) state::State);

#[pymethods]
impl State {
    /// Opens a scope at `url`; in the store of the project when it is `None`.
    #[new]
    fn new(py: Python<'_>, scope: String, url: Option<String>) -> PyResult<Self> {
        let project = session::current(py)?.project.clone();
        wait::blocking(py, |cx| async move {
            let (scope, place) = (scope.parse::<Scope>()?, Place::parse(url.as_deref())?);
            state::State::open_at(&cx.context, &project, scope, &place).await
        })
        .map(Self)
    }

    /// The value of a key in a list of one; an empty list when there is none.
    fn find(&self, py: Python<'_>, key: String) -> PyResult<Vec<PyValue>> {
        let state = self.0.clone();
        wait::blocking(py, |cx| find(state, cx, key))
    }

    /// `find` as an awaitable.
    fn afind<'py>(&self, py: Python<'py>, key: String) -> PyResult<Bound<'py, PyAny>> {
        let state = self.0.clone();
        wait::awaitable(py, |cx| find(state, cx, key))
    }

    /// Keeps a value.
    fn set(&self, py: Python<'_>, key: String, value: PyValue) -> PyResult<()> {
        let state = self.0.clone();
        wait::blocking(py, |cx| async move {
            state.set(&cx.context, &key, &value.0).await
        })
    }

    /// `set` as an awaitable.
    fn aset<'py>(
        &self,
        py: Python<'py>,
        key: String,
        value: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let state = self.0.clone();
        wait::awaitable(py, |cx| async move {
            state.set(&cx.context, &key, &value.0).await
        })
    }

    /// Deletes a value; answers whether there was one.
    fn delete(&self, py: Python<'_>, key: String) -> PyResult<bool> {
        let state = self.0.clone();
        wait::blocking(
            py,
            |cx| async move { state.delete(&cx.context, &key).await },
        )
    }

    /// `delete` as an awaitable.
    fn adelete<'py>(&self, py: Python<'py>, key: String) -> PyResult<Bound<'py, PyAny>> {
        let state = self.0.clone();
        wait::awaitable(
            py,
            |cx| async move { state.delete(&cx.context, &key).await },
        )
    }

    /// The keys that begin with `prefix`.
    fn keys(&self, py: Python<'_>, prefix: String) -> PyResult<Vec<String>> {
        let state = self.0.clone();
        wait::blocking(
            py,
            |cx| async move { state.keys(&cx.context, &prefix).await },
        )
    }

    /// `keys` as an awaitable.
    fn akeys<'py>(&self, py: Python<'py>, prefix: String) -> PyResult<Bound<'py, PyAny>> {
        let state = self.0.clone();
        wait::awaitable(
            py,
            |cx| async move { state.keys(&cx.context, &prefix).await },
        )
    }

    /// Keeps `new` when the value is `expected`; answers whether it was.
    fn compare_and_set(
        &self,
        py: Python<'_>,
        key: String,
        expected: PyValue,
        new: PyValue,
    ) -> PyResult<bool> {
        let state = self.0.clone();
        wait::blocking(py, |cx| async move {
            let cx = &cx.context;
            state.compare_and_set(cx, &key, &expected.0, &new.0).await
        })
    }

    /// `compare_and_set` as an awaitable.
    fn acompare_and_set<'py>(
        &self,
        py: Python<'py>,
        key: String,
        expected: PyValue,
        new: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let state = self.0.clone();
        wait::awaitable(py, |cx| async move {
            let cx = &cx.context;
            state.compare_and_set(cx, &key, &expected.0, &new.0).await
        })
    }

    /// Changes a value by a function; answers the new one.
    fn update(&self, key: String, change: &Bound<'_, PyAny>) -> PyResult<PyValue> {
        let (state, function) = (self.0.clone(), PyCallable::make(change)?);
        wait::blocking(change.py(), |cx| update(state, cx, key, function))
    }

    /// `update` as an awaitable.
    fn aupdate<'py>(&self, key: String, change: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (state, function) = (self.0.clone(), PyCallable::make(change)?);
        wait::awaitable(change.py(), |cx| update(state, cx, key, function))
    }
}

async fn find(state: state::State, cx: ToolContext, key: String) -> Result<Vec<PyValue>> {
    let found = state.get(&cx.context, &key).await?;
    Ok(found.into_iter().map(PyValue).collect())
}

async fn update(
    state: state::State,
    cx: ToolContext,
    key: String,
    function: Arc<dyn Callable>,
) -> Result<PyValue> {
    let context = &cx.context;
    let change = |found: Option<Value>| function.call(context, vec![found.unwrap_or_default()]);
    state.update(context, &key, change).await.map(PyValue)
}
