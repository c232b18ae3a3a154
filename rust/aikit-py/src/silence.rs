//! Keeps what a log handler or a telemetry provider of the program calls from being told to it.
//!
//! A handler that calls aikit brings about records and spans itself, which would be given to it
//! again, until the stack ends. So a context variable says that it runs: it is seen by the calls it
//! makes, by the tasks it starts and by the threads that get its variables, and their Contexts are
//! silent. The thread of a `logging.handlers.QueueListener` does nothing but call handlers, so it is
//! silent as a whole: it was started by the program, without that variable.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};

use pyo3::{intern, prelude::*, sync::PyOnceLock};

use crate::interpreter;

/// Whether the variable was ever set: before that, nobody has to look.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is one of a `QueueListener`, once that is known.
    static LISTENS: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether the caller is such a handler or provider, or was called by one.
pub(crate) fn is_on(py: Python<'_>) -> bool {
    if !IS_USED.load(Ordering::Relaxed) {
        return false;
    }
    let read = || variable(py)?.call_method0(intern!(py, "get"))?.is_truthy();
    read().unwrap_or(false) || listens(py)
}

fn listens(py: Python<'_>) -> bool {
    LISTENS.get().unwrap_or_else(|| {
        let ask = || {
            let callbacks = interpreter::callbacks(py)?;
            callbacks
                .call_method0(intern!(py, "calls_handlers"))?
                .is_truthy()
        };
        let listens = ask().unwrap_or(false);
        if listens {
            // For the tasks and threads that its handlers start.
            drop(variable(py).and_then(|it| it.call_method1(intern!(py, "set"), (true,))));
        }
        LISTENS.set(Some(listens));
        listens
    })
}

/// Calls the code of a handler or a provider.
pub(crate) fn keep<T>(py: Python<'_>, body: impl FnOnce() -> T) -> T {
    IS_USED.store(true, Ordering::Relaxed);
    let set = variable(py).and_then(|it| it.call_method1(intern!(py, "set"), (true,)));
    let answer = body();
    // It stays set only where it could not be set in the first place.
    if let Ok(token) = set {
        let reset = variable(py).and_then(|it| it.call_method1(intern!(py, "reset"), (token,)));
        drop(reset);
    }
    answer
}

fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let find = || {
        let callbacks = interpreter::callbacks(py)?;
        PyResult::Ok(callbacks.getattr(intern!(py, "SILENT"))?.unbind())
    };
    Ok(interpreter::once(py, &VARIABLE, find)?.bind(py))
}
