//! Subscriptions to events and channels, seen from Python.

use std::sync::Arc;

use aikit_core::{
    Result, Value,
    broadcast::{DropPolicy, Feed, QueueOptions, timeout},
    context::{HostData, Overrides},
    script::Callable,
    tool::ToolContext,
};
use futures::{FutureExt as _, future::BoxFuture};
use pyo3::prelude::*;

use crate::{context::Origin, convert::PyValue, session, wait, whole::Whole};

/// A subscription.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Subscription(pub(crate) Feed);

#[pymethods]
impl Subscription {
    /// The next event; `None` when none came in time or there will be none any more.
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyValue>> {
        let feed = self.0.clone();
        wait::blocking(py, |cx| receive(feed, cx, timeout))
    }

    /// `receive` as an awaitable.
    fn areceive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let feed = self.0.clone();
        wait::awaitable(py, |cx| receive(feed, cx, timeout))
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

pub(crate) async fn receive(
    feed: Feed,
    cx: ToolContext,
    seconds: Option<f64>,
) -> Result<Option<PyValue>> {
    let (cx, limit) = (&cx.context, timeout(seconds)?);
    let event = cx.within(feed.receive(&**cx.clock(), limit)).await??;
    Ok(event.map(PyValue))
}

/// The queue that was asked for.
pub(crate) fn queue(capacity: Whole, drop: &str) -> Result<QueueOptions> {
    Ok(QueueOptions {
        capacity: capacity.named("capacity")?,
        drop: DropPolicy::parse(drop)?,
    })
}

/// Calls a Python function with each item. It outlives the call that subscribed, so it runs below
/// the session's Context and not below that of the call.
pub(crate) fn calling<T: 'static>(
    py: Python<'_>,
    cx: &ToolContext,
    function: Arc<dyn Callable>,
    show: fn(&T) -> Value,
) -> PyResult<impl Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static> {
    let below = session::current(py)?.context.child(Overrides {
        caller: Some(cx.context.caller()),
        metadata: cx.context.metadata().clone(),
        host: cx.context.host::<Origin>().map(|it| it as HostData),
        ..Overrides::default()
    });
    Ok(move |item: Arc<T>| {
        let cx = below.root_child(Overrides::default());
        let called = function.call(&cx, vec![show(&item)]);
        called.map(|it| it.map(drop)).boxed()
    })
}
