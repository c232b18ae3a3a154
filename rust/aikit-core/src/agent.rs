//! What bounds a run of an agent, and what a run did.

use serde::{Deserialize, Serialize};

use crate::{
    Value,
    graph::Pid,
    model::{FinishReason, Message, Usage},
};

/// Bounds of one run, checked before each request and before each round of tool calls.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most requests to the model, at least 1.
    pub requests: u64,
    /// Most tool calls.
    pub tool_calls: u64,
    /// Longest time in seconds; `None` for no limit of its own.
    pub seconds: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 10,
            tool_calls: 20,
            seconds: None,
        }
    }
}

/// One execution of an agent: what it answered and how it got there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AgentRun {
    /// Name of the agent.
    pub agent: String,
    /// The last text of the model; empty while there is none.
    pub output: String,
    /// The whole conversation, the given history included, without the instructions.
    pub messages: Vec<Message>,
    /// What the requests of this run consumed; agents called as tools are not included.
    pub usage: Usage,
    /// The iterations, oldest first.
    pub steps: Vec<Step>,
    /// Why the model stopped; `None` when the run did not get that far.
    pub finish_reason: Option<FinishReason>,
    /// Its node in the graph of the call; not a part of the data.
    #[serde(skip)]
    pub pid: Option<Pid>,
}

/// One iteration: an answer of the model and the tool calls it asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Step {
    /// What the model said.
    pub text: String,
    /// The tools it asked for and what they answered, in the order of the calls.
    pub tool_calls: Vec<ToolUse>,
    /// What the request consumed.
    pub usage: Usage,
}

/// A tool call of a model and its answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ToolUse {
    /// Identity within the conversation.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments as the model wrote them.
    pub arguments: Value,
    /// What the tool answered, or the error as data.
    pub result: Value,
    /// Whether the result is an error.
    pub is_error: bool,
}
