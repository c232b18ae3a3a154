//! Python functions that Rust calls: on threads of Python's own, or on an event loop.
//!
//! A sync function runs on a Python thread and not on one of the I/O runtime's, because a thread
//! that is inside Python when the interpreter ends is unwound by the C library, which a Rust
//! frame does not survive.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{Context, Error, ErrorKind, Result, Value, io, script::Callable};
use futures::future::BoxFuture;
use pyo3::{exceptions::PyBaseException, intern, prelude::*, types::PyTuple};
use tokio::sync::oneshot;

use crate::{
    context::{Origin, Scope},
    convert, errors, interpreter,
    slots::{Place, Slot, Slots, said_once},
};

/// A Python function as Rust calls it.
#[derive(Debug)]
pub(crate) struct PyCallable(Arc<Function>);

#[derive(Debug)]
struct Function {
    name: Arc<str>,
    object: Py<PyAny>,
    is_async: bool,
}

impl PyCallable {
    /// Takes a function, a method or any other callable object.
    ///
    /// # Errors
    ///
    /// `invalid_args` when `function` cannot be called.
    pub(crate) fn make(function: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Callable>> {
        let py = function.py();
        let _visit = interpreter::enter(py);
        if !function.is_callable() {
            let message = format!("`{function}` cannot be called");
            let error = Error::invalid_args(message).with_hint("pass a function, not its result");
            return Err(errors::to_python(py, &error));
        }
        let name: String = function
            .getattr(intern!(py, "__name__"))
            .and_then(|name| name.extract())
            .or_else(|_| function.get_type().name()?.extract())?;
        // What has no name of its own is called the same wherever it is named.
        let name = if name == "<lambda>" {
            "anonymous"
        } else {
            &name
        };
        let is_async = interpreter::callbacks(py)?
            .call_method1(intern!(py, "is_async"), (function,))?
            .extract()?;
        Ok(Arc::new(Self(Arc::new(Function {
            name: Arc::from(name),
            object: function.clone().unbind(),
            is_async,
        }))))
    }
}

impl Callable for PyCallable {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn call(&self, cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let function = Arc::clone(&self.0);
        let cx = cx.clone();
        Box::pin(call(function, cx, args))
    }
}

async fn call(function: Arc<Function>, context: Context, args: Vec<Value>) -> Result<Value> {
    let slots = (!function.is_async).then(Slots::current);
    let slot = match &slots {
        Some(slots) => Some(Slots::take(slots, &function.name).await?),
        None => None,
    };
    let place = slot.as_ref().map(Slot::place);
    let (sender, receiver) = oneshot::channel();
    let reply = Reply {
        name: Arc::clone(&function.name),
        waiting: Mutex::new(Some((sender, slot))),
    };
    let job = Arc::new(Job {
        function: Arc::clone(&function),
        place,
        state: Mutex::default(),
    });
    let mut guard = Guard {
        job: Arc::clone(&job),
        is_answered: false,
    };
    // Taking the interpreter may wait, which a worker of the runtime must not.
    io::spawn_blocking(move || {
        let scope = Scope::new(context.clone(), slots);
        interpreter::attach(|py| {
            let started = start(py, &function, &context, (args, scope, reply));
            match started {
                Ok(started) => job.begin(py, started),
                Err(error) => return Err(errors::from_python(py, &function.name, error)),
            }
            Ok(())
        })
        .unwrap_or_else(|| Err(ending()))
    })
    .await?;
    let answer = receiver.await;
    guard.is_answered = true;
    answer.unwrap_or_else(|_| Err(ending()))
}

fn ending() -> Error {
    Error::new(ErrorKind::Cancelled, "the Python interpreter is ending")
}

/// Hands the call to the Python half, see `aikit/_callbacks.py`.
fn start(
    py: Python<'_>,
    function: &Function,
    context: &Context,
    (args, scope, reply): (Vec<Value>, Scope, Reply),
) -> PyResult<Py<PyAny>> {
    let origin = context.host::<Origin>();
    let variables = origin.as_ref().map(|it| it.variables.clone_ref(py));
    let event_loop = origin
        .as_ref()
        .and_then(|it| it.event_loop())
        .map(|it| it.clone_ref(py));
    let args: Vec<_> = args
        .iter()
        .map(|arg| convert::to_python(py, arg))
        .collect::<PyResult<_>>()?;
    let method = if function.is_async {
        intern!(py, "start_async")
    } else {
        intern!(py, "start_sync")
    };
    let call = (
        function.object.clone_ref(py),
        PyTuple::new(py, args)?,
        variables,
        event_loop,
        scope,
        reply,
    );
    interpreter::callbacks(py)?
        .call_method1(method, call)
        .map(Bound::unbind)
}

/// Who waits for an answer, and the place the function takes meanwhile.
type Waiting = (oneshot::Sender<Result<Value>>, Option<Slot>);

/// Where a Python function's answer goes.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Reply {
    /// And not the function: frames refer to this, which the collector does not look into.
    name: Arc<str>,
    waiting: Mutex<Option<Waiting>>,
}

