//! Handles of started work, seen from Python.

use std::{pin::pin, process, sync::Arc};

use aikit_core::{Error, ErrorKind, Result, event::Event, per_process::OfProcess, procedure};
use futures::{
    FutureExt as _,
    future::{Either, select},
};
use pyo3::{PyTraverseError, PyVisit, intern, prelude::*};
use tokio::sync::watch;

use crate::{
    context::Scope, convert::PyValue, errors, graph::Tree, interpreter, raised::Original, wait,
};

/// Started work.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Handle {
    work: OfProcess<Arc<procedure::Handle>>,
    started_by: Process,
    /// What it raises, where that is what a Python function raised.
    original: Option<Arc<Original>>,
}

impl Handle {
    pub(crate) fn new(handle: procedure::Handle) -> Self {
        Self {
            work: Arc::new(handle).into(),
            started_by: Process::this(),
            original: None,
        }
    }

    /// Of a Python function: what it raises is raised as it is.
    pub(crate) fn of_function(handle: procedure::Handle) -> Self {
        Self {
            original: Some(Arc::default()),
            ..Self::new(handle)
        }
    }

    /// The work, if this process can wait for it.
    fn here(&self, py: Python<'_>) -> PyResult<Arc<procedure::Handle>> {
        if !self.work.is_finished() {
            self.started_by.check(py)?;
        }
        Ok(Arc::clone(&self.work))
    }

    /// What makes the exception of the error that the work ends with.
    fn raise(&self) -> impl FnOnce(Python<'_>, &Error) -> PyErr + Send + use<> {
        let original = self.original.clone();
        move |py, error| match original {
            Some(original) => original.raise(py, error),
            None => errors::to_python(py, error),
        }
    }

    /// Whether a function belongs to the work itself, and not to what that has started beside it.
    fn stands_at(&self, scope: &Scope) -> bool {
        let (own, its) = (self.work.context(), scope.core());
        let operations = own.operation_events().zip(its.operation_events());
        operations.is_some_and(|(own, its)| Arc::ptr_eq(own, its))
    }

    /// Refuses to block an event loop until work has ended that this loop has to go on with.
    fn check_loop(&self, py: Python<'_>) -> PyResult<()> {
        let here = interpreter::callbacks(py)?.call_method0(intern!(py, "begun_here"))?;
        let scopes: Vec<Bound<'_, Scope>> = here.extract()?;
        if self.work.is_finished() || !scopes.iter().any(|it| self.stands_at(it.get())) {
            return Ok(());
        }
        let message = "the work of the handle stands on this event loop, which a blocking wait \
                       keeps from going on with it";
        let error = Error::invalid_args(message)
            .with_hint("write `await handle`, or iterate with `async for`");
        Err(errors::to_python(py, &error))
    }
}

#[pymethods]
impl Handle {
    /// Waits for the result.
    fn result(&self, py: Python<'_>) -> PyResult<PyValue> {
        let handle = self.here(py)?;
        self.check_loop(py)?;
        let work = |_| async move { handle.result().await };
        wait::blocking_as(py, work, self.raise()).map(PyValue)
    }

    /// `result` as an awaitable.
    fn aresult<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let handle = self.here(py)?;
        let work = |_| async move { handle.result().await.map(PyValue) };
        wait::awaitable_as(py, work, self.raise())
    }

    /// Waits for the event after position `after`; `None` after the last one.
    fn event(&self, py: Python<'_>, after: u64) -> PyResult<Option<PyValue>> {
        let handle = self.here(py)?;
        if let Some(event) = handle.event(after).now_or_never() {
            return Ok(event.map(|event| PyValue(event.to_value())));
        }
        self.check_loop(py)?;
        let event = wait::blocking(py, move |_| async move { Ok(handle.event(after).await) })?;
        Ok(event.map(|event| PyValue(event.to_value())))
    }

    /// `event` as an awaitable.
    fn aevent<'py>(&self, py: Python<'py>, after: u64) -> PyResult<Bound<'py, PyAny>> {
        let handle = self.here(py)?;
        wait::awaitable(py, move |_| async move {
            Ok(handle
                .event(after)
                .await
                .map(|event| PyValue(event.to_value())))
        })
    }

    /// The executions around the work.
    fn tree(&self) -> Tree {
        Tree(self.work.tree())
    }

    /// The events until now.
    fn events(&self, py: Python<'_>) -> PyResult<EventList> {
        Ok(EventList(self.here(py)?.events_until_now()))
    }

    /// What the work has used until now.
    fn usage(&self, py: Python<'_>) -> PyResult<PyValue> {
        Ok(PyValue(self.here(py)?.usage().to_value()))
    }

    /// How many events are kept no more.
    fn dropped(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.here(py)?.dropped())
    }

    /// Where the work stands.
    fn status(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.here(py)?.status().name())
    }

    /// Its events, without holding the work.
    fn view(&self, py: Python<'_>) -> PyResult<HandleView> {
        Ok(HandleView::new(self.here(py)?.view().clone()))
    }

    /// Asks the work to end.
    fn cancel(&self, py: Python<'_>, reason: String) -> PyResult<()> {
        self.here(py)?.cancel(reason);
        Ok(())
    }

    /// Whether the work has ended.
    fn is_finished(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.here(py)?.is_finished())
    }

    /// W3C trace id.
    fn trace_id(&self) -> String {
        self.work.context().trace_id().to_owned()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        let original = self.original.as_ref();
        original.map_or(Ok(()), |it| it.traverse(&visit))
    }

    fn __clear__(&self) {
        if let Some(original) = &self.original {
            original.clear();
        }
    }
}

