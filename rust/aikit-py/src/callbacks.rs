//! Python functions that Rust calls: on threads of Python's own, or on an event loop.
//!
//! A sync function runs on a Python thread and not on one of the I/O runtime's, because a thread
//! that is inside Python when the interpreter ends is unwound by the C library, which a Rust
//! frame does not survive.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    clock::{Clock as _, SystemClock},
    io,
    per_process::PerProcess,
    script::Callable,
};
use futures::future::{BoxFuture, Either, select};
use pyo3::{exceptions::PyBaseException, intern, prelude::*, types::PyTuple};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    context::{Origin, Scope},
    convert, errors, interpreter,
};

/// How often the loop of an async function that has not answered is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Sync Python functions that run at the same time.
const FUNCTIONS_MAX: usize = 32;

/// A Python function as Rust calls it.
#[derive(Debug)]
pub(crate) struct PyCallable(Arc<Function>);

#[derive(Debug)]
struct Function {
    name: String,
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
        let name = function
            .getattr(intern!(py, "__name__"))
            .and_then(|name| name.extract())
            .or_else(|_| function.get_type().name()?.extract())?;
        let is_async = interpreter::callbacks(py)?
            .call_method1(intern!(py, "is_async"), (function,))?
            .extract()?;
        Ok(Arc::new(Self(Arc::new(Function {
            name,
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
        Some(slots) => Some(Slots::take(slots).await?),
        None => None,
    };
    let (sender, receiver) = oneshot::channel();
    let reply = Reply {
        function: Arc::clone(&function),
        waiting: Mutex::new(Some((sender, slot))),
    };
    let mut guard = Guard {
        function: Arc::clone(&function),
        job: Arc::default(),
        is_answered: false,
    };
    let (job, starting) = (Arc::clone(&guard.job), Arc::clone(&function));
    // Taking the interpreter may wait, which a worker of the runtime must not.
    let is_lost = io::spawn_blocking(move || {
        let scope = Scope::new(context.clone(), slots);
        interpreter::attach(|py| {
            let started = start(py, &starting, &context, (args, scope, reply));
            match started {
                Ok(started) => job.begin(py, started),
                Err(error) => return Err(errors::from_python(py, &starting.name, error)),
            }
            Ok(starting.is_async && job.is_lost(py))
        })
        .unwrap_or_else(|| Err(ending()))
    })
    .await?;
    let answer = if is_lost {
        Err(lost(&function.name))
    } else {
        answer(receiver, &function, &guard.job).await
    };
    guard.is_answered = true;
    answer
}

/// Waits for the answer. A loop that is closed gives none, and tells nobody, so it is looked at
/// now and then.
async fn answer(
    mut receiver: oneshot::Receiver<Result<Value>>,
    function: &Arc<Function>,
    job: &Arc<Job>,
) -> Result<Value> {
    let gone = |answer: std::result::Result<Result<Value>, _>| {
        answer.unwrap_or_else(|_: oneshot::error::RecvError| Err(ending()))
    };
    if !function.is_async {
        return gone(receiver.await);
    }
    loop {
        match select(receiver, SystemClock.sleep(LOOK)).await {
            Either::Left((answer, _)) => return gone(answer),
            Either::Right(((), waiting)) => receiver = waiting,
        }
        let job = Arc::clone(job);
        let is_lost = move || interpreter::attach(|py| job.is_lost(py)).unwrap_or(false);
        if io::spawn_blocking(move || Ok(is_lost())).await? {
            // An answer may have come just before the end.
            return receiver
                .try_recv()
                .unwrap_or_else(|_| Err(lost(&function.name)));
        }
    }
}

fn lost(name: &str) -> Error {
    let message = format!("the event loop of the Python function `{name}` is closed");
    Error::new(ErrorKind::Unavailable, message)
        .with_hint("give the function to aikit in a loop that runs as long as it is called")
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
        .and_then(|it| it.event_loop.as_ref())
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
    function: Arc<Function>,
    waiting: Mutex<Option<Waiting>>,
}

#[pymethods]
impl Reply {
    /// Answers with what the function returned.
    fn resolve(&self, value: &Bound<'_, PyAny>) {
        let name = &self.function.name;
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
        self.send(Err(errors::from_python(py, &self.function.name, raised)));
    }

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .as_ref()
            .is_none_or(|(sender, _)| sender.is_closed())
    }
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
                tracing::debug!(function = %self.function.name, "a late answer was dropped");
            }
        }
    }
}

