//! Handles of started work, seen from Python.

use std::sync::Arc;

use aikit_core::procedure;
use futures::FutureExt as _;
use pyo3::prelude::*;

use crate::{convert::PyValue, wait};

/// Started work.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Handle(Arc<procedure::Handle>);

impl Handle {
    pub(crate) fn new(handle: procedure::Handle) -> Self {
        Self(Arc::new(handle))
    }
}

#[pymethods]
impl Handle {
    /// Waits for the result.
    fn result(&self, py: Python<'_>) -> PyResult<PyValue> {
        let handle = Arc::clone(&self.0);
        wait::blocking(py, |_| async move { handle.result().await }).map(PyValue)
    }

    /// `result` as an awaitable.
    fn aresult<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let handle = Arc::clone(&self.0);
        wait::awaitable(py, |_| async move { handle.result().await.map(PyValue) })
    }

    /// Waits for the event after position `after`; `None` after the last one.
    fn event(&self, py: Python<'_>, after: u64) -> PyResult<Option<PyValue>> {
        let handle = Arc::clone(&self.0);
        let event = wait::blocking(py, move |_| async move { Ok(handle.event(after).await) })?;
        Ok(event.map(|event| PyValue(event.to_value())))
    }

    /// `event` as an awaitable.
    fn aevent<'py>(&self, py: Python<'py>, after: u64) -> PyResult<Bound<'py, PyAny>> {
        let handle = Arc::clone(&self.0);
        wait::awaitable(py, move |_| async move {
            Ok(handle
                .event(after)
                .await
                .map(|event| PyValue(event.to_value())))
        })
    }

    /// The events until now.
    fn events(&self) -> Vec<PyValue> {
        let mut events = Vec::new();
        let mut position = 0;
        while let Some(Some(event)) = self.0.event(position).now_or_never() {
            position = event.sequence;
            events.push(PyValue(event.to_value()));
        }
        events
    }

    /// Where the work stands.
    fn status(&self) -> &'static str {
        self.0.status().name()
    }

    /// Its events, without holding the work.
    fn view(&self) -> HandleView {
        HandleView(self.0.view().clone())
    }

    /// Asks the work to end.
    fn cancel(&self, reason: String) {
        self.0.cancel(reason);
    }

    /// Whether the work has ended.
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// W3C trace id.
    fn trace_id(&self) -> String {
        self.0.context().trace_id().to_owned()
    }
}

/// The events of started work.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct HandleView(procedure::HandleView);

#[pymethods]
impl HandleView {
    /// Waits for the event after position `after`; `None` after the last one.
    fn event(&self, py: Python<'_>, after: u64) -> PyResult<Option<PyValue>> {
        let view = self.0.clone();
        let event = wait::blocking(py, move |_| async move { Ok(view.event(after).await) })?;
        Ok(event.map(|event| PyValue(event.to_value())))
    }
}
