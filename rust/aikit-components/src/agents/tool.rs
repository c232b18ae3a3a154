//! An agent as a tool of another agent.

use std::time::Duration;

use aikit_core::{
    Error, Result, Value, schema,
    tool::{DynTool, ToolContext, ToolSpec},
};
use futures::{FutureExt as _, future::BoxFuture};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Agent;
use crate::tools::Schema;

/// Longest time for one run of an agent that is a tool.
const RUN_TIME_MAX: Duration = Duration::from_mins(30);

/// Runs an agent with the prompt that another model wrote.
#[derive(Debug)]
pub(super) struct AgentTool {
    agent: Agent,
    spec: ToolSpec,
    schema: Schema,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// What the agent shall do, with everything it needs to know.
    prompt: String,
}

impl AgentTool {
    /// Makes a tool of the agent's name.
    pub(super) fn new(agent: Agent, summary: String) -> Self {
        let spec = ToolSpec {
            name: agent.name().to_owned(),
            summary,
            permissions: Vec::new(),
            asks: false,
            input_schema: schema::of::<Args>(),
            output_schema: None,
            timeout: Some(RUN_TIME_MAX),
            origin: "agent",
        };
        let schema = Schema::of(&spec);
        Self {
            agent,
            spec,
            schema,
        }
    }
}

impl DynTool for AgentTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, args: &Value) -> Result<()> {
        self.schema.check(&self.spec, args)
    }

    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        async move {
            let args: Args = args.deserialize().map_err(|error| {
                let message = format!("`{}`: {error}", self.spec.name);
                Error::invalid_args(message).with_hint(self.spec.usage())
            })?;
            let run = self.agent.run(cx, args.prompt).await?;
            Ok(Value::from(run.output))
        }
        .boxed()
    }
}
