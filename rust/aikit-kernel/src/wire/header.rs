//! The header of a message.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Version of the messaging specification spoken here.
pub const PROTOCOL_VERSION: &str = "5.5";

/// Who sent a message, when, and of which type.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Identity of the message.
    pub msg_id: String,
    /// Names the content.
    pub msg_type: String,
    /// Identity of the sending process.
    #[serde(default)]
    pub session: String,
    /// Name of the user there.
    #[serde(default)]
    pub username: String,
    /// Time of sending, ISO 8601.
    #[serde(default)]
    pub date: String,
    /// Version of the messaging specification.
    #[serde(default)]
    pub version: String,
    /// Which shell a request is for; the main one when absent.
    #[serde(
        default,
        deserialize_with = "subshell_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub subshell_id: Option<String>,
}

/// What is no text is the identity of no subshell, which is for whoever looks for it to say.
fn subshell_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(id) => Some(id),
        other => Some(other.to_string()),
    })
}