/// The started call, once it is known; shared with the thread that starts it.
#[derive(Debug, Default)]
struct Job(Mutex<JobState>);

#[derive(Debug, Default)]
struct JobState {
    started: Option<Py<PyAny>>,
    is_cancelled: bool,
}

impl Job {
    fn begin(&self, py: Python<'_>, started: Py<PyAny>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cancelled {
            cancel(py, &started);
        } else {
            state.started = Some(started);
        }
    }
}

impl Job {
    /// Whether the loop of the call was closed before it answered; it is forgotten then.
    fn is_lost(&self, py: Python<'_>) -> bool {
        let started = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.started.as_ref().map(|it| it.clone_ref(py))
        };
        let lost = started.map(|it| it.call_method0(py, intern!(py, "is_lost")));
        lost.is_some_and(|it| it.is_ok_and(|it| it.is_truthy(py).unwrap_or(false)))
    }
}

fn cancel(py: Python<'_>, started: &Py<PyAny>) {
    if let Err(error) = started.call_method0(py, intern!(py, "cancel")) {
        tracing::warn!(%error, "a Python function could not be cancelled");
    }
}

/// Cancels the Python side when the Rust future is dropped before its answer.
struct Guard {
    function: Arc<Function>,
    job: Arc<Job>,
    is_answered: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut state = self.job.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cancelled = true;
        if let Some(started) = state.started.take() {
            if !self.function.is_async {
                tracing::warn!(
                    function = %self.function.name,
                    running = Slots::current().running.load(Ordering::Relaxed),
                    "a Python function outlived its caller and keeps its thread"
                );
            }
            // Not here: this may be a worker of the runtime, and the interpreter may be taken.
            drop(
                io::runtime()
                    .spawn_blocking(move || interpreter::attach(|py| cancel(py, &started))),
            );
        }
    }
}

/// The bound on sync Python functions; a function that itself waits for aikit lends its place,
/// so that calls which nest cannot lock each other out.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// Places to take out of use at the next return.
    debt: AtomicUsize,
    running: AtomicUsize,
}

/// A place in [`Slots`]; kept until the function returns, even when nobody waits any more.
struct Slot {
    slots: Arc<Slots>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// The bound of this process; a forked child has its own.
    fn current() -> Arc<Self> {
        static CURRENT: PerProcess<Arc<Slots>> = PerProcess::new();
        let slots = CURRENT.get_or_init(|| {
            Arc::new(Self {
                free: Arc::new(Semaphore::new(FUNCTIONS_MAX)),
                debt: AtomicUsize::new(0),
                running: AtomicUsize::new(0),
            })
        });
        Arc::clone(slots)
    }

    async fn take(slots: &Arc<Self>) -> Result<Slot> {
        let permit = Arc::clone(&slots.free).acquire_owned().await;
        let permit = permit.map_err(|error| Error::internal("no place").with_source(error))?;
        slots.running.fetch_add(1, Ordering::Relaxed);
        Ok(Slot {
            slots: Arc::clone(slots),
            permit: Some(permit),
        })
    }

    /// Opens one more place while a function waits for aikit.
    pub(crate) fn lend(&self) {
        self.free.add_permits(1);
    }

    /// Closes the place that [`Slots::lend`] opened, now or when it gets free.
    pub(crate) fn take_back(&self) {
        if self.free.forget_permits(1) == 0 {
            self.debt.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.running.fetch_sub(1, Ordering::Relaxed);
        let paid = self
            .slots
            .debt
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
                debt.checked_sub(1)
            });
        if let (Ok(_), Some(permit)) = (paid, self.permit.take()) {
            permit.forget();
        }
    }
}
