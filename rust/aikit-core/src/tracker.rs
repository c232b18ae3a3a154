//! Records one execution: a node in the graph, a span, events, and its end in every case.

use std::{
    any::Any, future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration,
};

use futures::FutureExt as _;

use crate::{
    Error, ErrorKind, Result, Value,
    context::{Context, ExecutionIds},
    event::EventKind,
    graph::{ProcedureNode, Status},
    span::{Span, SpanDescription},
    telemetry,
};

/// What is about to be executed.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Name of the procedure, such as `tool:count_words`.
    pub name: Arc<str>,
    /// Longest time it may take; `None` for no limit of its own.
    pub timeout: Option<Duration>,
    /// When the call begins a new execution.
    pub boundary: Boundary,
    /// How its span is called and what it carries; as the procedure when `None`.
    pub span: Option<Box<SpanDescription>>,
}

/// When a call begins a new execution, whose identity its events carry.
///
/// An execution is what belongs together for those who watch: by default all that one cell, one
/// request or one outermost call brings about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Boundary {
    /// Always, and the chain of calls begins anew: the execution around it is not its parent.
    Always,
    /// Always; inside of another execution it is a child of that one.
    Child,
    /// When there is none yet.
    #[default]
    Auto,
    /// Never: its events carry the identity of the execution around it, or none.
    Never,
}

impl Boundary {
    /// Every boundary.
    pub const ALL: [Self; 4] = [Self::Always, Self::Child, Self::Auto, Self::Never];

    /// The word that scripts write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Child => "child",
            Self::Auto => "auto",
            Self::Never => "never",
        }
    }

    /// Finds a boundary by its word.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another word.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| {
            Error::invalid_args(format!("`boundary` is `{name}`"))
                .with_hint("the boundaries are `always`, `child`, `auto` and `never`")
        })
    }
}

impl Operation {
    /// An operation without a time limit of its own.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            timeout: None,
            boundary: Boundary::Auto,
            span: None,
        }
    }

    /// Limits its time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says when it begins a new execution.
    #[must_use]
    pub const fn with_boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = boundary;
        self
    }

    /// Says how its span is called and what it carries; asked only while somebody records.
    #[must_use]
    pub fn with_span(mut self, describe: impl FnOnce() -> SpanDescription) -> Self {
        if telemetry::is_on() {
            self.span = Some(Box::new(describe()));
        }
        self
    }
}

/// Deepest nesting of procedures: tools that call tools, agents that call agents. Without a bound a
/// tool that calls itself would take memory and threads until its time limit.
const DEPTH_MAX: usize = 64;

/// Executes `body` as one procedure below `cx`.
///
/// The body gets a Context of its own that is current while it runs, ends with the deadline or a
/// cancellation, and whose metrics are added to the caller's.
///
/// # Errors
///
/// The body's, those of [`Context::check`] before and while it runs; `limit_exceeded` when too many
/// procedures stand around it; `internal` when the body panics, which harms this call only.
pub async fn track<T, F>(
    cx: &Context,
    operation: Operation,
    body: impl FnOnce(Context) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let execution = Execution::begin(cx, &operation)?;
    let inner = execution.context().clone();
    let node = execution.node();
    // A span that nobody wants still costs a hundred instructions a poll.
    let traced = tracing::span_enabled!(tracing::Level::DEBUG)
        .then(|| tracing::debug_span!("procedure", name = &*node.name, pid = %node.pid));
    // Called inside, so that a panic before the first wait is caught as well.
    let work = async { body(inner.clone()).await };
    let work = AssertUnwindSafe(inner.within(work)).catch_unwind();
    let mut running = pin!(inner.run(work));
    let outcome = poll_fn(|context| {
        let _entered = traced.as_ref().map(tracing::Span::enter);
        running.as_mut().poll(context)
    })
    .await;
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&operation.name, &*panic)));
    let outcome = outcome.and_then(|result| result);
    let outcome = outcome.map_err(|error| execution.explain(cx, &operation, error));
    execution.end(outcome.as_ref().err());
    outcome
}

/// One execution that has begun; dropping it before its end means that it was cancelled.
///
/// [`track`] is made of it. What cannot be a future uses it by itself: functions of a script or of
/// a Python program that run in place.
#[derive(Debug)]
pub struct Execution {
    cx: Context,
    span: Option<Arc<Span>>,
    /// When it began, by the clock that never goes backwards.
    begun: Duration,
    has_ended: bool,
}

