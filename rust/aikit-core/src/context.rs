//! What flows with a call: identities, user, deadline, cancellation, metrics, events.

mod approval;
mod cancel;
mod overrides;
mod principal;

use std::{any::Any, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, select};

use self::cancel::Cancel;
pub use self::{
    approval::{Approval, Approver, Invocation, Verdict},
    overrides::{HostData, Overrides},
    principal::{Caller, Principal},
};
use crate::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock},
    event::{Event, EventBus, EventKind, EventLog},
    graph::{ProcedureGraph, ProcedureNode},
    metrics::Metrics,
    progress::{Progress, ProgressSink},
    span::{Span, TraceParent},
    tape::Tape,
    value::Map,
};

tokio::task_local! {
    static CURRENT: Context;
}

/// What flows with a call. Cheap to clone; all clones are the same Context.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    request_id: Arc<str>,
    trace_id: Arc<str>,
    principal: Arc<Principal>,
    caller: Caller,
    metadata: Map,
    clock: Arc<dyn Clock>,
    tape: Option<Arc<dyn Tape>>,
    host: Option<HostData>,
    progress: Option<Arc<dyn ProgressSink>>,
    approver: Option<Arc<dyn Approver>>,
    invocation: Option<Arc<Invocation>>,
    deadline: Option<Duration>,
    cancel: Arc<Cancel>,
    events: Arc<EventBus>,
    log: Option<Arc<EventLog>>,
    graph: Arc<ProcedureGraph>,
    node: Option<Arc<ProcedureNode>>,
    span: Option<Arc<Span>>,
    /// How many procedures stand around what runs here.
    depth: usize,
    metrics: Arc<Metrics>,
}

impl Context {
    /// Makes a root Context.
    pub fn create(overrides: Overrides) -> Self {
        let clock = overrides.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let identity = |given: Option<String>| {
            Arc::from(given.unwrap_or_else(|| clock.uuid().simple().to_string()))
        };
        Self(Arc::new(Inner {
            request_id: identity(overrides.request_id),
            trace_id: identity(
                overrides
                    .trace_id
                    .or_else(|| TraceParent::of(&overrides.metadata).map(|it| it.trace_id)),
            ),
            principal: Arc::new(overrides.principal.unwrap_or_default()),
            caller: overrides.caller.unwrap_or_default(),
            metadata: overrides.metadata,
            tape: overrides.tape,
            host: overrides.host,
            progress: overrides.progress,
            approver: None,
            invocation: None,
            deadline: deadline(&*clock, overrides.timeout),
            cancel: Cancel::root(),
            events: Arc::default(),
            log: None,
            graph: Arc::default(),
            node: None,
            span: None,
            depth: 0,
            metrics: Arc::default(),
            clock,
        }))
    }

    /// Makes a Context below this one. It shares events, graph and cancellation (cancelling the
    /// parent cancels it, not the other way round) and owns its metrics. It can narrow the caller
    /// and the deadline, never widen them.
    #[must_use]
    pub fn child(&self, overrides: Overrides) -> Self {
        let parent = &self.0;
        let asked = deadline(&*parent.clock, overrides.timeout);
        // The caller's span takes the place of ours; both belong to the trace it names.
        let remote = TraceParent::of(&overrides.metadata);
        let span = parent.span.clone().filter(|_| remote.is_none());
        let trace_id = overrides.trace_id.or(remote.map(|it| it.trace_id));
        let mut metadata = parent.metadata.clone();
        metadata.extend(overrides.metadata);
        Self(Arc::new(Inner {
            request_id: overrides
                .request_id
                .map_or_else(|| Arc::clone(&parent.request_id), Arc::from),
            trace_id: trace_id.map_or_else(|| Arc::clone(&parent.trace_id), Arc::from),
            principal: Arc::clone(&parent.principal),
            caller: match parent.caller {
                Caller::User => overrides.caller.unwrap_or_default(),
                Caller::Agent => Caller::Agent,
            },
            metadata,
            clock: Arc::clone(&parent.clock),
            tape: parent.tape.clone(),
            host: overrides.host.or_else(|| parent.host.clone()),
            progress: overrides.progress.or_else(|| parent.progress.clone()),
            approver: overrides.approver.or_else(|| parent.approver.clone()),
            invocation: overrides.invocation.or_else(|| parent.invocation.clone()),
            deadline: parent.deadline.into_iter().chain(asked).min(),
            cancel: parent.cancel.child(),
            events: Arc::clone(&parent.events),
            log: parent.log.clone(),
            graph: Arc::clone(&parent.graph),
            node: parent.node.clone(),
            span,
            depth: parent.depth,
            metrics: Arc::default(),
        }))
    }

