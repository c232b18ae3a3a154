//! Records one execution: a node in the graph, a span, events, and its end in every case.

mod limit;
mod operation;
#[cfg(test)]
mod tests;

use std::{
    any::Any, future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration,
};

use futures::FutureExt as _;

pub use self::{
    limit::{Limited, explain},
    operation::{Boundary, Operation},
};

use crate::{
    Error, ErrorKind, Result, Value,
    context::{Context, ExecutionIds},
    event::EventKind,
    graph::{ProcedureNode, Status},
    span::Span,
    telemetry,
};

/// Deepest nesting of procedures: tools that call tools, agents that call agents. Without a bound a
/// tool that calls itself would take memory and threads until its time limit.
const DEPTH_MAX: usize = 64;

/// Longest name of a procedure: a graph keeps those of its nodes, an event that of its source.
const NAME_BYTES_MAX: usize = 4 << 10;

/// Executes `body` as one procedure below `cx`.
///
/// The body gets a Context of its own that is current while it runs, ends with the deadline or a
/// cancellation, and whose metrics are added to the caller's.
///
/// # Errors
///
/// The body's, those of [`Context::check`] before it runs, while it does and after it: what comes
/// past the deadline, or when the Context was cancelled, is no result. `limit_exceeded` when too
/// many procedures stand around it; `internal` when the body panics, which harms this call only.
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
    execution.settle(cx, &operation, outcome)
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
        check_name(&operation.name)?;
        let name = Arc::clone(&operation.name);
        let (started, begun) = (cx.clock().wall(), cx.clock().monotonic());
        let total = cx.operation_total().cloned();
        let node = cx
            .graph()
            .register_in(name, cx.caller_node(), started, total);
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

    /// Ends the execution with its outcome, which is an error where it came too late.
    ///
    /// # Errors
    ///
    /// The one of `outcome`, or those of [`Context::check`], explained as
    /// [`Execution::explain`] does.
    pub fn settle<T>(
        self,
        caller: &Context,
        operation: &Operation,
        outcome: Result<T>,
    ) -> Result<T> {
        let outcome = limit::in_time(&self.cx, outcome);
        let outcome = outcome.map_err(|error| self.explain(caller, operation, error));
        self.end(outcome.as_ref().err());
        outcome
    }

    /// Ends the execution as it is told, in time or not.
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

fn check_name(name: &str) -> Result<()> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the name of the procedure `{name}` has {} bytes",
        name.len()
    );
    let hint = format!("give it a name of up to {NAME_BYTES_MAX} bytes");
    Err(Error::invalid_args(message).with_hint(hint))
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
