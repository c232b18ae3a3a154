//! The way into the interpreter, which closes when Python ends.
//!
//! A thread that waits for the interpreter while it is torn down is ended by `CPython` (before
//! 3.14) by unwinding its stack, which a Rust frame does not survive; one that comes later finds
//! freed memory. So whoever has Rust frames below Python code, or comes from a thread of Rust's,
//! makes a visit; the exit lets nobody in any more and waits for those who are inside.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use aikit_components::event_log;
use aikit_core::{Error, broadcast, telemetry};
use pyo3::{intern, prelude::*, sync::PyOnceLock};

static CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The thread that ends the interpreter; it alone may still use it.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// How often, and with which pause, an exit looks whether everybody has left: ten seconds in all,
/// which only a machine that is very busy takes.
const EXIT_LOOKS_MAX: u32 = 10_000;
const EXIT_PAUSE: Duration = Duration::from_millis(1);

/// How long an exit waits for the spans that are not sent yet.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(3);

/// Runs `body` with the interpreter on a thread of Rust's; `None` once it ends.
pub(crate) fn attach<T>(body: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _visit = Visit::begin()?;
    Python::try_attach(body)
}

/// Runs `job`, which attaches on its own, unless the interpreter ends.
pub(crate) fn visit(job: impl FnOnce()) {
    if let Some(_visit) = Visit::begin() {
        job();
    }
}

/// Begins a visit of a thread that Python called. It does not return once the interpreter ends:
/// such a thread is a daemon, and the process ends around it.
pub(crate) fn enter(py: Python<'_>) -> Visit {
    Visit::begin().unwrap_or_else(|| py.detach(|| stay_out()))
}

/// Begins a visit of a thread that has detached and is about to come back; as [`enter`].
pub(crate) fn come_back() -> Visit {
    Visit::begin().unwrap_or_else(|| stay_out())
}

fn stay_out() -> ! {
    loop {
        thread::park();
    }
}

/// Somebody inside; ends when dropped.
pub(crate) struct Visit(());

impl Visit {
    fn begin() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let visit = Self(());
        let is_open =
            !CLOSED.load(Ordering::SeqCst) || ENDING.get() == Some(&thread::current().id());
        is_open.then_some(visit)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The Python half of this crate: threads and loops that run Python functions.
pub(crate) fn callbacks(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || {
        let _visit = enter(py);
        let module = py.import(intern!(py, "aikit._callbacks"))?;
        PyResult::Ok(module.unbind())
    })?;
    Ok(module.bind(py))
}

/// Called by `atexit`: gives functions what was published last, then lets nobody in any more and
/// waits for those who are inside.
#[pyfunction]
pub(crate) fn close_interpreter(py: Python<'_>) {
    py.detach(|| {
        let left = broadcast::settle(|| attach(look_for_signals).unwrap_or(Ok(())));
        if left > 0 {
            tracing::warn!(left, "{}", broadcast::LEFT);
        }
    });
    if telemetry::is_on() {
        py.detach(|| telemetry::flush(FLUSH_TIME_MAX));
    }
    ENDING.get_or_init(|| thread::current().id());
    CLOSED.store(true, Ordering::SeqCst);
    py.detach(|| {
        event_log::settle();
        for _ in 0..EXIT_LOOKS_MAX {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::park_timeout(EXIT_PAUSE);
        }
    });
}

/// Fails when a signal came whose handler raises.
fn look_for_signals(py: Python<'_>) -> aikit_core::Result<()> {
    let stopped = |_| Error::interrupted("the exit was interrupted");
    py.check_signals().map_err(stopped)
}

/// Called in a forked child, where the threads that were inside do not exist; Python has cleared
/// away by then what was theirs.
#[pyfunction]
pub(crate) fn forget_parent() {
    INSIDE.store(0, Ordering::SeqCst);
}