#[pymethods]
impl Reply {
    /// Answers with what the function returned.
    fn resolve(&self, value: &Bound<'_, PyAny>) {
        let name = &self.name;
        self.send(convert::from_python(value).map_err(|error| {
            let message = format!(
                "the Python function `{name}` returned what is not data: {}",
                error.message()
            );
            let hint = error
                .hint()
                .unwrap_or_default()
                .replacen("pass", "return", 1);
            Error::new(ErrorKind::ToolFailed, message).with_hint(hint)
        }));
    }

    /// Answers with what the function raised.
    fn reject(&self, py: Python<'_>, raised: Bound<'_, PyBaseException>) {
        let raised = PyErr::from_value(raised.into_any());
        self.send(Err(errors::from_python(py, &self.name, raised)));
    }

    /// Answers that the loop has ended on which the function was to go on.
    fn lose(&self) {
        let name = &self.name;
        let message =
            format!("the event loop of the Python function `{name}` has ended before the function");
        let hint = "await the handle before `asyncio.run` returns, or start the work outside of it";
        let error = Error::new(ErrorKind::Cancelled, message).with_hint(hint);
        self.send(Err(error.with_source(LoopEnded)));
    }

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .as_ref()
            .is_none_or(|(sender, _)| sender.is_closed())
    }
}

/// The source of the error of a function whose event loop has ended: it never runs again.
#[derive(Debug)]
struct LoopEnded;

impl fmt::Display for LoopEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event loop has ended")
    }
}

impl std::error::Error for LoopEnded {}

/// Whether a function failed because its event loop has ended.
pub(crate) fn is_lost(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LoopEnded>)
}

impl Reply {
    fn send(&self, answer: Result<Value>) {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((sender, slot)) = waiting {
            drop(slot);
            if sender.send(answer).is_err() {
                tracing::debug!(function = %self.name, "a late answer was dropped");
            }
        }
    }
}

/// A call, shared with the thread that starts it.
#[derive(Debug)]
struct Job {
    function: Arc<Function>,
    /// What a sync function takes until it returns.
    place: Option<Place>,
    state: Mutex<JobState>,
}

#[derive(Debug, Default)]
struct JobState {
    /// The Python side, once it is known.
    started: Option<Py<PyAny>>,
    is_cancelled: bool,
}

impl Job {
    fn begin(&self, py: Python<'_>, started: Py<PyAny>) {
        {
            let mut state = self.state();
            if !state.is_cancelled {
                state.started = Some(started);
                return;
            }
        }
        // Its function may run already.
        self.cut_off();
        cancel(py, &started);
    }

    /// Nobody waits for the answer any more; answers what to cancel.
    fn give_up(&self) -> Option<Py<PyAny>> {
        let started = {
            let mut state = self.state();
            state.is_cancelled = true;
            state.started.take()
        };
        if started.is_some() {
            self.cut_off();
        }
        started
    }

    /// Gives the place of a sync function that still runs to another.
    fn cut_off(&self) {
        let Some(place) = &self.place else { return };
        if let Some(cut_off) = place.cut_off() {
            said_once!(
                place.is_news(),
                function = %self.function.name,
                cut_off,
                "a Python function outlived its caller and keeps its thread until it returns or \
                 looks at its Context"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cancel(py: Python<'_>, started: &Py<PyAny>) {
    if let Err(error) = started.call_method0(py, intern!(py, "cancel")) {
        tracing::warn!(%error, "a Python function could not be cancelled");
    }
}

/// Cancels the Python side when the Rust future is dropped before its answer.
struct Guard {
    job: Arc<Job>,
    is_answered: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        if let Some(started) = self.job.give_up() {
            // Not here: this may be a worker of the runtime, and the interpreter may be taken.
            drop(
                io::runtime()
                    .spawn_blocking(move || interpreter::attach(|py| cancel(py, &started))),
            );
        }
    }
}
