//! The header of a message.

use serde::{Deserialize, Serialize};

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
}
