//! Error kinds ↔ Python exceptions, by the table of `aikit_core::error`.

use aikit_core::{Error, ErrorKind};
use pyo3::{exceptions::PyKeyboardInterrupt, intern, prelude::*, types::PyDict};

use crate::{convert, interpreter, raised::Raised};

/// The table of error kinds: `(code, class, parent, built-in parent, exit status, retryable,
/// summary)` each.
#[pyfunction]
pub(crate) fn error_kinds() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u8,
    bool,
    &'static str,
)> {
    let row = |kind: &ErrorKind| {
        (
            kind.code(),
            kind.python_class(),
            kind.python_parent(),
            kind.python_also(),
            kind.exit_status(),
            kind.is_retryable(),
            kind.summary().trim(),
        )
    };
    ErrorKind::ALL.iter().map(row).collect()
}

/// What a call gave, or its error as Python's.
pub(crate) fn raise<T>(py: Python<'_>, result: aikit_core::Result<T>) -> PyResult<T> {
    result.map_err(|error| to_python(py, &error))
}

/// Whether it is the exception by which asyncio ends a task.
pub(crate) fn is_cancellation(py: Python<'_>, raised: &Bound<'_, PyAny>) -> bool {
    let is_one = || -> PyResult<bool> {
        // Who has not imported asyncio raises none of its exceptions.
        let loaded = py
            .import(intern!(py, "sys"))?
            .getattr(intern!(py, "modules"))?;
        let asyncio = loaded.get_item(intern!(py, "asyncio"))?;
        raised.is_instance(&asyncio.getattr(intern!(py, "CancelledError"))?)
    };
    is_one().unwrap_or(false) && !is_ours(py, raised)
}

fn is_ours(py: Python<'_>, raised: &Bound<'_, PyAny>) -> bool {
    class(py, "AikitError").is_ok_and(|class| raised.is_instance(&class).unwrap_or(false))
}

/// The exception that carries an error.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let _visit = interpreter::enter(py);
    build(py, error).unwrap_or_else(|failure| failure)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    if error.kind() == ErrorKind::Interrupted {
        return Ok(PyKeyboardInterrupt::new_err(error.message().to_owned()));
    }
    let class = class(py, error.kind().python_class())?;
    let details = PyDict::new(py);
    details.set_item(intern!(py, "hint"), error.hint())?;
    let run = error.run().map(|run| convert::to_python(py, run));
    details.set_item(intern!(py, "run"), run.transpose()?)?;
    details.set_item(intern!(py, "script_traceback"), error.traceback())?;
    let exception = class.call((error.message(),), Some(&details))?;
    let exception = PyErr::from_value(exception);
    exception.set_cause(py, python_cause(py, error));
    Ok(exception)
}

/// The exception of the user's function that led to the error, if one did.
fn python_cause(py: Python<'_>, error: &Error) -> Option<PyErr> {
    let first = std::error::Error::source(error);
    let mut causes = std::iter::successors(first, |cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref::<Raised>()?.error(py))
}

/// The error that a function of the user's stands for by raising.
///
/// An exception of aikit keeps its kind; any other is a `tool_failed` that names it.
pub(crate) fn from_python(py: Python<'_>, name: &str, raised: PyErr) -> Error {
    let _visit = interpreter::enter(py);
    let value = raised.value(py).clone().into_any();
    if value.is_instance_of::<PyKeyboardInterrupt>() {
        return Error::new(ErrorKind::Interrupted, "interrupted")
            .with_source(Raised::new(py, raised));
    }
    let text = |attribute: &str| -> Option<String> {
        value.getattr(attribute).ok()?.extract::<String>().ok()
    };
    if is_ours(py, &value) {
        let kind = text("kind").and_then(|code| ErrorKind::from_code(&code));
        let message = text("message").unwrap_or_else(|| value.to_string());
        let mut error = Error::new(kind.unwrap_or(ErrorKind::ToolFailed), message);
        if let Some(hint) = text("hint") {
            error = error.with_hint(hint);
        }
        return error.with_source(Raised::new(py, raised));
    }
    if is_cancellation(py, &value) {
        let message = format!("the Python function `{name}` was cancelled");
        return Error::new(ErrorKind::Cancelled, message).with_source(Raised::new(py, raised));
    }
    let kind = raised.get_type(py);
    let class = kind
        .name()
        .map_or_else(|_| "exception".to_owned(), |it| it.to_string());
    let said = value.to_string();
    let message = if said.is_empty() {
        format!("the Python function `{name}` raised {class}")
    } else {
        format!("the Python function `{name}` raised {class}: {said}")
    };
    Error::new(ErrorKind::ToolFailed, message)
        .with_traceback(frames(py, &raised))
        .with_source(Raised::new(py, raised))
}

/// The lines of the traceback, outermost first, as Python prints them.
fn frames(py: Python<'_>, raised: &PyErr) -> Vec<String> {
    let Some(traceback) = raised.traceback(py) else {
        return Vec::new();
    };
    let formatted = traceback.format().unwrap_or_default();
    formatted.lines().map(str::to_owned).collect()
}

/// A class of `aikit.errors`, whose source follows from the same table.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "aikit.errors"))?.getattr(name)
}