impl Execution {
    /// Begins an execution below `cx`.
    ///
    /// # Errors
    ///
    /// Those of [`Context::check`]; `limit_exceeded` when too many procedures stand around it.
    pub fn begin(cx: &Context, operation: &Operation) -> Result<Self> {
        cx.check()?;
        check_depth(cx, &operation.name)?;
        let name = Arc::clone(&operation.name);
        let (started, begun) = (cx.clock().wall(), cx.clock().monotonic());
        let total = cx.operation_total().cloned();
        let node = cx
            .graph()
            .register_counted(name, cx.node().cloned(), started, total);
        let ids = ids(cx, &node, operation.boundary);
        let span = telemetry::begin(cx, &node, operation.span.as_deref());
        let cx = cx.child_at(node, ids, operation.timeout, span.clone());
        if cx.is_observed() {
            cx.emit(EventKind::ProcedureStart, describe(&cx, None));
        }
        Ok(Self {
            cx,
            span,
            begun,
            has_ended: false,
        })
    }

    /// The Context of the execution.
    pub const fn context(&self) -> &Context {
        &self.cx
    }

    /// Its node.
    ///
    /// # Panics
    ///
    /// Never: [`Execution::begin`] sets it.
    pub fn node(&self) -> &Arc<ProcedureNode> {
        #[expect(
            clippy::expect_used,
            reason = "`begin` makes the Context with the node"
        )]
        self.cx.node().expect("an execution has a node")
    }

    /// Says of a passed deadline that it was the operation's own, where it was.
    #[must_use]
    pub fn explain(&self, caller: &Context, operation: &Operation, error: Error) -> Error {
        explain(&self.cx, caller, operation, error)
    }

    /// Ends the execution.
    pub fn end(mut self, error: Option<&Error>) {
        self.has_ended = true;
        self.close(error);
    }

    fn close(&self, error: Option<&Error>) {
        let elapsed = self.cx.clock().monotonic().saturating_sub(self.begun);
        end(&self.cx, self.node(), elapsed, error);
        telemetry::end(self.span.as_ref(), &self.cx, self.node(), error);
    }
}

impl Drop for Execution {
    /// A future that is dropped half-way is a cancelled execution, not a forgotten one.
    fn drop(&mut self) {
        if !self.has_ended {
            let error = Error::new(ErrorKind::Cancelled, "the caller stopped waiting");
            self.close(Some(&error));
        }
    }
}

/// Says of the passed deadline of `cx` that it was the operation's own and not the caller's, where
/// it was.
#[must_use]
pub fn explain(cx: &Context, caller: &Context, operation: &Operation, error: Error) -> Error {
    let is_own = error.kind() == ErrorKind::Timeout
        && cx.remaining().is_some_and(|it| it.is_zero())
        && caller.check().is_ok();
    match operation.timeout {
        Some(timeout) if is_own => {
            let message = format!("`{}` took longer than {timeout:?}", operation.name);
            Error::new(ErrorKind::Timeout, message)
                .with_hint("raise its time limit, or ask for less in one call")
                .with_source(error)
        }
        _ => error,
    }
}

/// The execution that `node` and the calls below it belong to.
fn ids(cx: &Context, node: &ProcedureNode, boundary: Boundary) -> Option<ExecutionIds> {
    let around = cx.execution();
    let own = |parent: Option<ExecutionIds>| ExecutionIds {
        pid: node.pid,
        parent: parent.map(|it| it.pid),
    };
    match boundary {
        Boundary::Always => Some(own(None)),
        Boundary::Child => Some(own(around)),
        Boundary::Auto => Some(around.unwrap_or_else(|| own(None))),
        Boundary::Never => around,
    }
}

