//! What stands below a Context: of a call, of an execution, of what outlives the call.

use std::{sync::Arc, time::Duration};

use super::{
    Cancel, Context, Counters, ExecutionIds, HostData, Inner, Operation, Overrides, Shared,
    deadline,
};
use crate::{
    Error, ErrorKind, Result,
    event::EventLog,
    graph::ProcedureNode,
    hook::Asking,
    metrics::Metrics,
    span::{Span, TraceParent},
};

/// How many Contexts may be above one that a program makes below another. Each keeps what cancels
/// it alive, which the memory limit of a script does not count.
pub(super) const LEVELS_MAX: usize = 10_000;

impl Context {
    /// Makes a Context below this one. It shares events, graph and cancellation (cancelling the
    /// parent cancels it, not the other way round) and owns its metrics: what is added to them, and
    /// what is called in it, counts in the execution around too, what is set does not. It can
    /// narrow the caller, the roles and the deadline, never widen them.
    ///
    /// With a `traceparent` in its metadata it belongs to that trace, below that span.
    #[must_use]
    pub fn child(&self, overrides: Overrides) -> Self {
        self.changed(overrides, |inner| {
            inner.metrics = self
                .0
                .metrics
                .below(inner.node.as_ref(), self.operation_total());
        })
    }

    /// As [`Context::child`], for a part of what this Context stands for: another deadline, another
    /// cancellation, other data. It has the same metrics.
    #[must_use]
    pub fn part(&self, mut overrides: Overrides) -> Self {
        let parent = &self.0;
        let mut span = parent.span.clone();
        if let Some(remote) = TraceParent::of(&overrides.metadata) {
            overrides.trace_id.get_or_insert(remote.trace_id);
        }
        if overrides.trace_id.is_some() {
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
            metrics: parent.metrics.clone(),
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
            metrics: Counters::Execution(Arc::clone(&node)),
            node: Some(node),
            origin: Some(origin),
            execution,
            span: span.or_else(|| parent.span.clone()),
            tick: parent.tick,
            depth: parent.depth + 1,
        }))
    }

    /// A part whose events are also kept in `log`, so that a late reader finds them.
    #[must_use]
    pub(crate) fn child_with_log(&self, log: Arc<EventLog>) -> Self {
        self.changed(Overrides::default(), |inner| {
            let cancel = Arc::clone(&inner.cancel);
            let around = inner.operation.take().map(|it| it.total);
            let total = Arc::new(Metrics::counted_in(around));
            inner.metrics = self.0.metrics.below(inner.node.as_ref(), Some(&total));
            inner.operation = Some(Operation { log, cancel, total });
        })
    }

    /// A part in which a hook does what it does.
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
            inner.metrics = Counters::default().below(None, self.operation_total());
        })
    }

    /// As [`Context::root_child`], for a request of its own: with another request id and another
    /// trace, unless the overrides have them or continue one.
    #[must_use]
    pub fn request_child(&self, mut overrides: Overrides) -> Self {
        let identity = || self.clock().uuid().simple().to_string();
        overrides.request_id.get_or_insert_with(identity);
        if TraceParent::of(&overrides.metadata).is_none() {
            overrides.trace_id.get_or_insert_with(identity);
        }
        self.root_child(overrides)
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
        // They belong to the call: what a hook does unseen, what was approved, whose function it is.
        (shared.asking, shared.invocation, shared.subscriber) = (None, None, None);
        shared.is_of_call = self.is_inside_call();
        let cancel = around.cancel.child();
        Self(Arc::new(Inner::outermost(shared, around.deadline, cancel)))
    }

    fn changed(&self, overrides: Overrides, change: impl FnOnce(&mut Inner)) -> Self {
        let mut child = self.part(overrides);
        // Nobody else has it yet.
        if let Some(inner) = Arc::get_mut(&mut child.0) {
            change(inner);
        }
        child
    }
}

impl Inner {
    /// What nothing stands above.
    pub(super) fn outermost(
        shared: Shared,
        deadline: Option<Duration>,
        cancel: Arc<Cancel>,
    ) -> Self {
        Self {
            shared: Arc::new(shared),
            deadline,
            cancel,
            operation: None,
            graph: Arc::default(),
            node: None,
            origin: None,
            execution: None,
            span: None,
            tick: None,
            depth: 0,
            metrics: Counters::default(),
        }
    }
}
