//! What flows with a call: identities, user, deadline, cancellation, metrics, events.

mod approval;
mod cancel;
mod channels;
mod child;
mod current;
mod delivery;
mod introspection;
mod overrides;
mod principal;
#[cfg(test)]
mod tests;
mod waiting;

use std::{any::Any, sync::Arc, time::Duration};

use self::cancel::Cancel;
pub use self::{
    approval::{Approval, Approver, Invocation, Verdict},
    channels::{CONVERSATION, ChannelService, Channels, SESSIONS_MAX},
    introspection::ExecutionInfo,
    overrides::{HOST_METADATA, HostData, Overrides},
    principal::{Caller, Principal},
};
use crate::{
    Value,
    clock::{Clock, SystemClock},
    event::{Event, EventBus, EventKind, EventLog},
    graph::{Pid, ProcedureGraph, ProcedureNode, Recent},
    hook::{Asking, HookRegistry},
    metrics::Metrics,
    progress::{Progress, ProgressSink},
    span::{Span, TRACEPARENT, TraceParent},
    tape::Tape,
    value::Map,
};

/// What flows with a call. Cheap to clone; all clones are the same Context.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    deadline: Option<Duration>,
    cancel: Arc<Cancel>,
    operation: Option<Operation>,
    graph: Arc<ProcedureGraph>,
    node: Option<Arc<ProcedureNode>>,
    /// The procedure this chain of calls began with.
    origin: Option<Arc<ProcedureNode>>,
    execution: Option<ExecutionIds>,
    span: Option<Arc<Span>>,
    tick: Option<u64>,
    /// How many procedures stand around what runs here.
    depth: usize,
    metrics: Counters,
}

/// Whose metrics those of a Context are.
#[derive(Clone, Debug)]
enum Counters {
    /// Those of the execution that it stands for.
    Execution(Arc<ProcedureNode>),
    /// Its own.
    Own(Arc<Metrics>),
}

/// What seldom differs between a Context and those below it; one allocation for all of them.
#[derive(Clone, Debug)]
struct Shared {
    request_id: Arc<str>,
    trace_id: Arc<str>,
    principal: Arc<Principal>,
    caller: Caller,
    metadata: Map,
    clock: Arc<dyn Clock>,
    tape: Option<Arc<dyn Tape>>,
    hooks: Arc<HookRegistry>,
    asking: Option<Arc<Asking>>,
    host: Option<HostData>,
    progress: Option<Arc<dyn ProgressSink>>,
    approver: Option<Arc<dyn Approver>>,
    invocation: Option<Arc<Invocation>>,
    events: Arc<EventBus>,
    /// Graphs of root calls that ended, where a host keeps them.
    recent: Arc<Recent>,
    channels: Option<Arc<dyn ChannelService>>,
    /// The subscription whose function runs here.
    subscriber: Option<u64>,
    is_silent: bool,
    /// Whether it goes on for a call that is over.
    is_of_call: bool,
}

/// What a handle stands for: started work and all that it calls.
#[derive(Clone, Debug)]
struct Operation {
    /// Its events, for late readers.
    log: Arc<EventLog>,
    cancel: Arc<Cancel>,
    /// What it has used until now.
    total: Arc<Metrics>,
}

/// The execution that calls belong to: the one that began it, and the execution it stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ExecutionIds {
    pub(crate) pid: Pid,
    pub(crate) parent: Option<Pid>,
}

impl Context {
    /// Makes a root Context.
    pub fn create(overrides: Overrides) -> Self {
        let clock = overrides.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let identity = |given: Option<String>| {
            Arc::from(given.unwrap_or_else(|| clock.uuid().simple().to_string()))
        };
        let remote = || TraceParent::of(&overrides.metadata).map(|it| it.trace_id);
        let trace_id = overrides.trace_id.or_else(remote);
        let deadline = deadline(&*clock, overrides.timeout);
        let shared = Shared {
            request_id: identity(overrides.request_id),
            trace_id: identity(trace_id),
            principal: Arc::new(overrides.principal.unwrap_or_default()),
            caller: overrides.caller.unwrap_or_default(),
            metadata: overrides.metadata,
            tape: overrides.tape,
            hooks: overrides.hooks.unwrap_or_default(),
            asking: None,
            host: overrides.host,
            progress: overrides.progress,
            approver: None,
            invocation: None,
            events: overrides.events.unwrap_or_default(),
            recent: Arc::default(),
            channels: overrides.channels,
            subscriber: overrides.subscriber,
            is_silent: overrides.silent,
            is_of_call: false,
            clock,
        };
        let mut inner = Inner::outermost(shared, deadline, Cancel::root());
        inner.tick = overrides.tick;
        Self(Arc::new(inner))
    }

