//! Agents, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::{
    agents::{self, AgentOptions, Input},
    security::approval::FunctionApprover,
};
use aikit_core::{Result, Value, agent::Limits, context::Approver, tool::ToolContext};
use pyo3::prelude::*;

use crate::{
    callbacks::PyCallable,
    convert::PyValue,
    errors,
    handles::Handle,
    models::{self, Model},
    tools::Tool,
    wait,
};

/// A configured agent.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Agent(agents::Agent);

#[pymethods]
impl Agent {
    /// An agent of a model and tools; `limits` is a mapping of `requests`, `tool_calls`, `seconds`;
    /// `approve` decides instead of the user.
    #[new]
    #[expect(
        clippy::too_many_arguments,
        reason = "the facade gives them all, by position"
    )]
    #[pyo3(signature = (name, model, instructions, tools, limits, approve=None))]
    fn new(
        name: String,
        model: PyRef<'_, Model>,
        instructions: String,
        tools: Vec<PyRef<'_, Tool>>,
        limits: PyValue,
        approve: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = model.py();
        let approve = approve.map(PyCallable::make).transpose()?;
        let approver = approve.map(|it| Arc::new(FunctionApprover::new(it)) as Arc<dyn Approver>);
        let make = || {
            agents::Agent::new(AgentOptions {
                name,
                model: model.chat(),
                instructions,
                tools: tools.iter().map(|tool| tool.inner()).collect(),
                limits: limits.0.deserialize::<Limits>()?,
                approver,
            })
        };
        make()
            .map(Self)
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Runs until the model answers.
    fn run(&self, py: Python<'_>, prompt: String, history: PyValue) -> PyResult<PyValue> {
        let agent = self.0.clone();
        wait::blocking(py, |cx| run(agent, cx, prompt, history.0)).map(PyValue)
    }

    /// `run` as an awaitable.
    fn arun<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        history: PyValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let agent = self.0.clone();
        wait::awaitable(py, |cx| async move {
            run(agent, cx, prompt, history.0).await.map(PyValue)
        })
    }

    /// Starts a run.
    fn start(&self, py: Python<'_>, prompt: String, history: PyValue) -> PyResult<Handle> {
        let cx = wait::started(py)?;
        let input = input(prompt, history.0).map_err(|error| errors::to_python(py, &error))?;
        Ok(Handle::new(self.0.start(&cx, input)))
    }

    /// This agent as a tool of another one.
    fn as_tool(&self, summary: String) -> Tool {
        Tool::new(self.0.as_tool(summary))
    }
}

async fn run(
    agent: agents::Agent,
    cx: ToolContext,
    prompt: String,
    history: Value,
) -> Result<Value> {
    let run = agent.run(&cx, input(prompt, history)?).await?;
    Value::from_serialize(&run)
}

fn input(prompt: String, history: Value) -> Result<Input> {
    let history = models::messages(history)?;
    Ok(Input { prompt, history })
}
