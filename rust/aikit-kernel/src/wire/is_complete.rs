//! `is_complete_*` messages.

use serde::{Deserialize, Serialize};

/// A console asks whether Enter should run the code.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct IsCompleteRequest {
    /// Source text so far.
    pub code: String,
}

/// Whether Enter should run the code.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum IsCompleteReply {
    /// It can be run.
    Complete,
    /// More must follow.
    Incomplete {
        /// White space to put in front of the next line.
        indent: String,
    },
    /// It can never be run.
    Invalid,
}
