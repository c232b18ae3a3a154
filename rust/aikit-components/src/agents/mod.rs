//! Agents: a model with instructions, tools and limits, run until it answers.

mod limits;
mod run;
mod session;
pub mod shown;
mod spec;
mod tool;

use std::{collections::HashSet, sync::Arc};

use aikit_core::{
    Error, Result, Value,
    agent::{AgentRun, Limits},
    context::Approver,
    model::{ChatModel, Message, ToolDefinition},
    procedure::Handle,
    tool::{DynTool, ToolContext},
};

pub use self::spec::AgentSpec;
use self::tool::AgentTool;
use crate::sessions::Session;

/// What an agent is made of.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Name in spans, events and messages: letters, digits, `_` and `-`.
    pub name: String,
    /// The model that answers.
    pub model: Arc<dyn ChatModel>,
    /// What the model is told before the conversation; nothing when empty.
    pub instructions: String,
    /// Tools the model may ask for; no two of the same name.
    pub tools: Vec<Arc<dyn DynTool>>,
    /// Bounds of one run.
    pub limits: Limits,
    /// Who decides what needs an approval; the user of the session when there is none.
    pub approver: Option<Arc<dyn Approver>>,
}

impl AgentOptions {
    /// An agent `agent` of `model`, without instructions and tools, with the default limits.
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        Self {
            name: "agent".to_owned(),
            model,
            instructions: String::new(),
            tools: Vec::new(),
            limits: Limits::default(),
            approver: None,
        }
    }
}

/// What a run begins with.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// What the user says.
    pub prompt: String,
    /// The conversation so far, such as [`AgentRun::messages`] of an earlier run.
    pub history: Vec<Message>,
    /// The session whose conversation is continued, in place of a history.
    pub session: Option<Session>,
}

impl From<String> for Input {
    fn from(prompt: String) -> Self {
        Self {
            prompt,
            ..Self::default()
        }
    }
}

impl From<&str> for Input {
    fn from(prompt: &str) -> Self {
        Self::from(prompt.to_owned())
    }
}

/// A configured agent. Cheap to clone; keeps nothing between runs.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    options: AgentOptions,
    /// The tools as the model sees them.
    definitions: Vec<ToolDefinition>,
}

impl Agent {
    /// Makes an agent.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a name that cannot be one of a tool, two tools of the same name, or
    /// limits that allow nothing.
    pub fn new(options: AgentOptions) -> Result<Self> {
        let is_word = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
        if options.name.is_empty() || !options.name.chars().all(is_word) {
            let message = format!("`{}` cannot be the name of an agent", options.name);
            let hint = "use letters, digits, `_` and `-`";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        limits::check(&options.limits)?;
        let mut seen = HashSet::new();
        for tool in &options.tools {
            let name = tool.spec().name.as_str();
            if !seen.insert(name) {
                let message = format!("agent `{}` has two tools named `{name}`", options.name);
                return Err(Error::invalid_args(message).with_hint("rename one of them"));
            }
        }
        let definitions = options.tools.iter().map(|it| it.spec().definition());
        let definitions = definitions.collect();
        Ok(Self(Arc::new(Parts {
            options,
            definitions,
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.options.name
    }

    /// What it is made of.
    pub fn options(&self) -> &AgentOptions {
        &self.0.options
    }

    /// Runs until the model answers without asking for tools.
    ///
    /// While somebody listens to `cx`, the answer is streamed and told as the events
    /// `agent.text.delta`, `agent.tool.call`, `agent.tool.result` and `agent.usage`. What a tool
    /// answers is never the end of a run: errors, unknown tools and malformed arguments are told
    /// to the model.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a history beside a session, and those of the session. Each of the others
    /// carries what was done until then as its `run`: `limit_exceeded` before the request or
    /// the tool calls that would exceed a limit, `denied` when a hook stops the agent, the model's
    /// own, `cancelled` and `timeout`.
    pub async fn run(&self, cx: &ToolContext, input: impl Into<Input>) -> Result<AgentRun> {
        let mut input = input.into();
        let Some(session) = input.session.take() else {
            return run::run(&self.0, cx, input).await;
        };
        session::go_on(&self.0, cx, &session, input).await
    }

    /// Starts a run on the I/O runtime; the handle keeps its events, and its result is the
    /// [`AgentRun`] as data.
    pub fn start(&self, cx: &ToolContext, input: impl Into<Input>) -> Handle {
        let (agent, cx, input) = (self.clone(), cx.clone(), input.into());
        Handle::start(&cx.context.clone(), move |context| async move {
            let run = agent.run(&cx.with_context(context), input).await?;
            Value::from_serialize(&run)
        })
    }

    /// This agent as a tool of another one: it takes a `prompt` and answers its output.
    pub fn as_tool(&self, summary: impl Into<String>) -> Arc<dyn DynTool> {
        Arc::new(AgentTool::new(self.clone(), summary.into()))
    }
}
