//! `create_subshell_*`, `delete_subshell_*` and `list_subshell_*` messages (Jupyter enhancement
//! proposal 91).

use serde::{Deserialize, Serialize};

/// A client wants a shell beside the main one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CreateSubshellRequest {}

/// A subshell was made.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct CreateSubshellReply {
    /// Its identity, which headers of messages to it name.
    pub subshell_id: String,
}

/// A client ends a subshell.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DeleteSubshellRequest {
    /// Its identity.
    pub subshell_id: String,
}

/// The subshell takes no more messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct DeleteSubshellReply {}

/// A client asks which subshells there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ListSubshellRequest {}

/// Which subshells there are.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct ListSubshellReply {
    /// Their identities, oldest first.
    pub subshell_id: Vec<String>,
}