    /// Publishes an event, with the current procedure as its source.
    pub fn emit(&self, kind: EventKind, data: Value) {
        let _sequence = self.publish(kind, data);
    }

    /// As [`Context::emit`]; answers the number of the event on the bus.
    pub fn publish(&self, kind: EventKind, data: Value) -> u64 {
        let source = self.0.node.as_ref().map(|node| node.name.to_string());
        self.emit_from(kind, data, source)
    }

    /// Publishes an event from `source`; answers its number on the bus.
    pub fn emit_from(&self, kind: EventKind, data: Value, source: Option<String>) -> u64 {
        let (inner, shared) = (&self.0, &self.0.shared);
        let make = |sequence| Event {
            sequence,
            kind,
            time: shared.clock.wall(),
            request_id: Arc::clone(&shared.request_id),
            trace_id: Arc::clone(&shared.trace_id),
            execution_id: self.execution_id(),
            source,
            data,
        };
        let Some(operation) = &inner.operation else {
            return shared.events.publish_with(make);
        };
        let event = make(0);
        // A copy is made for those only who listen beside the handle.
        let number = shared.events.publish_with(|sequence| Event {
            sequence,
            ..event.clone()
        });
        operation.log.push(event);
        number
    }

    /// Whether anybody would see an event.
    pub fn is_observed(&self) -> bool {
        self.0.operation.is_some() || self.0.shared.events.has_subscribers()
    }

    /// Identity of the request.
    pub fn request_id(&self) -> &str {
        &self.0.shared.request_id
    }

    /// W3C trace id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0.shared.trace_id
    }

    /// On whose behalf the call runs.
    pub fn principal(&self) -> &Principal {
        &self.0.shared.principal
    }

    /// Who typed or chose what is being done.
    pub fn caller(&self) -> Caller {
        self.0.shared.caller
    }

    /// Data of the application.
    pub fn metadata(&self) -> &Map {
        &self.0.shared.metadata
    }

    /// Where time and randomness come from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.shared.clock
    }

    /// Who decides what needs an approval, when it is not the user of the session.
    pub fn approver(&self) -> Option<&Arc<dyn Approver>> {
        self.0.shared.approver.as_ref()
    }

    /// The innermost tool call around what runs here.
    pub fn invocation(&self) -> Option<&Arc<Invocation>> {
        self.0.shared.invocation.as_ref()
    }

    /// What records and replays calls, while it does one of both.
    pub fn tape(&self) -> Option<&Arc<dyn Tape>> {
        self.0.shared.tape.as_ref().filter(|tape| tape.is_running())
    }

    /// The hooks that stand around what runs here; shared by all Contexts below one root.
    pub fn hooks(&self) -> &Arc<HookRegistry> {
        &self.0.shared.hooks
    }

    /// The hooks that are being asked around here.
    pub(crate) fn asking(&self) -> Option<&Arc<Asking>> {
        self.0.shared.asking.as_ref()
    }

    /// What the host attached here or above, when it is a `T`.
    pub fn host<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.shared.host.clone()?.downcast().ok()
    }

    /// Shows how far some work is to whoever watches; see [`crate::meter::Meter`].
    pub fn show_progress(&self, progress: &Progress) {
        if let Some(sink) = &self.0.shared.progress {
            sink.show(progress);
        }
    }

    /// The bus of the request.
    pub fn events(&self) -> &Arc<EventBus> {
        &self.0.shared.events
    }

    /// The events of the operation that a handle stands for, kept for late readers.
    pub fn operation_events(&self) -> Option<&Arc<EventLog>> {
        self.0.operation.as_ref().map(|it| &it.log)
    }

    /// What the operation that a handle stands for has used until now.
    pub(crate) fn operation_total(&self) -> Option<&Arc<Metrics>> {
        self.0.operation.as_ref().map(|it| &it.total)
    }

    /// Where channels are found, if the host has any.
    pub fn channels(&self) -> Option<&Arc<dyn ChannelService>> {
        self.0.shared.channels.as_ref()
    }

    /// The executions of the root call.
    pub fn graph(&self) -> &Arc<ProcedureGraph> {
        &self.0.graph
    }

    /// The graphs of the last root calls that ended, where the host keeps them: a kernel keeps
    /// those of its cells.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.0.shared.recent
    }

    /// The execution this Context belongs to.
    pub fn node(&self) -> Option<&Arc<ProcedureNode>> {
        self.0.node.as_ref()
    }

    /// The innermost span around what runs here, while somebody records them.
    pub fn span(&self) -> Option<&Arc<Span>> {
        self.0.span.as_ref()
    }

    /// The procedure this chain of calls began with; see
    /// [`Boundary`](crate::tracker::Boundary) for where one begins.
    pub fn origin(&self) -> Option<&Arc<ProcedureNode>> {
        self.0.origin.as_ref()
    }

    /// Number of the step of the agent or the loop around what runs here, from 1.
    pub fn tick(&self) -> Option<u64> {
        self.0.tick
    }

    /// How many procedures stand around what runs here; 0 outside one. A graph of its own does not
    /// begin it anew.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// How many Contexts it is below.
    pub fn level(&self) -> usize {
        self.0.cancel.level()
    }

    /// Whether a call is around it, also where it begins a graph of its own or outlives the call:
    /// there nothing changes on whose behalf it acts.
    pub fn is_inside_call(&self) -> bool {
        self.0.depth > 0 || self.0.shared.is_of_call
    }

    /// Counters of this Context: an execution's, or a child's own. What is added to a child's
    /// reaches those of the execution around it at once; what is set stays its own.
    pub fn metrics(&self) -> &Metrics {
        match &self.0.metrics {
            Counters::Execution(node) => &node.metrics,
            Counters::Own(own) => own,
        }
    }

    /// Whether what runs here is told neither to the host of the logger nor to telemetry; see
    /// [`Overrides::silent`].
    pub fn is_silent(&self) -> bool {
        self.0.shared.is_silent
    }

    /// The subscription whose function runs here; see [`Overrides::subscriber`].
    pub fn subscriber(&self) -> Option<u64> {
        self.0.shared.subscriber
    }

    /// Whether both are one Context, not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn execution(&self) -> Option<ExecutionIds> {
        self.0.execution
    }

    /// The execution around, and the metrics of its that what begins here reports to first.
    pub(crate) fn caller_node(&self) -> (Option<Arc<ProcedureNode>>, Option<Arc<Metrics>>) {
        let own = match (&self.0.node, &self.0.metrics) {
            (Some(_), Counters::Own(own)) => Some(Arc::clone(own)),
            _ => None,
        };
        (self.0.node.clone(), own)
    }
}

