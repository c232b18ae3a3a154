//! Subscriptions to events and channels, seen from Python.

use std::sync::Arc;

use aikit_core::{
    Error, ErrorKind, Result, Value,
    broadcast::{DropPolicy, Feed, FunctionGone, QueueOptions, Wait, subscriber, timeout},
    context::{HostData, Overrides},
    per_process::OfProcess,
    script::Callable,
    tool::ToolContext,
};
use futures::{FutureExt as _, future::BoxFuture};
use pyo3::prelude::*;

use crate::{callbacks, context::Origin, convert::PyValue, session, wait, whole::Whole};

/// A subscription.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Subscription(pub(crate) OfProcess<Feed>);

#[pymethods]
impl Subscription {
    /// The next event; `None` when none came in time or there will be none any more.
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyValue>> {
        blocking(py, self.0.clone(), timeout)
    }

    /// `receive` as an awaitable, which ends when an event has come to `arrival`.
    fn areceive<'py>(
        &self,
        py: Python<'py>,
        arrival: &Arrival,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, self.0.clone(), arrival, timeout)
    }

    /// How the subscription is.
    fn stats(&self) -> PyValue {
        PyValue(self.0.stats())
    }

    /// Ends the subscription.
    fn stop(&self) {
        self.0.stop();
    }
}

/// Waits for the next event of `feed`.
pub(crate) fn blocking(
    py: Python<'_>,
    feed: Feed,
    seconds: Option<f64>,
) -> PyResult<Option<PyValue>> {
    let wait = Arc::new(Wait::default());
    let received = wait::blocking(py, |cx| receive(feed, cx, (seconds, Arc::clone(&wait))));
    if received.is_err() {
        // A wait that Ctrl-C ends goes on for a moment on its own thread.
        wait.give_up();
    }
    received.map(|()| wait.keep().map(PyValue))
}

/// Waits for the next event of `feed` to come to `arrival`.
pub(crate) fn awaitable<'py>(
    py: Python<'py>,
    feed: Feed,
    arrival: &Arrival,
    seconds: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let wait = Arc::clone(&arrival.0);
    wait::awaitable(py, |cx| receive(feed, cx, (seconds, wait)))
}

async fn receive(
    feed: Feed,
    cx: ToolContext,
    (seconds, wait): (Option<f64>, Arc<Wait>),
) -> Result<()> {
    let (cx, limit) = (&cx.context, timeout(seconds)?);
    let received = feed.take_within(&**cx.clock(), limit, &wait);
    cx.within(received).await?.map(drop)
}

/// Where an event comes that is awaited. Who stops awaiting gives it up, and the event goes back
/// into the subscription, before all others.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Arrival(Arc<Wait>);

#[pymethods]
impl Arrival {
    /// A place for one event.
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// The event, once.
    fn keep(&self) -> Option<PyValue> {
        self.0.keep().map(PyValue)
    }

    /// Nobody awaits it any more.
    fn give_up(&self) {
        self.0.give_up();
    }
}

/// The queue that was asked for.
pub(crate) fn queue(capacity: Whole, drop: &str) -> Result<QueueOptions> {
    Ok(QueueOptions {
        capacity: capacity.named("capacity")?,
        drop: DropPolicy::parse(drop)?,
    })
}

/// The error of a function that will never run again, because its event loop has ended, as one that
/// ends the subscription.
fn ended(error: Error) -> Error {
    if !callbacks::is_lost(&error) {
        return error;
    }
    Error::new(ErrorKind::Unavailable, error.message())
        .with_hint("subscribe in a loop that runs as long as events come")
        .with_source(FunctionGone)
}

/// Calls a Python function with each item, on behalf of whoever subscribed. It outlives the call
/// that did, so it ends with the session and not with the call.
pub(crate) fn calling<T: 'static>(
    py: Python<'_>,
    cx: &ToolContext,
    function: Arc<dyn Callable>,
    show: fn(&T) -> Value,
) -> PyResult<impl Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static> {
    let origin = cx.context.host::<Origin>().map(|it| it as HostData);
    let session = session::current(py)?;
    let below = cx.context.outliving(&session.context, origin);
    Ok(move |item: Arc<T>| {
        let cx = below.root_child(Overrides {
            subscriber: subscriber(),
            ..Overrides::default()
        });
        let called = function.call(&cx, vec![show(&item)]);
        called.map(|it| it.map(drop).map_err(ended)).boxed()
    })
}
