//! Error kinds ↔ Python exceptions, by the table of `aikit_core::error`.

use aikit_core::{Error, ErrorKind};
use pyo3::{
    exceptions::PyKeyboardInterrupt,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PySlice, PyString, PyTraceback, PyType},
};

use crate::{convert, interpreter, raised::Raised};

/// Longest message of an exception that is taken over, in characters; what goes on is cut off.
const MESSAGE_CHARS_MAX: usize = 10_000;

/// Frames of a traceback that are written down: the innermost ones, which tell where it failed.
const FRAMES_MAX: usize = 32;

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
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = interpreter::once(py, &CLASS, || -> PyResult<Py<PyType>> {
        // Who has not imported asyncio raises none of its exceptions.
        let loaded = py
            .import(intern!(py, "sys"))?
            .getattr(intern!(py, "modules"))?;
        let asyncio = loaded.get_item(intern!(py, "asyncio"))?;
        let class = asyncio.getattr(intern!(py, "CancelledError"))?;
        Ok(class.cast_into::<PyType>()?.unbind())
    });
    class.is_ok_and(|it| raised.is_instance(it.bind(py)).unwrap_or(false)) && !is_ours(py, raised)
}

fn is_ours(py: Python<'_>, raised: &Bound<'_, PyAny>) -> bool {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = interpreter::once(py, &CLASS, || Ok(class(py, "AikitError")?.unbind()));
    class.is_ok_and(|it| raised.is_instance(it.bind(py)).unwrap_or(false))
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
    let what = format!("the Python function `{name}`");
    described(py, (&what, raised), true, |said| {
        Error::new(ErrorKind::ToolFailed, format!("{what} raised {said}"))
    })
}

/// [`from_python`], of a procedure, which is code of the program and no tool; `with_frames` where
/// those of the traceback are wanted: to write them down, Python reads the files they stand in.
pub(crate) fn of_procedure(py: Python<'_>, name: &str, raised: PyErr, with_frames: bool) -> Error {
    let what = format!("the Python function `{name}`");
    described(py, (&what, raised), with_frames, |said| {
        Error::new(ErrorKind::Script, format!("{what} raised {said}"))
    })
}

/// [`from_python`], of an exception that a program has noticed somewhere.
pub(crate) fn noticed(py: Python<'_>, raised: PyErr) -> Error {
    let error = |said| Error::new(ErrorKind::Script, said);
    described(py, ("the work", raised), true, error)
}

/// What `what` raised; `other` is made of what an exception says that is none of aikit's.
fn described(
    py: Python<'_>,
    (what, raised): (&str, PyErr),
    with_frames: bool,
    other: impl FnOnce(String) -> Error,
) -> Error {
    let _visit = interpreter::enter(py);
    let value = raised.value(py).clone().into_any();
    if value.is_instance_of::<PyKeyboardInterrupt>() {
        return Error::interrupted("interrupted").with_source(Raised::new(py, raised));
    }
    let text = |attribute: &str| -> Option<String> {
        let text = value
            .getattr(attribute)
            .ok()?
            .cast_into::<PyString>()
            .ok()?;
        Some(cut(&text))
    };
    if is_ours(py, &value) {
        let kind = text("kind").and_then(|code| ErrorKind::from_code(&code));
        let message = text("message").unwrap_or_else(|| said(&value));
        let mut error = Error::new(kind.unwrap_or(ErrorKind::ToolFailed), message);
        if let Some(hint) = text("hint") {
            error = error.with_hint(hint);
        }
        return error.with_source(Raised::new(py, raised));
    }
    if is_cancellation(py, &value) {
        let message = format!("{what} was cancelled");
        return Error::new(ErrorKind::Cancelled, message).with_source(Raised::new(py, raised));
    }
    let kind = raised.get_type(py);
    let class = kind
        .name()
        .map_or_else(|_| "exception".to_owned(), |it| it.to_string());
    let said = said(&value);
    let mut error = other(if said.is_empty() {
        class
    } else {
        format!("{class}: {said}")
    });
    if with_frames {
        error = error.with_traceback(frames(py, &raised));
    }
    error.with_source(Raised::new(py, raised))
}

/// What an exception says; nothing where it cannot.
fn said(raised: &Bound<'_, PyAny>) -> String {
    raised.str().map_or_else(|_| String::new(), |it| cut(&it))
}

/// The beginning of a text, and how much more there is.
fn cut(text: &Bound<'_, PyString>) -> String {
    let whole = || text.to_string_lossy().into_owned();
    let chars = text.as_any().len().unwrap_or(0);
    if chars <= MESSAGE_CHARS_MAX {
        return whole();
    }
    // Not looked at as a whole: each procedure around gets the exception anew.
    let beginning = PySlice::new(text.py(), 0, MESSAGE_CHARS_MAX.cast_signed(), 1);
    let beginning = text.as_any().get_item(beginning);
    beginning.map_or_else(
        |_| whole(),
        |it| format!("{it}… ({} more characters)", chars - MESSAGE_CHARS_MAX),
    )
}

/// The lines of the traceback, outermost first, as Python prints them.
fn frames(py: Python<'_>, raised: &PyErr) -> Vec<String> {
    let Some(traceback) = raised.traceback(py) else {
        return Vec::new();
    };
    let (traceback, left_out) = innermost(traceback);
    let formatted = traceback.format().unwrap_or_default();
    let mut lines: Vec<String> = formatted.lines().map(str::to_owned).collect();
    if left_out > 0 && !lines.is_empty() {
        lines.insert(1, format!("  ({left_out} more frames around these)"));
    }
    lines
}

/// The last [`FRAMES_MAX`] frames of a traceback, and how many there are around them.
fn innermost(traceback: Bound<'_, PyTraceback>) -> (Bound<'_, PyTraceback>, usize) {
    let all = std::iter::successors(Some(traceback.clone()), within).count();
    let left_out = all.saturating_sub(FRAMES_MAX);
    let last = std::iter::successors(Some(traceback.clone()), within).nth(left_out);
    (last.unwrap_or(traceback), left_out)
}

fn within<'py>(traceback: &Bound<'py, PyTraceback>) -> Option<Bound<'py, PyTraceback>> {
    let next = traceback.getattr(intern!(traceback.py(), "tb_next")).ok()?;
    next.cast_into::<PyTraceback>().ok()
}

/// A class of `aikit.errors`, whose source follows from the same table.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "aikit.errors"))?.getattr(name)
}
