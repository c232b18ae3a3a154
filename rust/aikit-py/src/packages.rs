//! Where installed packages are: the interpreter knows, and is asked only when one is needed.

use std::path::PathBuf;

use aikit_components::rag;
use pyo3::prelude::*;

use crate::interpreter;

/// Lets the components of this process find installed packages; may be called any number of times.
pub(crate) fn register() {
    rag::find_packages_with(|name| interpreter::attach(|py| find(py, name).ok().flatten())?);
}

/// The folder of a package, without importing it: what an import would run is no part of this.
fn find(py: Python<'_>, name: &str) -> PyResult<Option<PathBuf>> {
    let spec = py
        .import("importlib.util")?
        .call_method1("find_spec", (name,))?;
    if spec.is_none() {
        return Ok(None);
    }
    let places = spec.getattr("submodule_search_locations")?;
    if places.is_none() {
        return Ok(None);
    }
    let first = places.try_iter()?.next().transpose()?;
    first.map(|it| it.extract()).transpose()
}