/// The events of started work.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct HandleView {
    view: OfProcess<procedure::HandleView>,
    started_by: Process,
    closed: watch::Sender<bool>,
}

impl HandleView {
    pub(crate) fn new(view: procedure::HandleView) -> Self {
        Self {
            view: view.into(),
            started_by: Process::this(),
            closed: watch::Sender::new(false),
        }
    }
}

#[pymethods]
impl HandleView {
    /// Waits for the event after position `after`; `None` after the last one, and when closed.
    fn event(&self, py: Python<'_>, after: u64) -> PyResult<Option<PyValue>> {
        self.started_by.check(py)?;
        let work = next(self.view.clone(), self.closed.subscribe(), after);
        wait::blocking(py, |_| work)
    }

    /// `event` as an awaitable.
    fn aevent<'py>(&self, py: Python<'py>, after: u64) -> PyResult<Bound<'py, PyAny>> {
        self.started_by.check(py)?;
        let work = next(self.view.clone(), self.closed.subscribe(), after);
        wait::awaitable(py, |_| work)
    }

    /// The events until now.
    fn events(&self, py: Python<'_>) -> PyResult<EventList> {
        self.started_by.check(py)?;
        Ok(EventList(self.view.events_until_now()))
    }

    /// How many events are kept no more.
    fn dropped(&self, py: Python<'_>) -> PyResult<u64> {
        self.started_by.check(py)?;
        Ok(self.view.dropped())
    }

    /// The same events, closed by themselves.
    fn view(&self, py: Python<'_>) -> PyResult<Self> {
        self.started_by.check(py)?;
        Ok(Self::new(self.view.clone()))
    }

    /// Asks the work to end.
    fn cancel(&self, py: Python<'_>, reason: String) -> PyResult<()> {
        self.started_by.check(py)?;
        self.view.cancel(reason);
        Ok(())
    }

    /// Ends the waits for events.
    fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// Events that were there at one time; each is made an object of Python's when it is asked for.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct EventList(Vec<Arc<Event>>);

#[pymethods]
impl EventList {
    /// How many there are.
    fn count(&self) -> usize {
        self.0.len()
    }

    /// The one at `index`, from 0; `None` where there is none.
    fn get(&self, index: usize) -> Option<PyValue> {
        self.0.get(index).map(|it| PyValue(it.to_value()))
    }
}

async fn next(
    view: procedure::HandleView,
    mut closed: watch::Receiver<bool>,
    after: u64,
) -> Result<Option<PyValue>> {
    // A view that is gone is closed as well.
    let closed = pin!(closed.wait_for(|is_closed| *is_closed));
    let found = match select(pin!(view.event(after)), closed).await {
        Either::Left((event, _)) => event,
        Either::Right(_) => None,
    };
    Ok(found.map(|event| PyValue(event.to_value())))
}

/// The process that has the threads on which some work goes on.
struct Process(u32);

impl Process {
    fn this() -> Self {
        Self(process::id())
    }

    /// # Errors
    ///
    /// `unavailable` in a process that was forked off.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.0 == process::id() {
            return Ok(());
        }
        let message = format!(
            "the work of the handle goes on in the process `{}`, of which this one is a fork",
            self.0
        );
        let error = Error::new(ErrorKind::Unavailable, message)
            .with_hint("wait for it there, or start the work again here");
        Err(errors::to_python(py, &error))
    }
}
