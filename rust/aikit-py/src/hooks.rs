//! Hooks, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::{hooks, security::approval::FunctionApprover};
use aikit_core::{
    Error, Result, Value,
    hook::{FunctionHook, HookInfo, HookOptions, HookPoint, Points},
};
use pyo3::prelude::*;

use crate::{callbacks::PyCallable, convert::PyValue, errors, session};

/// Origin of the hooks that are Python functions.
const ORIGIN: &str = "python";

/// Has a function asked at points around calls; answers what is known about the hook.
#[pyfunction]
pub(crate) fn register_hook(
    points: PyValue,
    function: &Bound<'_, PyAny>,
    options: PyValue,
) -> PyResult<PyValue> {
    let py = function.py();
    let callable = PyCallable::make(function)?;
    let components = session::current(py)?;
    let register = || -> Result<HookInfo> {
        let points = Points::from_value(&points.0)?;
        let mut options = HookOptions::from_value(&options.0, ORIGIN)?;
        options
            .name
            .get_or_insert_with(|| callable.name().to_owned());
        let hook = Arc::new(FunctionHook::new(Arc::clone(&callable)));
        components.context.hooks().register(points, options, hook)
    };
    let registered = register();
    told(py, registered.map(|info| info.to_value()))
}

/// Takes the hooks of a name away, or those of it at exactly these points; answers how many.
#[pyfunction]
#[pyo3(signature = (name, points=None))]
pub(crate) fn unregister_hook(
    py: Python<'_>,
    name: &str,
    points: Option<PyValue>,
) -> PyResult<usize> {
    let components = session::current(py)?;
    let registry = components.context.hooks();
    let Some(points) = points else {
        return Ok(registry.unregister(name));
    };
    let points = Points::from_value(&points.0).map_err(|error| errors::to_python(py, &error))?;
    let named = registry.list().into_iter();
    let named = named.filter(|it| it.name == name && it.points == points);
    Ok(named.filter(|it| registry.remove(it.id)).count())
}

/// Every hook, in the order in which they are asked.
#[pyfunction]
pub(crate) fn list_hooks(py: Python<'_>) -> PyResult<PyValue> {
    let components = session::current(py)?;
    let hooks = components.context.hooks().list();
    Ok(PyValue(hooks.iter().map(HookInfo::to_value).collect()))
}

/// Every point at which hooks can be asked.
#[pyfunction]
pub(crate) fn hook_points() -> PyValue {
    PyValue(HookPoint::ALL.iter().map(|it| it.to_value()).collect())
}

/// Switches on a hook that comes with aikit; answers what is known about its parts.
#[pyfunction]
#[pyo3(signature = (built_in, options, approve=None))]
pub(crate) fn use_hook(
    py: Python<'_>,
    built_in: &str,
    options: PyValue,
    approve: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyValue> {
    let components = session::current(py)?;
    let mut host = components.hook_host.clone();
    if let Some(function) = approve {
        host.approver = Some(Arc::new(FunctionApprover::new(PyCallable::make(function)?)));
    }
    let hooks = components.context.hooks();
    let infos = hooks::switch_on(hooks, &host, built_in, options.0);
    told(
        py,
        infos.map(|infos| infos.iter().map(HookInfo::to_value).collect()),
    )
}

/// Switches on again what was switched off because it kept failing; answers how many hooks have
/// that name.
#[pyfunction]
pub(crate) fn enable_hook(py: Python<'_>, name: &str) -> PyResult<usize> {
    Ok(session::current(py)?.context.hooks().enable(name))
}

fn told(py: Python<'_>, result: Result<Value>) -> PyResult<PyValue> {
    result
        .map(PyValue)
        .map_err(|error: Error| errors::to_python(py, &error))
}