    /// A child that stands for one execution of a procedure: its metrics are the node's.
    #[must_use]
    pub(crate) fn child_at(
        &self,
        node: Arc<ProcedureNode>,
        timeout: Option<Duration>,
        span: Option<Arc<Span>>,
    ) -> Self {
        let mut child = self.child(Overrides {
            timeout,
            ..Overrides::default()
        });
        if let Some(inner) = Arc::get_mut(&mut child.0) {
            inner.node = Some(node);
            inner.span = span.or(inner.span.take());
            inner.depth += 1;
        }
        child
    }

    /// A child whose events are also kept in `log`, so that a late reader finds them.
    #[must_use]
    pub(crate) fn child_with_log(&self, log: Arc<EventLog>) -> Self {
        let mut child = self.child(Overrides::default());
        if let Some(inner) = Arc::get_mut(&mut child.0) {
            inner.log = Some(log);
        }
        child
    }

    /// A child that begins a graph of its own: a cell, a request, a program's outermost call.
    #[must_use]
    pub fn root_child(&self, overrides: Overrides) -> Self {
        let mut child = self.child(overrides);
        if let Some(inner) = Arc::get_mut(&mut child.0) {
            inner.graph = Arc::default();
            inner.node = None;
        }
        child
    }

    /// Runs `future` with this Context as the current one.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        CURRENT.scope(self.clone(), future).await
    }

    /// Runs `body` with this Context as the current one.
    pub fn run_sync<T>(&self, body: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), body)
    }

    /// Runs `future` in a child of this Context.
    pub async fn fork<F: Future>(&self, overrides: Overrides, future: F) -> F::Output {
        self.child(overrides).run(future).await
    }

    /// The current Context.
    ///
    /// # Errors
    ///
    /// `not_found` outside [`Context::run`].
    pub fn get() -> Result<Self> {
        Self::try_get().ok_or_else(|| {
            Error::not_found("there is no current context")
                .with_hint("run the call inside `Context.run`, or use `try_get`")
        })
    }

    /// The current Context, if there is one.
    pub fn try_get() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Publishes an event, with the current procedure as its source.
    pub fn emit(&self, kind: EventKind, data: Value) {
        let inner = &self.0;
        let event = Event {
            sequence: 0,
            kind,
            time: inner.clock.wall(),
            request_id: Arc::clone(&inner.request_id),
            source: inner.node.as_ref().map(|node| node.name.to_string()),
            data,
        };
        if let Some(log) = &inner.log {
            log.push(event.clone());
        }
        inner.events.publish(event);
    }

    /// Whether anybody would see an event.
    pub fn is_observed(&self) -> bool {
        self.0.log.is_some() || self.0.events.has_subscribers()
    }

    /// Cancels this Context and everything below it; the first reason stays.
    pub fn cancel(&self, kind: ErrorKind, reason: impl Into<String>) {
        self.0.cancel.cancel(kind, reason.into());
    }

    /// Whether this Context or one above it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.token.is_cancelled()
    }

    /// Fails when the Context is cancelled or its deadline has passed.
    ///
    /// # Errors
    ///
    /// The kind given to [`Context::cancel`], or `timeout`.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(self.0.cancel.error());
        }
        match self.remaining() {
            Some(Duration::ZERO) => Err(Self::timed_out()),
            _ => Ok(()),
        }
    }

    /// Time until the deadline; `None` when there is none.
    pub fn remaining(&self) -> Option<Duration> {
        self.0
            .deadline
            .map(|deadline| deadline.saturating_sub(self.0.clock.monotonic()))
    }

    /// Waits for `future`, but not longer than the deadline or a cancellation.
    ///
    /// # Errors
    ///
    /// Those of [`Context::check`]; `future` is dropped then.
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output> {
        self.check()?;
        let future = pin!(future);
        let cancelled = pin!(self.stopped());
        // The work is polled first: one that is ready is never thrown away.
        match select(future, cancelled).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Waits until this Context is cancelled or its deadline passes, and says why.
    pub async fn stopped(&self) -> Error {
        let cancelled = pin!(self.0.cancel.token.cancelled());
        match self.remaining() {
            None => {
                cancelled.await;
                self.0.cancel.error()
            }
            Some(remaining) => match select(cancelled, self.0.clock.sleep(remaining)).await {
                Either::Left(_) => self.0.cancel.error(),
                Either::Right(_) => Self::timed_out(),
            },
        }
    }

    fn timed_out() -> Error {
        Error::new(ErrorKind::Timeout, "the deadline has passed")
            .with_hint("raise the time limit of the call, or split the work")
    }

    /// Identity of the request.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// W3C trace id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0.trace_id
    }

    /// On whose behalf the call runs.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// Who typed or chose what is being done.
    pub fn caller(&self) -> Caller {
        self.0.caller
    }

    /// Data of the application.
    pub fn metadata(&self) -> &Map {
        &self.0.metadata
    }

    /// Where time and randomness come from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Who decides what needs an approval, when it is not the user of the session.
    pub fn approver(&self) -> Option<&Arc<dyn Approver>> {
        self.0.approver.as_ref()
    }

    /// The innermost tool call around what runs here.
    pub fn invocation(&self) -> Option<&Arc<Invocation>> {
        self.0.invocation.as_ref()
    }

    /// What records and replays calls, while it does one of both.
    pub fn tape(&self) -> Option<&Arc<dyn Tape>> {
        self.0.tape.as_ref().filter(|tape| tape.is_running())
    }

    /// What the host attached here or above, when it is a `T`.
    pub fn host<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.host.clone()?.downcast().ok()
    }

    /// Shows how far some work is to whoever watches; see [`crate::meter::Meter`].
    pub fn show_progress(&self, progress: &Progress) {
        if let Some(sink) = &self.0.progress {
            sink.show(progress);
        }
    }

    /// The bus of the request.
    pub fn events(&self) -> &Arc<EventBus> {
        &self.0.events
    }

    /// The executions of the root call.
    pub fn graph(&self) -> &Arc<ProcedureGraph> {
        &self.0.graph
    }

    /// The execution this Context belongs to.
    pub fn node(&self) -> Option<&Arc<ProcedureNode>> {
        self.0.node.as_ref()
    }

    /// The innermost span around what runs here, while somebody records them.
    pub fn span(&self) -> Option<&Arc<Span>> {
        self.0.span.as_ref()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io;

    #[test]
    fn outside_a_run_there_is_no_context() {
        assert!(Context::try_get().is_none());
        assert_eq!(Context::get().unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_fork_sees_its_own_metadata_and_its_parents() {
        let parent = Context::create(Overrides {
            metadata: Map::from_iter([("a".to_owned(), Value::Int(1))]),
            ..Overrides::default()
        });
        let overrides = Overrides {
            metadata: Map::from_iter([("b".to_owned(), Value::Int(2))]),
            ..Overrides::default()
        };
        let forked = parent.clone();
        let seen = io::wait(
            async move { forked.fork(overrides, async { Context::get() }).await },
            || Ok(()),
        );
        let seen = seen.unwrap().unwrap();
        assert_eq!(seen.metadata().len(), 2);
        assert_eq!(seen.request_id(), parent.request_id());
        assert_eq!(parent.metadata().len(), 1);
    }

    #[test]
    fn a_child_cannot_widen_the_caller_or_the_deadline() {
        let parent = Context::create(Overrides {
            caller: Some(Caller::Agent),
            timeout: Some(Duration::from_secs(1)),
            ..Overrides::default()
        });
        let child = parent.child(Overrides {
            caller: Some(Caller::User),
            timeout: Some(Duration::from_secs(100)),
            ..Overrides::default()
        });
        assert_eq!(child.caller(), Caller::Agent);
        assert!(child.remaining().unwrap() <= Duration::from_secs(1));
    }

    #[test]
    fn a_childs_host_data_hides_its_parents() {
        let with = |host: HostData| Overrides {
            host: Some(host),
            ..Overrides::default()
        };
        let parent = Context::create(with(Arc::new(1_u32)));
        assert_eq!(
            parent.child(Overrides::default()).host::<u32>().as_deref(),
            Some(&1)
        );
        assert_eq!(
            parent.child(with(Arc::new(2_u32))).host::<u32>().as_deref(),
            Some(&2)
        );
        assert!(parent.host::<String>().is_none());
    }

    #[test]
    fn cancelling_goes_down_with_its_reason_and_not_up() {
        let parent = Context::default();
        let (first, second) = (
            parent.child(Overrides::default()),
            parent.child(Overrides::default()),
        );
        first.cancel(ErrorKind::Cancelled, "not wanted");
        assert!(parent.check().is_ok() && second.check().is_ok());
        parent.cancel(ErrorKind::Interrupted, "stop was pressed");
        assert_eq!(second.check().unwrap_err().kind(), ErrorKind::Interrupted);
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_at_a_cancellation() {
        let late = Context::create(Overrides {
            timeout: Some(Duration::from_millis(5)),
            ..Overrides::default()
        });
        let waited = io::wait(
            async move { late.within(std::future::pending::<()>()).await },
            || Ok(()),
        );
        assert_eq!(waited.unwrap().unwrap_err().kind(), ErrorKind::Timeout);

        let context = Context::default();
        let waiting = context.clone();
        let task = io::spawn(async move { waiting.within(std::future::pending::<()>()).await });
        context.cancel(ErrorKind::Cancelled, "enough");
        let waited = io::wait(task, || Ok(())).unwrap().unwrap();
        assert_eq!(waited.unwrap_err().message(), "enough");
    }

    #[test]
    fn a_time_limit_without_an_end_is_none() {
        let endless = || Overrides {
            timeout: Some(Duration::MAX),
            ..Overrides::default()
        };
        let parent = Context::create(endless());
        let child = parent.child(endless());
        assert_eq!((parent.remaining(), child.remaining()), (None, None));
        assert!(child.check().is_ok());
    }
}
