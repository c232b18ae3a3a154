//! What a new Context is made with.

use std::{any::Any, sync::Arc, time::Duration};

use super::{Approver, Caller, Invocation, Principal};
use crate::{clock::Clock, hook::HookRegistry, progress::ProgressSink, tape::Tape, value::Map};

/// What to set on a new Context; what is `None` comes from the parent or is made.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Identity of the request.
    pub request_id: Option<String>,
    /// W3C trace id: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// On whose behalf; only [`Context::create`](super::Context::create) reads it.
    pub principal: Option<Principal>,
    /// Narrows the caller: `Agent` stays `Agent` below.
    pub caller: Option<Caller>,
    /// Entries added to the parent's.
    pub metadata: Map,
    /// Time from now until the deadline; a parent's earlier deadline stays.
    pub timeout: Option<Duration>,
    /// Where time and randomness come from; only [`Context::create`](super::Context::create) reads it.
    pub clock: Option<Arc<dyn Clock>>,
    /// What records the calls of models and tools; only [`Context::create`](super::Context::create) reads it.
    pub tape: Option<Arc<dyn Tape>>,
    /// Hooks that stand around calls; only [`Context::create`](super::Context::create) reads it.
    pub hooks: Option<Arc<HookRegistry>>,
    /// What the host wants to find again where the call comes back to it.
    pub host: Option<HostData>,
    /// Who watches how far work is.
    pub progress: Option<Arc<dyn ProgressSink>>,
    /// Who decides what needs an approval; only [`Context::child`](super::Context::child) reads it.
    pub approver: Option<Arc<dyn Approver>>,
    /// The tool call that this is; only [`Context::child`](super::Context::child) reads it.
    pub invocation: Option<Arc<Invocation>>,
}

/// Data of the host that travels with a Context: Python's `contextvars` and event loop.
pub type HostData = Arc<dyn Any + Send + Sync>;
