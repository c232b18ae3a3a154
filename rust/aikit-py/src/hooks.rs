//! Hooks, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::{hooks, security::approval::FunctionApprover};
use aikit_core::{
    Context, Error, Result, Value,
    hook::{FunctionHook, HookId, HookInfo, HookOptions, HookPoint, Points},
};
use pyo3::prelude::*;

use crate::{callbacks::PyCallable, context, convert::PyValue, errors, session};

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
    let cx = acting(py)?;
    let register = || -> Result<HookInfo> {
        let points = Points::from_value(&points.0)?;
        let mut options = HookOptions::from_value(&options.0, ORIGIN)?;
        options
            .name
            .get_or_insert_with(|| callable.name().to_owned());
        let hook = Arc::new(FunctionHook::new(Arc::clone(&callable)));
        cx.hooks().register_for(&cx, points, options, hook)
    };
    let registered = register();
    told(py, registered.map(|info| identified(&info)))
}

/// Takes the hooks of a name away; answers how many there were.
#[pyfunction]
pub(crate) fn unregister_hook(py: Python<'_>, name: &str) -> PyResult<usize> {
    let cx = acting(py)?;
    let removed = cx.hooks().unregister_for(&cx, name);
    removed.map_err(|error| errors::to_python(py, &error))
}

/// Takes registrations away by their identities; answers how many were still there.
#[pyfunction]
pub(crate) fn remove_hooks(py: Python<'_>, ids: Vec<u64>) -> PyResult<usize> {
    let cx = acting(py)?;
    let ids = ids.into_iter().map(HookId::from_number);
    let removed: Result<Vec<bool>> = ids.map(|id| cx.hooks().remove_for(&cx, id)).collect();
    let removed = removed.map_err(|error| errors::to_python(py, &error))?;
    Ok(removed.into_iter().filter(|it| *it).count())
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
    let infos = hooks::switch_on(&acting(py)?, &host, built_in, options.0);
    told(
        py,
        infos.map(|infos| infos.iter().map(identified).collect()),
    )
}

/// Switches on again what was switched off because it kept failing; answers how many hooks have
/// that name.
#[pyfunction]
pub(crate) fn enable_hook(py: Python<'_>, name: &str) -> PyResult<usize> {
    Ok(session::current(py)?.context.hooks().enable(name))
}

/// The Context of what calls, which says who it is.
fn acting(py: Python<'_>) -> PyResult<Context> {
    Ok(match context::current_scope(py)? {
        Some(scope) => scope.core().clone(),
        None => session::current(py)?.context.clone(),
    })
}

/// What is known about a hook, with the identity of its registration.
fn identified(info: &HookInfo) -> Value {
    let mut told = info.to_value();
    if let Value::Map(fields) = &mut told {
        fields.insert("id".to_owned(), Value::from(info.id.number()));
    }
    told
}

fn told(py: Python<'_>, result: Result<Value>) -> PyResult<PyValue> {
    result
        .map(PyValue)
        .map_err(|error: Error| errors::to_python(py, &error))
}