fn check_depth(cx: &Context, name: &str) -> Result<()> {
    if cx.depth() < DEPTH_MAX {
        return Ok(());
    }
    let message = format!("`{name}` is nested in {DEPTH_MAX} other calls, which is the limit");
    let hint = "look for a tool, an agent or a procedure that calls itself without an end";
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

fn panicked(name: &str, panic: &(dyn Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Error::internal(format!("`{name}` panicked: {said}"))
}

fn end(cx: &Context, node: &Arc<ProcedureNode>, elapsed: Duration, error: Option<&Error>) {
    let status = Status::of(error);
    // The wall clock may have been set meanwhile: a duration is none of its differences.
    let elapsed = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    let completed = node.started.saturating_add(elapsed);
    node.finish(status, completed, error.map(ToString::to_string));
    if cx.is_observed() {
        let kind = error.map_or(EventKind::ProcedureEnd, |_| EventKind::ProcedureError);
        cx.emit(kind, describe(cx, error));
    }
}

/// The data of the events of an execution.
fn describe(cx: &Context, error: Option<&Error>) -> Value {
    let Some(node) = cx.node() else {
        return Value::Null;
    };
    let parent = node.parent.as_ref().map(|parent| parent.pid.to_string());
    let mut data = Value::map([
        ("pid", Value::from(node.pid.to_string())),
        ("name", Value::from(&*node.name)),
        ("parent", parent.into()),
        ("execution_id", cx.execution_id().into()),
    ]);
    if let Value::Map(map) = &mut data {
        if let Some(parent) = cx.parent_execution_id() {
            map.insert("parent_execution_id".to_owned(), Value::String(parent));
        }
        if let Some(completed) = node.completed() {
            map.insert(
                "duration_us".to_owned(),
                Value::Int(completed - node.started),
            );
        }
        if let Some(error) = error {
            map.insert("error".to_owned(), error.to_value());
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use futures::future::BoxFuture;

    use super::*;
    use crate::{
        clock::{Clock, SystemClock, UnixMicros},
        context::Overrides,
        io,
    };

    #[test]
    fn a_nested_execution_stands_below_its_caller_and_reports_upwards() {
        let cx = Context::default();
        let tracked = track(&cx, Operation::new("outer"), |outer| async move {
            track(&outer, Operation::new("inner"), |inner| async move {
                inner.metrics().add("x", 2.0);
                Ok(Context::get()?.node().unwrap().name.to_string())
            })
            .await
        });
        assert_eq!(tracked.now_or_never().unwrap().unwrap(), "inner");
        let nodes = cx.graph().all();
        assert_eq!(
            nodes.iter().map(|node| &*node.name).collect::<Vec<_>>(),
            ["outer", "inner"]
        );
        assert_eq!((nodes[0].metrics.get("x"), nodes[1].depth()), (2.0, 1));
        assert!(nodes.iter().all(|node| node.status() == Status::Completed));
    }

    fn nested(cx: Context, deepest: Arc<AtomicUsize>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            track(&cx, Operation::new("again"), |inner| {
                deepest.fetch_max(inner.depth(), Ordering::Relaxed);
                // A graph of its own is no way around the limit.
                nested(inner.root_child(Overrides::default()), deepest)
            })
            .await
        })
    }

    #[test]
    fn an_execution_that_calls_itself_ends_at_the_limit() {
        let deepest = Arc::default();
        let ended = nested(Context::default(), Arc::clone(&deepest)).now_or_never();
        let error = ended.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.message().contains("`again`") && error.hint().is_some());
        assert_eq!(deepest.load(Ordering::Relaxed), DEPTH_MAX);
    }

    #[test]
    fn a_dropped_execution_is_cancelled() {
        let cx = Context::default();
        let tracked = track(&cx, Operation::new("slow"), |_| {
            std::future::pending::<Result<()>>()
        });
        assert!(tracked.now_or_never().is_none());
        assert_eq!(cx.graph().all()[0].status(), Status::Cancelled);
    }

    #[test]
    fn start_and_error_are_events() {
        let cx = Context::default();
        let mut events = cx.events().subscribe("procedure.*");
        let failing = track(&cx, Operation::new("bad"), |_| async {
            Err::<(), _>(Error::new(ErrorKind::ToolFailed, "broken"))
        });
        assert!(failing.now_or_never().unwrap().is_err());
        assert_eq!(events.try_next().unwrap().kind, EventKind::ProcedureStart);
        let ended = events.try_next().unwrap();
        assert_eq!(ended.kind, EventKind::ProcedureError);
        assert_eq!(
            ended.data.get("error").unwrap().get("kind"),
            Some(&Value::from("tool_failed"))
        );
    }

    #[test]
    fn a_panic_harms_only_its_own_call() {
        let cx = Context::default();
        for waits in [false, true] {
            let broken = track(&cx, Operation::new("broken"), |_| async move {
                if waits {
                    std::future::ready(()).await;
                }
                assert!(std::hint::black_box(false), "as wanted");
                Ok(())
            });
            let error = broken.now_or_never().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert_eq!(error.message(), "`broken` panicked: as wanted");
        }
        let early = track(
            &cx,
            Operation::new("early"),
            |_| -> BoxFuture<'_, Result<()>> { panic!("before the first wait") },
        );
        assert!(early.now_or_never().unwrap().is_err());
        let statuses: Vec<_> = cx.graph().all().iter().map(|it| it.status()).collect();
        assert_eq!(statuses, [Status::Failed; 3]);
        assert!(cx.check().is_ok());
    }

    #[test]
    fn an_own_time_limit_is_named_and_the_callers_is_not() {
        let slow = |cx: Context, timeout| async move {
            let operation = Operation::new("slow").with_timeout(Some(timeout));
            track(&cx, operation, |_| std::future::pending::<Result<()>>()).await
        };
        let short = Duration::from_millis(5);
        let own = slow(Context::default(), short);
        let own = io::wait(own, || Ok(())).unwrap().unwrap_err();
        assert_eq!(own.message(), "`slow` took longer than 5ms");
        let cx = Context::create(Overrides {
            timeout: Some(short),
            ..Overrides::default()
        });
        let callers = slow(cx, Duration::from_mins(1));
        let callers = io::wait(callers, || Ok(())).unwrap().unwrap_err();
        assert_eq!(
            (callers.kind(), callers.message()),
            (ErrorKind::Timeout, "the deadline has passed")
        );
    }

    /// The execution id, its parent's and the origin that a call below two others sees.
    fn innermost(boundaries: [Boundary; 3]) -> (Option<String>, Option<String>, String) {
        let cx = Context::create(Overrides {
            request_id: Some("r".to_owned()),
            ..Overrides::default()
        });
        let [outer, middle, inner] = ["outer", "middle", "inner"];
        let outer = Execution::begin(&cx, &Operation::new(outer).with_boundary(boundaries[0]));
        let outer = outer.unwrap();
        let middle = Operation::new(middle).with_boundary(boundaries[1]);
        let middle = Execution::begin(outer.context(), &middle).unwrap();
        let inner = Operation::new(inner).with_boundary(boundaries[2]);
        let inner = Execution::begin(middle.context(), &inner).unwrap();
        let names = |id: Option<String>| {
            let pid = id?.strip_prefix("r-").and_then(crate::graph::Pid::parse)?;
            cx.graph().get(pid).map(|node| node.name.to_string())
        };
        let cx = inner.context();
        let ids = (names(cx.execution_id()), names(cx.parent_execution_id()));
        (ids.0, ids.1, cx.origin_name().unwrap().to_owned())
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_execution_shorter() {
        #[derive(Debug, Default)]
        struct SetBack(AtomicI64);
        impl Clock for SetBack {
            fn now(&self) -> UnixMicros {
                self.0.fetch_sub(3_600_000_000, Ordering::Relaxed)
            }

            fn monotonic(&self) -> Duration {
                SystemClock.monotonic()
            }

            fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
                SystemClock.sleep(duration)
            }

            fn random(&self, bytes: &mut [u8]) {
                SystemClock.random(bytes);
            }
        }
        let cx = Context::create(Overrides {
            clock: Some(Arc::new(SetBack::default())),
            ..Overrides::default()
        });
        let tracked = track(&cx, Operation::new("short"), |_| async { Ok(()) });
        tracked.now_or_never().unwrap().unwrap();
        let node = &cx.graph().all()[0];
        let elapsed = node.completed().unwrap() - node.started;
        assert!((0..60_000_000).contains(&elapsed), "{elapsed}");
    }

    #[test]
    fn a_boundary_says_where_an_execution_begins() {
        use Boundary::{Always, Auto, Child, Never};
        let some = |name: &str| Some(name.to_owned());
        let cases = [
            ([Auto, Auto, Auto], (some("outer"), None, "outer")),
            (
                [Auto, Child, Auto],
                (some("middle"), some("outer"), "outer"),
            ),
            ([Auto, Always, Auto], (some("middle"), None, "middle")),
            (
                [Auto, Child, Child],
                (some("inner"), some("middle"), "outer"),
            ),
            ([Never, Never, Never], (None, None, "outer")),
            ([Never, Auto, Never], (some("middle"), None, "middle")),
        ];
        for (boundaries, (own, parent, origin)) in cases {
            let expected = (own, parent, origin.to_owned());
            assert_eq!(innermost(boundaries), expected, "{boundaries:?}");
        }
        for boundary in Boundary::ALL {
            assert_eq!(Boundary::from_name(boundary.name()).unwrap(), boundary);
        }
        assert!(
            Boundary::from_name("often")
                .unwrap_err()
                .message()
                .contains("`often`")
        );
    }
}
