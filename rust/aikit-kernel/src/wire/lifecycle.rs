//! `interrupt_*` and `shutdown_*` messages.

use serde::{Deserialize, Serialize};

/// A client stops the running cell.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InterruptRequest {}

/// The running cell was told to stop.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct InterruptReply {}

/// A client ends the kernel.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ShutdownRequest {
    /// Whether the client will start another one.
    #[serde(default)]
    pub restart: bool,
}

/// The kernel ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct ShutdownReply {
    /// Repeated from the request.
    pub restart: bool,
}
