//! What a function of the user's raised, on its way through Rust to whoever called it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aikit_core::Error;
use pyo3::{
    PyTraverseError, PyVisit, exceptions::PyBaseException, intern, prelude::*, types::PyTraceback,
};

use crate::{errors, interpreter};

/// An exception, with the traceback it had when it was taken: each time one is raised again, Python
/// adds to it.
#[derive(Debug)]
struct Kept {
    error: Py<PyBaseException>,
    traceback: Option<Py<PyTraceback>>,
}

impl Kept {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            error: self.error.clone_ref(py),
            traceback: self.traceback.as_ref().map(|it| it.clone_ref(py)),
        }
    }

    fn is_cancellation(&self, py: Python<'_>) -> bool {
        errors::is_cancellation(py, self.error.bind(py))
    }

    /// The very same exception, to be raised once more.
    fn again(self, py: Python<'_>) -> PyErr {
        let error = self.error.into_bound(py).into_any();
        // It takes a traceback of any exception, so this does not fail.
        let _same = error.call_method1(intern!(py, "with_traceback"), (self.traceback,));
        PyErr::from_value(error)
    }
}

/// The source of an error that a function of the user's stands for by raising. It is empty once the
/// exception was handed over to an [`Original`].
#[derive(Debug)]
pub(crate) struct Raised(Mutex<Option<Kept>>);

impl Raised {
    pub(crate) fn new(py: Python<'_>, error: PyErr) -> Self {
        let traceback = error.traceback(py).map(Bound::unbind);
        let error = error.into_value(py);
        Self(Mutex::new(Some(Kept { error, traceback })))
    }

    /// That of an error, if it is its very source.
    fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The exception, as it is now.
    pub(crate) fn error(&self, py: Python<'_>) -> Option<PyErr> {
        let kept = self.kept(py)?;
        Some(PyErr::from_value(kept.error.into_bound(py).into_any()))
    }

    // Whoever holds a lock of this module is attached, and runs no code of Python's meanwhile.
    fn kept(&self, py: Python<'_>) -> Option<Kept> {
        lock(&self.0).as_ref().map(|it| it.clone_ref(py))
    }

    fn take(&self, _attached: Python<'_>) -> Option<Kept> {
        lock(&self.0).take()
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match interpreter::try_attach(|py| self.error(py)).flatten() {
            Some(error) => error.fmt(f),
            None => f.write_str("an exception of a Python function"),
        }
    }
}

impl std::error::Error for Raised {}

/// The exception of the user's function itself, where the error stands for nothing else; the one
/// that carries the error otherwise.
///
/// `asyncio.CancelledError` is not raised again: it would end the task that waits, and not tell it
/// that what it waits for was cancelled.
pub(crate) fn original(py: Python<'_>, error: &Error) -> PyErr {
    match Raised::of(error).and_then(|it| it.kept(py)) {
        Some(kept) if !kept.is_cancellation(py) => kept.again(py),
        _ => errors::to_python(py, error),
    }
}

/// What a handle raises, each time it is asked.
///
/// An exception refers to the frames it went through, these to the handle, and the handle to what
/// it raises. Python's collector finds that circle only where it sees who holds the exception; so
/// that is this one alone, and no error of Rust's, once it was raised.
#[derive(Debug, Default)]
pub(crate) struct Original(Mutex<Option<Kept>>);

impl Original {
    /// The exception of the error by which the work of the handle ended, as [`original`].
    pub(crate) fn raise(&self, py: Python<'_>, error: &Error) -> PyErr {
        let raised = Raised::of(error);
        if raised.is_some_and(|it| it.kept(py).is_some_and(|kept| kept.is_cancellation(py))) {
            return errors::to_python(py, error);
        }
        let taken = raised.and_then(|it| it.take(py));
        let kept = {
            let mut own = lock(&self.0);
            if taken.is_some() {
                *own = taken;
            }
            own.as_ref().map(|it| it.clone_ref(py))
        };
        match kept {
            Some(kept) => kept.again(py),
            None => errors::to_python(py, error),
        }
    }

    /// Tells the collector what it holds.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds the lock is attached, and so is the collector: it is free.
        let Ok(own) = self.0.try_lock() else {
            return Ok(());
        };
        let Some(kept) = own.as_ref() else {
            return Ok(());
        };
        visit.call(&kept.error)?;
        visit.call(&kept.traceback)
    }

    /// Lets go of it.
    pub(crate) fn clear(&self) {
        let kept = lock(&self.0).take();
        drop(kept);
    }
}

fn lock(kept: &Mutex<Option<Kept>>) -> MutexGuard<'_, Option<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
