//! The table of what scripts can call, as data: for the reference pages and for the test that
//! Python has a name for each row.

use aikit_core::{Value, value::Map};
use aikit_runtime::api::{ApiClass, ApiFunction, MODULES, Param};
use pyo3::prelude::*;

use crate::convert;

/// Every module of the script API with its functions and classes, in the order of the reference.
#[pyfunction]
pub(crate) fn api_modules(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let modules: Value = MODULES
        .iter()
        .map(|module| {
            Value::map([
                ("name", Value::from(module.name)),
                ("summary", Value::from(module.summary)),
                (
                    "call",
                    module
                        .call
                        .as_ref()
                        .map(|it| function(module.name, it))
                        .into(),
                ),
                ("functions", functions(module.name, '.', module.functions)),
                ("classes", module.classes.iter().map(class).collect()),
            ])
        })
        .collect();
    convert::to_python(py, &modules).map(Bound::unbind)
}

fn class(class: &ApiClass) -> Value {
    let fields = class.fields.iter().map(|(name, summary)| {
        Value::map([
            ("name", Value::from(*name)),
            ("summary", Value::from(*summary)),
        ])
    });
    let constructor = class.constructor.as_ref();
    Value::map([
        ("name", Value::from(class.name)),
        ("summary", Value::from(class.summary)),
        (
            "constructor",
            constructor.map(|it| function(class.name, it)).into(),
        ),
        ("methods", functions(class.name, ':', class.methods)),
        ("fields", fields.collect()),
    ])
}

fn functions(owner: &str, separator: char, functions: &[ApiFunction]) -> Value {
    let name = |it: &ApiFunction| match owner {
        "" => it.name.to_owned(),
        owner => format!("{owner}{separator}{}", it.name),
    };
    functions.iter().map(|it| function(&name(it), it)).collect()
}

fn function(qualified: &str, function: &ApiFunction) -> Value {
    Value::Map(Map::from_iter([
        ("name".to_owned(), Value::from(qualified)),
        ("usage".to_owned(), Value::from(function.usage(qualified))),
        ("summary".to_owned(), Value::from(function.summary)),
        ("returns".to_owned(), Value::from(function.returns)),
        ("example".to_owned(), Value::from(function.example)),
        (
            "params".to_owned(),
            function.params.iter().map(param).collect(),
        ),
        (
            "options".to_owned(),
            function.options().map(param).collect(),
        ),
    ]))
}

fn param(param: &Param) -> Value {
    Value::map([
        ("name", Value::from(param.name)),
        ("kind", Value::from(param.kind.label())),
        ("required", Value::from(param.required)),
        ("summary", Value::from(param.summary)),
    ])
}
