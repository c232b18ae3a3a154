//! What flows with a call: identities, user, deadline, cancellation, metrics, events.

mod approval;
mod cancel;
mod channels;
mod current;
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
    overrides::{HostData, Overrides},
    principal::{Caller, Principal},
};
use crate::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock},
    event::{Event, EventBus, EventKind, EventLog},
    graph::{Pid, ProcedureGraph, ProcedureNode, Recent},
    hook::{Asking, HookRegistry},
    metrics::Metrics,
    progress::{Progress, ProgressSink},
    span::{Span, TraceParent},
    tape::Tape,
    value::Map,
};

/// How many Contexts may be above one that a program makes below another. Each keeps what cancels
/// it alive, which the memory limit of a script does not count.
const LEVELS_MAX: usize = 10_000;

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
    metrics: Metrics,
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
    is_silent: bool,
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
        Self(Arc::new(Inner {
            deadline: deadline(&*clock, overrides.timeout),
            cancel: Cancel::root(),
            operation: None,
            graph: Arc::default(),
            node: None,
            origin: None,
            execution: None,
            span: None,
            tick: overrides.tick,
            depth: 0,
            metrics: Metrics::default(),
            shared: Arc::new(Shared {
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
                is_silent: overrides.silent,
                clock,
            }),
        }))
    }

    /// Makes a Context below this one. It shares events, graph and cancellation (cancelling the
    /// parent cancels it, not the other way round) and owns its metrics. It can narrow the caller,
    /// the roles and the deadline, never widen them.
    ///
    /// With a `traceparent` in its metadata it belongs to that trace, below that span.
    #[must_use]
    pub fn child(&self, mut overrides: Overrides) -> Self {
        let parent = &self.0;
        let mut span = parent.span.clone();
        if let Some(remote) = TraceParent::of(&overrides.metadata) {
            overrides.trace_id.get_or_insert(remote.trace_id);
            span = None;
        }
        let asked = deadline(&*parent.shared.clock, overrides.timeout);
        Self(Arc::new(Inner {
            deadline: parent.deadline.into_iter().chain(asked).min(),
            cancel: parent.cancel.child(),
            operation: parent.operation.clone(),
            graph: Arc::clone(&parent.graph),
            node: parent.node.clone(),
            origin: parent.origin.clone(),
            execution: parent.execution,
            span,
            tick: overrides.tick.or(parent.tick),
            depth: parent.depth,
            metrics: Metrics::counted_in(self.operation_total().cloned()),
            shared: parent.shared.with(overrides),
        }))
    }

    /// This Context, as the parent of one that a program makes: a program may make as many as it
    /// likes.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when 10,000 Contexts would be above the new one.
    pub fn checked_parent(&self) -> Result<&Self> {
        if self.0.cancel.level() < LEVELS_MAX {
            return Ok(self);
        }
        let message = format!("{LEVELS_MAX} Contexts are above this one, which is the limit");
        let hint = "make children of one Context, not each of the one before";
        Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
    }

    /// What stands for one execution of a procedure: its metrics are the node's.
    #[must_use]
    pub(crate) fn child_at(
        &self,
        node: Arc<ProcedureNode>,
        execution: Option<ExecutionIds>,
        timeout: Option<Duration>,
        span: Option<Arc<Span>>,
    ) -> Self {
        let parent = &self.0;
        let asked = deadline(&*parent.shared.clock, timeout);
        // An execution without a parent begins a chain of its own.
        let begins = execution.is_some_and(|it| it.pid == node.pid && it.parent.is_none());
        let origin = match &parent.origin {
            Some(origin) if !begins => Arc::clone(origin),
            _ => Arc::clone(&node),
        };
        Self(Arc::new(Inner {
            shared: Arc::clone(&parent.shared),
            deadline: parent.deadline.into_iter().chain(asked).min(),
            cancel: parent.cancel.child(),
            operation: parent.operation.clone(),
            graph: Arc::clone(&parent.graph),
            node: Some(node),
            origin: Some(origin),
            execution,
            span: span.or_else(|| parent.span.clone()),
            tick: parent.tick,
            depth: parent.depth + 1,
            metrics: Metrics::default(),
        }))
    }

    /// A child whose events are also kept in `log`, so that a late reader finds them.
    #[must_use]
    pub(crate) fn child_with_log(&self, log: Arc<EventLog>) -> Self {
        self.changed(Overrides::default(), |inner| {
            let cancel = Arc::clone(&inner.cancel);
            let around = inner.operation.take().map(|it| it.total);
            let total = Arc::new(Metrics::counted_in(around));
            inner.metrics = Metrics::counted_in(Some(Arc::clone(&total)));
            inner.operation = Some(Operation { log, cancel, total });
        })
    }

    /// A child in which a hook does what it does.
    #[must_use]
    pub(crate) fn child_asking(&self, asking: Arc<Asking>) -> Self {
        self.changed(Overrides::default(), |inner| {
            Arc::make_mut(&mut inner.shared).asking = Some(asking);
        })
    }

    /// A child that begins a graph and an execution of its own: a cell, a request, a program's
    /// outermost call. Only hosts make one, so it is here that a principal may be set.
    #[must_use]
    pub fn root_child(&self, mut overrides: Overrides) -> Self {
        let principal = overrides.principal.take();
        self.changed(overrides, |inner| {
            if let Some(principal) = principal {
                Arc::make_mut(&mut inner.shared).principal = Arc::new(principal);
            }
            inner.graph = Arc::default();
            inner.node = None;
            inner.origin = None;
            inner.execution = None;
        })
    }

    /// What goes on when the call is over, such as a function that subscribed: on the same behalf,
    /// with the same services and metadata, in a graph of its own. It has neither the deadline nor
    /// the cancellation of the call, but those of `session`, the root that the call belongs to, and
    /// its own `host` data, or the session's.
    #[must_use]
    pub fn outliving(&self, session: &Self, host: Option<HostData>) -> Self {
        let (around, mut shared) = (&session.0, Shared::clone(&self.0.shared));
        shared.host = host.or_else(|| around.shared.host.clone());
        shared.progress.clone_from(&around.shared.progress);
        // Both belong to the call: what a hook does unseen, and what was approved.
        (shared.asking, shared.invocation) = (None, None);
        Self(Arc::new(Inner {
            shared: Arc::new(shared),
            deadline: around.deadline,
            cancel: around.cancel.child(),
            operation: None,
            graph: Arc::default(),
            node: None,
            origin: None,
            execution: None,
            span: None,
            tick: None,
            depth: 0,
            metrics: Metrics::default(),
        }))
    }

    fn changed(&self, overrides: Overrides, change: impl FnOnce(&mut Inner)) -> Self {
        let mut child = self.child(overrides);
        // Nobody else has it yet.
        if let Some(inner) = Arc::get_mut(&mut child.0) {
            change(inner);
        }
        child
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
        operation.log.push(event.clone());
        shared.events.publish(event)
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

    /// Counters of the current execution, or of this Context outside one.
    pub fn metrics(&self) -> &Metrics {
        self.0
            .node
            .as_ref()
            .map_or(&self.0.metrics, |node| &node.metrics)
    }

    /// Whether what runs here is told neither to the host of the logger nor to telemetry; see
    /// [`Overrides::silent`].
    pub fn is_silent(&self) -> bool {
        self.0.shared.is_silent
    }

    /// Whether both are one Context, not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn execution(&self) -> Option<ExecutionIds> {
        self.0.execution
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
