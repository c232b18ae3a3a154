//! What a user is asked to approve, and who is asked.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::{Result, Value, context::Context};

/// The tool call in which an action happens; it flows with the call's Context.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Name of the tool.
    pub tool: String,
    /// Its arguments.
    pub args: Value,
    /// BLAKE3 of tool and arguments, 64 hexadecimal digits: an approval is bound to it.
    pub digest: String,
}

/// An action that waits for an approval.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The tool call, where a tool acts.
    pub invocation: Option<Arc<Invocation>>,
    /// What exactly would happen, as one sentence without control characters.
    pub action: String,
    /// What else there is to see, such as the difference of an edit; empty for nothing.
    pub detail: String,
    /// What `always` would allow for the rest of the session; `None` where each action is asked.
    pub always: Option<String>,
}

/// What the user says to an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Do it this once.
    Yes,
    /// Do not do it.
    No,
    /// Do it, and what is alike, for the rest of the session.
    Always,
}

impl Verdict {
    /// The verdict that a word or a boolean stands for.
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(true) => Some(Self::Yes),
            Value::Bool(false) | Value::Null => Some(Self::No),
            Value::String(word) => match word.trim().to_lowercase().as_str() {
                "y" | "yes" => Some(Self::Yes),
                "n" | "no" => Some(Self::No),
                "a" | "always" => Some(Self::Always),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Decides instead of the user of the session: a function that an agent was given.
pub trait Approver: fmt::Debug + Send + Sync {
    /// Waits for the verdict.
    fn approve<'a>(
        &'a self,
        cx: &'a Context,
        approval: &'a Approval,
    ) -> BoxFuture<'a, Result<Verdict>>;
}
