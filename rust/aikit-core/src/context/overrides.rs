//! What a new Context is made with.

use std::{any::Any, sync::Arc, time::Duration};

use super::{Approver, Caller, ChannelService, Invocation, Principal};
use crate::{
    Error, Result, Value,
    clock::Clock,
    event::EventBus,
    hook::HookRegistry,
    progress::ProgressSink,
    span::{TRACEPARENT, TraceParent},
    tape::Tape,
    value::Map,
};

/// Longest request id, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// Metadata that say whose a request is: records and spans carry them. Only a host sets them.
pub const HOST_METADATA: [&str; 2] = ["session_id", "message_id"];

/// What to set on a new Context; what is `None` comes from the parent or is made.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Identity of the request.
    pub request_id: Option<String>,
    /// W3C trace id: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// On whose behalf; only [`Context::create`](super::Context::create)
    /// and [`Context::root_child`](super::Context::root_child) read it.
    pub principal: Option<Principal>,
    /// Narrows the principal's roles to these;
    /// [`Context::create`](super::Context::create) does not read it.
    pub roles: Option<Vec<String>>,
    /// Narrows the caller: `Agent` stays `Agent` below.
    pub caller: Option<Caller>,
    /// Entries added to the parent's.
    pub metadata: Map,
    /// Number of the step of an agent or a loop, from 1.
    pub tick: Option<u64>,
    /// Time from now until the deadline; a parent's earlier deadline stays.
    pub timeout: Option<Duration>,
    /// Where time and randomness come from; only [`Context::create`](super::Context::create) reads it.
    pub clock: Option<Arc<dyn Clock>>,
    /// What records the calls of models and tools; only [`Context::create`](super::Context::create) reads it.
    pub tape: Option<Arc<dyn Tape>>,
    /// The bus of events; only [`Context::create`](super::Context::create) reads it.
    pub events: Option<Arc<EventBus>>,
    /// Where channels are found; only [`Context::create`](super::Context::create) reads it.
    pub channels: Option<Arc<dyn ChannelService>>,
    /// Hooks that stand around calls; only [`Context::create`](super::Context::create) reads it.
    pub hooks: Option<Arc<HookRegistry>>,
    /// What the host wants to find again where the call comes back to it.
    pub host: Option<HostData>,
    /// Who watches how far work is.
    pub progress: Option<Arc<dyn ProgressSink>>,
    /// Who decides what needs an approval;
    /// [`Context::create`](super::Context::create) does not read it.
    pub approver: Option<Arc<dyn Approver>>,
    /// The tool call that this is; [`Context::create`](super::Context::create) does not read it.
    pub invocation: Option<Arc<Invocation>>,
    /// The subscription whose function runs below, see [`crate::broadcast::subscriber`]: it is not
    /// given the responses that it publishes, and does not wait for itself.
    pub subscriber: Option<u64>,
    /// Whether what runs below is told neither to the host of the logger nor to telemetry: the
    /// host's own code, which is called with a record or a span and calls aikit itself.
    pub silent: bool,
}

impl Overrides {
    /// Whether a child has everything that seldom differs from its parent.
    pub(super) fn leave_shared(&self) -> bool {
        self.request_id.is_none()
            && self.trace_id.is_none()
            && self.roles.is_none()
            && self.caller.is_none()
            && self.metadata.is_empty()
            && self.host.is_none()
            && self.progress.is_none()
            && self.approver.is_none()
            && self.invocation.is_none()
            && self.subscriber.is_none()
            && !self.silent
    }

    /// Goes on with the trace of a caller elsewhere, below its span: what the header `traceparent`
    /// of its request says.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no such header, or another trace than `trace_id` names.
    pub fn continue_trace(&mut self, header: &str) -> Result<()> {
        let Some(parent) = TraceParent::parse(header) else {
            let message = format!("`traceparent` is `{header:.80}`, which is no header of W3C");
            return Err(Error::invalid_args(message)
                .with_hint("give it as it came, such as `00-<trace id>-<span id>-01`"));
        };
        if self
            .trace_id
            .as_ref()
            .is_some_and(|it| *it != parent.trace_id)
        {
            let message = "`traceparent` and `trace_id` name different traces";
            return Err(Error::invalid_args(message).with_hint("give one of them"));
        }
        let header = Value::from(header.trim());
        self.metadata.insert(TRACEPARENT.to_owned(), header);
        Ok(())
    }

    /// Refuses metadata that say whose a request is: a script does not.
    ///
    /// # Errors
    ///
    /// `invalid_args` when one of [`HOST_METADATA`] is among them.
    pub fn refuse_host_metadata(&self) -> Result<()> {
        let Some(name) = HOST_METADATA
            .iter()
            .find(|it| self.metadata.contains_key(**it))
        else {
            return Ok(());
        };
        let message = format!("`metadata.{name}` is set by the host alone");
        let hint = "records and spans tell by it whose they are: use another name";
        Err(Error::invalid_args(message).with_hint(hint))
    }

    /// Refuses identities that others could not read: they come from scripts and from outside.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a tick of 0, for a trace id that is not 32 lower-case hexadecimal digits
    /// with one that is not 0 (W3C Trace Context, level 1), or a request id that is empty or longer
    /// than 256 bytes.
    pub fn validate(&self) -> Result<()> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if let Some(id) = &self.trace_id
            && (id.len() != 32 || !id.bytes().all(is_digit) || id.bytes().all(|byte| byte == b'0'))
        {
            let message = format!("`trace_id` is `{id}`, which is not a W3C trace id");
            let hint = "give 32 lower-case hexadecimal digits that are not all 0, or leave it out";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        if self.tick == Some(0) {
            return Err(Error::invalid_args("`tick` is `0`")
                .with_hint("give the number of the step, from 1"));
        }
        if let Some(id) = &self.request_id
            && (id.is_empty() || id.len() > REQUEST_ID_BYTES_MAX)
        {
            let message = format!("`request_id` has {} bytes", id.len());
            let hint = "give 1 to 256 bytes, or leave it out";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        Ok(())
    }
}

/// Data of the host that travels with a Context: Python's `contextvars` and event loop.
pub type HostData = Arc<dyn Any + Send + Sync>;
