//! The way from background threads into the interpreter, which closes when Python ends.
//!
//! A thread that asks for the interpreter while it is being torn down may crash the process or
//! never come back. So nothing enters once the exit has begun, and the exit waits for those who
//! are inside.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use pyo3::{intern, prelude::*, sync::PyOnceLock};

static CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How often, and with which pause, an exit looks whether everybody has left: one second in all.
const EXIT_LOOKS_MAX: u32 = 1_000;
const EXIT_PAUSE: Duration = Duration::from_millis(1);

/// Runs `body` with the interpreter; `None` once it ends.
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

struct Visit;

impl Visit {
    fn begin() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let visit = Self;
        (!CLOSED.load(Ordering::SeqCst)).then_some(visit)
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
        let module = py.import(intern!(py, "aikit._callbacks"))?;
        PyResult::Ok(module.unbind())
    })?;
    Ok(module.bind(py))
}

/// Called by `atexit`: lets nobody in any more and waits for those who are inside.
#[pyfunction]
pub(crate) fn close_interpreter(py: Python<'_>) {
    CLOSED.store(true, Ordering::SeqCst);
    py.detach(|| {
        for _ in 0..EXIT_LOOKS_MAX {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                return;
            }
            std::thread::park_timeout(EXIT_PAUSE);
        }
    });
}

/// Called in a forked child, where the threads that were inside do not exist.
#[pyfunction]
pub(crate) fn forget_visits() {
    INSIDE.store(0, Ordering::SeqCst);
}
