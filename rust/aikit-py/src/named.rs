//! Options that Python hands over in one mapping: a wrong one is named, and not what reads it.

use pyo3::{exceptions::PyTypeError, inspect::PyStaticExpr, prelude::*};

/// Options whose errors name the option.
pub(crate) struct Named<T>(pub(crate) T);

impl<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>> FromPyObject<'a, 'py> for Named<T> {
    type Error = PyErr;

    const INPUT_TYPE: PyStaticExpr = T::INPUT_TYPE;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let read = object.extract::<T>();
        read.map(Self).map_err(|error| named(object.py(), error))
    }
}

/// What `PyO3` puts in front of the struct and the field that it could not fill.
const PREFIX: &str = "failed to extract field ";

/// The error of the value, with the names of the options that it stands in.
fn named(py: Python<'_>, mut error: PyErr) -> PyErr {
    let mut names: Vec<String> = Vec::new();
    let mut text = error.value(py).to_string();
    while let Some(field) = text.strip_prefix(PREFIX)
        && let Some(cause) = error.cause(py)
    {
        names.push(field.rsplit('.').next().unwrap_or(field).to_owned());
        error = cause;
        text = error.value(py).to_string();
    }
    // What is no type's fault says itself what is wrong.
    if names.is_empty() || !error.is_instance_of::<PyTypeError>(py) {
        return error;
    }
    PyTypeError::new_err(format!("`{}`: {text}", names.join(".")))
}
