//! Agents, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::{
    agents::{self, AgentOptions, Input},
    security::approval::FunctionApprover,
    sessions,
};
use aikit_core::{Result, Value, agent::Limits, context::Approver, tool::ToolContext};
use pyo3::prelude::*;

use crate::{
    callbacks::PyCallable,
    convert::PyValue,
    errors,
    graph::{ProcedureNode, Tree},
    handles::Handle,
    models::{self, Model},
    sessions::Session,
    tools::Tool,
    wait,
};

/// A run that has ended, and its node.
type Ended = (PyValue, Option<ProcedureNode>);

/// What a notebook shows of a run with that answer.
#[pyfunction]
pub(crate) fn run_bundle(output: &str, tree: PyRef<'_, Tree>) -> PyValue {
    PyValue(Value::Map(agents::shown::bundle(output, &tree.0)))
}

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
    fn run(
        &self,
        py: Python<'_>,
        prompt: String,
        history: PyValue,
        session: Option<PyRef<'_, Session>>,
    ) -> PyResult<Ended> {
        let (agent, session) = (self.0.clone(), session.map(|it| it.inner()));
        wait::blocking(py, |cx| async move {
            run(agent, cx, input(prompt, history.0, session)?).await
        })
    }

    /// `run` as an awaitable.
    fn arun<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        history: PyValue,
        session: Option<PyRef<'_, Session>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (agent, session) = (self.0.clone(), session.map(|it| it.inner()));
        wait::awaitable(py, |cx| async move {
            run(agent, cx, input(prompt, history.0, session)?).await
        })
    }

    /// Starts a run.
    fn start(
        &self,
        py: Python<'_>,
        prompt: String,
        history: PyValue,
        session: Option<PyRef<'_, Session>>,
    ) -> PyResult<Handle> {
        let cx = wait::started(py)?;
        let session = session.map(|it| it.inner());
        let input =
            input(prompt, history.0, session).map_err(|error| errors::to_python(py, &error))?;
        Ok(Handle::new(self.0.start(&cx, input)))
    }

    /// This agent as a tool of another one.
    fn as_tool(&self, summary: String) -> Tool {
        Tool::new(self.0.as_tool(summary))
    }
}

/// The run, and its node, by which it is shown.
async fn run(agent: agents::Agent, cx: ToolContext, input: Input) -> Result<Ended> {
    let run = agent.run(&cx, input).await?;
    let node = ProcedureNode::find(cx.context.graph(), run.pid);
    Ok((PyValue(Value::from_serialize(&run)?), node))
}

fn input(prompt: String, history: Value, session: Option<sessions::Session>) -> Result<Input> {
    let history = models::messages(history)?;
    Ok(Input {
        prompt,
        history,
        session,
    })
}
