//! `input_*` messages.

use serde::{Deserialize, Serialize};

/// The kernel asks the user.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InputRequest {
    /// What is asked.
    pub prompt: String,
    /// Whether the answer must not be shown while it is typed.
    pub password: bool,
}

/// What the user typed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InputReply {
    /// The line without its end.
    pub value: String,
}
