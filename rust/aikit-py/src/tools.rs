//! Tools, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::tools::{self, FunctionTool, FunctionToolOptions};
use aikit_core::{Error, Result, Value, clock, tool::DynTool};
use pyo3::{prelude::*, types::PyType};

use crate::{callbacks::PyCallable, convert::PyValue, errors, session, wait};

/// A tool.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Tool(Arc<dyn DynTool>);

impl Tool {
    pub(crate) const fn new(tool: Arc<dyn DynTool>) -> Self {
        Self(tool)
    }

    /// The tool itself.
    pub(crate) fn inner(&self) -> Arc<dyn DynTool> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl Tool {
    /// A tool made of a function that takes one argument, the mapping of arguments; `options`
    /// is a mapping of `name`, `summary`, `schema` and `timeout_s`.
    #[classmethod]
    fn from_function(
        class: &Bound<'_, PyType>,
        options: PyValue,
        function: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let fail = |error: Error| errors::to_python(class.py(), &error);
        let options = read_options(&options.0).map_err(fail)?;
        let tool = FunctionTool::new(options, PyCallable::make(function)?).map_err(fail)?;
        Ok(Self(tool))
    }

    /// What is known about it.
    fn info(&self) -> PyValue {
        let spec = self.0.spec();
        let permissions = spec.permissions.iter().map(|it| Value::from(it.name()));
        PyValue(Value::map([
            ("name", Value::from(spec.name.as_str())),
            ("summary", Value::from(spec.summary.as_str())),
            ("permissions", permissions.collect()),
            ("input_schema", spec.input_schema.clone()),
            ("output_schema", Value::from(spec.output_schema.clone())),
            (
                "timeout_s",
                Value::from(spec.timeout.map(|it| it.as_secs_f64())),
            ),
            ("origin", Value::from(spec.origin)),
        ]))
    }

    /// Runs it with a mapping of arguments.
    fn invoke(&self, py: Python<'_>, args: PyValue) -> PyResult<PyValue> {
        let tool = self.inner();
        wait::blocking(
            py,
            |cx| async move { tools::invoke(&cx, &tool, args.0).await },
        )
        .map(PyValue)
    }

    /// `invoke` as an awaitable.
    fn ainvoke<'py>(&self, py: Python<'py>, args: PyValue) -> PyResult<Bound<'py, PyAny>> {
        let tool = self.inner();
        wait::awaitable(py, |cx| async move {
            tools::invoke(&cx, &tool, args.0).await.map(PyValue)
        })
    }
}

fn read_options(options: &Value) -> Result<FunctionToolOptions> {
    let text = |key: &str| options.get(key).and_then(Value::as_str).map(str::to_owned);
    let seconds = options.get("timeout_s").and_then(Value::as_f64);
    let timeout = seconds.map(|seconds| {
        clock::length(seconds)
            .filter(|it| !it.is_zero())
            .ok_or_else(|| {
                let message = format!("`timeout_s` is {seconds}, which is no time");
                Error::invalid_args(message).with_hint("give a number above 0")
            })
    });
    Ok(FunctionToolOptions {
        name: text("name").unwrap_or_default(),
        summary: text("summary").unwrap_or_default(),
        schema: options.get("schema").cloned().unwrap_or_default(),
        timeout: timeout.transpose()?,
        origin: "python",
    })
}

/// The tool of that name.
#[pyfunction]
pub(crate) fn find_tool(py: Python<'_>, name: &str) -> PyResult<Tool> {
    let found = session::current(py)?.tools.find(name);
    found
        .map(Tool)
        .map_err(|error| errors::to_python(py, &error))
}

/// The tools of these names and groups; `None` for every tool of the session.
#[pyfunction]
#[pyo3(signature = (names=None))]
pub(crate) fn find_tools(py: Python<'_>, names: Option<Vec<String>>) -> PyResult<Vec<Tool>> {
    let registry = &session::current(py)?.tools;
    let names = names.unwrap_or_else(|| registry.list().into_iter().map(|it| it.name).collect());
    let found = registry.resolve(&names);
    let found = found.map_err(|error| errors::to_python(py, &error))?;
    Ok(found.into_iter().map(Tool).collect())
}
