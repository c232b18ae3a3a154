//! Cassettes and the closed network, seen from Python.

use std::path::PathBuf;

use aikit_components::models::cassette::Mode;
use aikit_core::Error;
use pyo3::prelude::*;

use crate::{convert::PyValue, errors, interpreter, session};

/// Begins with the cassette `path`; answers its number and whether it is recorded or replayed.
#[pyfunction]
pub(crate) fn insert_cassette(
    py: Python<'_>,
    path: PathBuf,
    mode: &str,
    strict: bool,
) -> PyResult<(u64, &'static str)> {
    let deck = &session::current(py)?.deck;
    let inserted = Mode::parse(mode).and_then(|mode| {
        let path = std::path::absolute(path)?;
        interpreter::detached(py, || deck.insert(&path, mode, strict))
    });
    inserted
        .map(|begun| (begun.number, begun.mode.name()))
        .map_err(|error| errors::to_python(py, &error))
}

/// Takes the cassette of a number out; a recording is written when it is kept, to `path` if it is
/// given.
#[pyfunction]
#[pyo3(signature = (number, keep, path=None))]
pub(crate) fn eject_cassette(
    py: Python<'_>,
    number: u64,
    keep: bool,
    path: Option<PathBuf>,
) -> PyResult<PyValue> {
    let deck = &session::current(py)?.deck;
    let report = interpreter::detached(py, || match path {
        Some(path) if keep => deck.eject_only_to(number, &std::path::absolute(path)?),
        Some(path) => {
            let message = format!("`path` is `{}`, and `keep` is false", path.display());
            Err(Error::invalid_args(message).with_hint("leave one of them out"))
        }
        None => deck.eject_only(number, keep),
    });
    report
        .map(|it| PyValue(it.to_value()))
        .map_err(|error| errors::to_python(py, &error))
}

/// Whether the cassette of a number is in.
#[pyfunction]
pub(crate) fn holds_cassette(py: Python<'_>, number: u64) -> PyResult<bool> {
    Ok(session::current(py)?.deck.holds(number))
}

/// Closes the network, or takes back one closing.
#[pyfunction]
pub(crate) fn close_network(py: Python<'_>, closed: bool) -> PyResult<()> {
    let network = &session::current(py)?.network;
    if closed {
        network.close();
    } else {
        network.open();
    }
    Ok(())
}
