//! `comm_*` messages.

use aikit_core::Value;
use serde::{Deserialize, Deserializer, Serialize};

use super::Object;

/// A client asks which comms are open.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CommInfoRequest {
    /// Only comms of this target.
    #[serde(default)]
    pub target_name: Option<String>,
}

/// Which comms are open.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct CommInfoReply {
    /// Comm id → its target.
    pub comms: Object,
}

/// One side opens a comm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommOpen {
    /// Identity of the comm.
    pub comm_id: String,
    /// Who should answer on the other side.
    pub target_name: String,
    /// First data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
}

/// One side says something on an open comm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommMsg {
    /// Identity of the comm.
    pub comm_id: String,
    /// The data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
}

/// One side closes a comm, or refuses one that was just opened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommClose {
    /// Identity of the comm.
    pub comm_id: String,
    /// Last data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
}

/// Data that is no object is empty, so that its message is answered as one that says nothing and
/// not thrown away as one that cannot be read.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
    let data = serde_json::Value::deserialize(deserializer)?;
    Ok(match data {
        serde_json::Value::Object(data) => data,
        _ => Object::new(),
    })
}

/// The data of a comm message for a table; nothing for any other value. Bytes and numbers that
/// JSON lacks are written as escaped JSON.
pub fn data(value: &Value) -> Object {
    match value.to_readable_json() {
        serde_json::Value::Object(data) => data,
        _ => Object::new(),
    }
}

/// The table that the data of a comm message is.
pub fn table(data: &Object) -> Value {
    Value::from_json(serde_json::Value::Object(data.clone()))
}
