//! `execute_*` messages and the error of a cell.

use serde::{Deserialize, Serialize};

use super::{Object, status::Failure};

/// A client asks to run code.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the specification has them")]
pub struct ExecuteRequest {
    /// Source text of the cell.
    pub code: String,
    /// Whether to broadcast nothing and count nothing.
    #[serde(default)]
    pub silent: bool,
    /// Whether the cell counts and enters the history.
    #[serde(default = "yes")]
    pub store_history: bool,
    /// Expressions to evaluate after the cell, by name.
    #[serde(default)]
    pub user_expressions: Object,
    /// Whether the client can answer `input_request`.
    #[serde(default)]
    pub allow_stdin: bool,
    /// Whether an error aborts the requests that wait behind this one.
    #[serde(default = "yes")]
    pub stop_on_error: bool,
}

impl Default for ExecuteRequest {
    fn default() -> Self {
        Self {
            code: String::new(),
            silent: false,
            store_history: true,
            user_expressions: Object::new(),
            allow_stdin: false,
            stop_on_error: true,
        }
    }
}

fn yes() -> bool {
    true
}

/// How a cell ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ExecuteReply {
    /// It ran to its end.
    Ok {
        /// Number in `In [n]`.
        execution_count: u32,
        /// Always empty: payloads are deprecated, the field is not.
        payload: Vec<Object>,
        /// Answers to the request's expressions, by name.
        user_expressions: Object,
    },
    /// It raised an error.
    Error {
        /// Number in `In [n]`.
        execution_count: u32,
        /// What was raised.
        #[serde(flatten)]
        error: Failure,
    },
    /// It was not run, because a cell before it raised an error.
    Aborted {
        /// Number of the last cell that ran.
        execution_count: u32,
    },
}

/// The kernel shows the code it is about to run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ExecuteInput {
    /// Source text of the cell.
    pub code: String,
    /// Number in `In [n]`.
    pub execution_count: u32,
}

/// The broadcast of a cell's error (`error`).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExecuteError(pub Failure);

/// Answer to one entry of `user_expressions`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ExpressionAnswer {
    /// Its value as a MIME bundle.
    Ok {
        /// MIME type → value.
        data: Object,
        /// Per MIME type.
        metadata: Object,
    },
    /// It raised an error.
    Error(Failure),
}

impl ExpressionAnswer {
    /// As one value of [`ExecuteReply::Ok`]'s `user_expressions`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
