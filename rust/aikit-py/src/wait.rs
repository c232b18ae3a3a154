//! Waiting for Rust work from Python: blocking with signals, or as an awaitable.

use std::{
    any::Any,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use aikit_core::{Error, ErrorKind, Result, io, tool::ToolContext};
use futures::future::FutureExt as _;
use pyo3::{
    exceptions::{PyRuntimeError, PyStopIteration},
    intern,
    prelude::*,
};
use pyo3_async_runtimes::{
    TaskLocals,
    generic::{self, ContextExt, JoinError, Runtime},
};
use tokio::task::JoinHandle;

use crate::{context::Entry, errors, interpreter};

/// Runs `work` to its end on any thread; Ctrl-C ends it within 100 ms and drops it.
///
/// # Errors
///
/// The work's own as an exception of `aikit.errors`, or what a signal handler raised.
pub(crate) fn blocking<T, F>(py: Python<'_>, work: impl FnOnce(ToolContext) -> F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    blocking_as(py, work, errors::to_python)
}

/// [`blocking`], with the exception that `raise` makes of an error.
///
/// # Errors
///
/// As [`blocking`].
pub(crate) fn blocking_as<T, F>(
    py: Python<'_>,
    work: impl FnOnce(ToolContext) -> F,
    raise: impl FnOnce(Python<'_>, &Error) -> PyErr,
) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let visit = interpreter::enter(py);
    let entry = Entry::blocking(py)?;
    let work = work(entry.tool_context(py)?);
    let held = entry.hold_thread(py)?;
    drop(visit);
    let mut raised = None;
    let (waited, _visit) = py.detach(|| {
        let tick = || match interpreter::attach(|py| held.check(py)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                raised = Some(error);
                Err(Error::interrupted("interrupted"))
            }
            None => Err(Error::new(ErrorKind::Cancelled, "Python is ending")),
        };
        let waited = io::wait(work, tick);
        (waited, interpreter::come_back())
    });
    drop(held);
    if let Some(error) = raised {
        return Err(error);
    }
    waited.flatten().map_err(|error| raise(py, &error))
}

/// Starts `work` and answers an awaitable of the running loop; cancelling it drops the work.
///
/// # Errors
///
/// `RuntimeError` without a running loop; those of the work when awaited.
pub(crate) fn awaitable<'py, T, F>(
    py: Python<'py>,
    work: impl FnOnce(ToolContext) -> F,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    awaitable_as(py, work, errors::to_python)
}

/// [`awaitable`], with the exception that `raise` makes of an error.
///
/// # Errors
///
/// As [`awaitable`].
pub(crate) fn awaitable_as<'py, T, F>(
    py: Python<'py>,
    work: impl FnOnce(ToolContext) -> F,
    raise: impl FnOnce(Python<'_>, &Error) -> PyErr + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let _visit = interpreter::enter(py);
    let entry = Entry::awaiting(py)?;
    let work = work(entry.tool_context(py)?);
    let work = work.map(move |result| Ok(Outcome { result, raise }));
    generic::future_into_py_with_locals::<IoRuntime, _, _>(py, visited_loop(py)?, work)
}

/// The running loop with its context, as one that makes a visit of what it is given to call: the
/// function of pyo3-async-runtimes that gives a future its result is Rust, and the loop's own code
/// runs above it.
fn visited_loop(py: Python<'_>) -> PyResult<TaskLocals> {
    let locals = generic::get_current_locals::<IoRuntime>(py)?;
    let class = interpreter::callbacks(py)?.getattr(intern!(py, "VisitedLoop"))?;
    let visited = class.call1((locals.event_loop(py),))?;
    Ok(TaskLocals::new(visited).with_context(locals.context(py)))
}

/// The Context of work that goes on after the call, such as a handle's.
///
/// # Errors
///
/// Those of the first use of aikit in this process.
pub(crate) fn started(py: Python<'_>) -> PyResult<ToolContext> {
    let _visit = interpreter::enter(py);
    Entry::awaiting(py)?.tool_context(py)
}

/// A result that becomes an exception where the interpreter is at hand.
struct Outcome<T, R> {
    result: Result<T>,
    raise: R,
}

impl<'py, T, R> IntoPyObject<'py> for Outcome<T, R>
where
    T: IntoPyObject<'py>,
    R: FnOnce(Python<'_>, &Error) -> PyErr,
{
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self.result {
            Ok(value) => pyo3::IntoPyObjectExt::into_bound_py_any(value, py),
            Err(error) => Err(for_future(py, (self.raise)(py, &error))),
        }
    }
}

/// The exception as a future can hold it: none takes a `StopIteration`, of which a coroutine makes
/// the same (PEP 479).
fn for_future(py: Python<'_>, raised: PyErr) -> PyErr {
    if !raised.is_instance_of::<PyStopIteration>(py) {
        return raised;
    }
    let instead = PyRuntimeError::new_err("the function that was awaited raised StopIteration");
    instead.set_cause(py, Some(raised));
    instead
}

/// `aikit_core::io` as pyo3-async-runtimes sees it. Its own `tokio` module is not used: its
/// static keeps a dead runtime after a fork.
struct IoRuntime;

tokio::task_local! {
    static LOCALS: TaskLocals;
}

impl Runtime for IoRuntime {
    type JoinError = Ended;
    type JoinHandle = Joining;

    fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) -> Joining {
        Joining(io::spawn(future))
    }

    fn spawn_blocking<F: FnOnce() + Send + 'static>(job: F) -> Joining {
        Joining(io::runtime().spawn_blocking(|| interpreter::visit(job)))
    }
}

impl ContextExt for IoRuntime {
    fn scope<F, R>(locals: TaskLocals, future: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(LOCALS.scope(locals, future))
    }

    fn get_task_locals() -> Option<TaskLocals> {
        LOCALS.try_with(Clone::clone).ok()
    }
}

/// A started task.
struct Joining(JoinHandle<()>);

impl Future for Joining {
    type Output = Result<(), Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(cx).map_err(Ended)
    }
}

/// Why a task ended without an answer.
struct Ended(tokio::task::JoinError);

impl JoinError for Ended {
    fn is_panic(&self) -> bool {
        self.0.is_panic()
    }

    fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.0.into_panic()
    }
}
