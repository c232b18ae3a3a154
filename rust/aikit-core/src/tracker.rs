//! Records one execution: a node in the graph, a span, events, and its end in every case.

use std::{sync::Arc, time::Duration};

use tracing::Instrument as _;

use crate::{
    Error, ErrorKind, Result, Value,
    context::Context,
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
    /// How its span is called and what it carries; as the procedure when `None`.
    pub span: Option<Box<SpanDescription>>,
}

impl Operation {
    /// An operation without a time limit of its own.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            timeout: None,
            span: None,
        }
    }

    /// Limits its time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
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
/// procedures stand around it.
pub async fn track<T, F>(
    cx: &Context,
    operation: Operation,
    body: impl FnOnce(Context) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    cx.check()?;
    check_depth(cx, &operation.name)?;
    let node = ProcedureNode::new(operation.name, cx.node().cloned(), cx.clock().wall());
    cx.graph().register(Arc::clone(&node));
    let span = telemetry::begin(cx, &node, operation.span);
    let inner = cx.child_at(Arc::clone(&node), operation.timeout, span.clone());
    let observed = inner.is_observed();
    if observed {
        inner.emit(EventKind::ProcedureStart, describe(&node, None));
    }
    let mut guard = EndGuard {
        node: &node,
        cx: &inner,
        span: span.as_ref(),
        ended: false,
    };
    let traced = tracing::debug_span!("procedure", name = &*node.name, pid = %node.pid);
    let outcome = inner
        .run(inner.within(body(inner.clone())))
        .instrument(traced)
        .await;
    let outcome = outcome.and_then(|result| result);
    guard.ended = true;
    guard.end(outcome.as_ref().err());
    outcome
}

fn check_depth(cx: &Context, name: &str) -> Result<()> {
    if cx.depth() < DEPTH_MAX {
        return Ok(());
    }
    let message = format!("`{name}` is nested in {DEPTH_MAX} other calls, which is the limit");
    let hint = "look for a tool, an agent or a procedure that calls itself without an end";
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

/// A future that is dropped half-way is a cancelled execution, not a forgotten one.
struct EndGuard<'a> {
    node: &'a Arc<ProcedureNode>,
    cx: &'a Context,
    span: Option<&'a Arc<Span>>,
    ended: bool,
}

impl EndGuard<'_> {
    fn end(&self, error: Option<&Error>) {
        end(self.node, self.cx, error);
        telemetry::end(self.span, self.cx, self.node, error);
    }
}

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let error = Error::new(ErrorKind::Cancelled, "the caller stopped waiting");
            self.end(Some(&error));
        }
    }
}

fn end(node: &Arc<ProcedureNode>, cx: &Context, error: Option<&Error>) {
    let status = match error.map(Error::kind) {
        None => Status::Completed,
        Some(ErrorKind::Cancelled | ErrorKind::Interrupted | ErrorKind::Timeout) => {
            Status::Cancelled
        }
        Some(_) => Status::Failed,
    };
    node.finish(status, cx.clock().wall(), error.map(ToString::to_string));
    if cx.is_observed() {
        let kind = error.map_or(EventKind::ProcedureEnd, |_| EventKind::ProcedureError);
        cx.emit(kind, describe(node, error));
    }
}

fn describe(node: &ProcedureNode, error: Option<&Error>) -> Value {
    let mut data = Value::map([
        ("pid", Value::from(node.pid.to_string())),
        ("name", Value::from(&*node.name)),
        (
            "parent",
            node.parent
                .as_ref()
                .map(|parent| parent.pid.to_string())
                .into(),
        ),
    ]);
    if let Value::Map(map) = &mut data {
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;
    use crate::context::Overrides;

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
}