impl Counters {
    /// Those of a child of a Context whose counters these are, which belongs to `node`.
    /// `total` counts what the operation around uses.
    fn below(&self, node: Option<&Arc<ProcedureNode>>, total: Option<&Arc<Metrics>>) -> Self {
        let total = total.cloned();
        Self::Own(Arc::new(match (self, node) {
            (_, None) => Metrics::counted_in(total),
            (Self::Own(around), Some(_)) => Metrics::below(around, total),
            (Self::Execution(node), Some(_)) => Metrics::within(Arc::clone(node) as _, total),
        }))
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::Own(Arc::default())
    }
}

impl Shared {
    /// What a child has of it; the same one where nothing differs.
    fn with(self: &Arc<Self>, overrides: Overrides) -> Arc<Self> {
        if overrides.leave_shared() {
            return Arc::clone(self);
        }
        let mut own = Self::clone(self);
        if let Some(request_id) = overrides.request_id {
            own.request_id = Arc::from(request_id);
        }
        if let Some(trace_id) = overrides.trace_id {
            own.trace_id = Arc::from(trace_id);
            // The place in the trace before; the overrides may have one in this.
            own.metadata.shift_remove(TRACEPARENT);
        }
        if let Some(roles) = overrides.roles {
            let mut principal = Principal::clone(&own.principal);
            principal.roles.retain(|role| roles.contains(role));
            own.principal = Arc::new(principal);
        }
        if own.caller == Caller::User {
            own.caller = overrides.caller.unwrap_or_default();
        }
        own.metadata.extend(overrides.metadata);
        own.host = overrides.host.or(own.host);
        own.progress = overrides.progress.or(own.progress);
        own.approver = overrides.approver.or(own.approver);
        own.invocation = overrides.invocation.or(own.invocation);
        own.subscriber = overrides.subscriber.or(own.subscriber);
        own.is_silent |= overrides.silent;
        Arc::new(own)
    }
}

/// The deadline of a time limit; one that lies beyond the end of time is none.
fn deadline(clock: &dyn Clock, timeout: Option<Duration>) -> Option<Duration> {
    clock.monotonic().checked_add(timeout?)
}

impl Default for Context {
    fn default() -> Self {
        Self::create(Overrides::default())
    }
}
