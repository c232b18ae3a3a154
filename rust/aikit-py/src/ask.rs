//! Questions to whoever runs a Python program.

use std::sync::Arc;

use aikit_core::{
    Context, Error, Result, Value,
    script::Callable,
    services::{Ask, Question},
};
use futures::future::BoxFuture;
use pyo3::{intern, prelude::*};

use crate::callbacks::PyCallable;

/// Asks in the terminal or the notebook of the program, see `aikit/_ask.py`.
#[derive(Debug)]
pub(crate) struct PythonAsk(Arc<dyn Callable>);

impl PythonAsk {
    pub(crate) fn make(py: Python<'_>) -> PyResult<Self> {
        let module = py.import(intern!(py, "aikit._ask"))?;
        PyCallable::make(&module.getattr(intern!(py, "ask"))?).map(Self)
    }
}

impl Ask for PythonAsk {
    fn ask<'a>(&'a self, cx: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let asked = Value::map([
                ("prompt", Value::from(question.prompt)),
                ("choices", Value::from(question.choices)),
                ("secret", Value::Bool(question.secret)),
            ]);
            match cx.within(self.0.call(cx, vec![asked])).await?? {
                Value::String(answer) => Ok(answer),
                other => {
                    let kind = other.type_name();
                    Err(Error::internal(format!("an answer is of type {kind}")))
                }
            }
        })
    }
}
