//! Subscriptions to events and channels, seen from Python.

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    broadcast::{Delivery, DropPolicy, Feed, QueueOptions, timeout},
    context::{HostData, Overrides},
    script::Callable,
    tool::ToolContext,
};
use futures::{FutureExt as _, future::BoxFuture};
use pyo3::prelude::*;

use crate::{callbacks, context::Origin, convert::PyValue, session, wait, whole::Whole};

/// A subscription.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Subscription(pub(crate) Feed);

#[pymethods]
impl Subscription {
    /// The next event; `None` when none came in time or there will be none any more.
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyValue>> {
        let feed = self.0.clone();
        Ok(wait::blocking(py, |cx| receive(feed, cx, timeout))?.and_then(|it| it.keep()))
    }

    /// `receive` as an awaitable of what is to be kept.
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
) -> Result<Option<Received>> {
    let (cx, limit) = (&cx.context, timeout(seconds)?);
    let event = cx.within(feed.take_within(&**cx.clock(), limit)).await??;
    Ok(event.map(|it| Received(Mutex::new(Some(it)))))
}

/// An event on its way: when whoever awaits it is cancelled before it was kept, it goes back into
/// the subscription.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Received(Mutex<Option<Delivery>>);

#[pymethods]
impl Received {
    /// The event, once.
    pub(crate) fn keep(&self) -> Option<PyValue> {
        let mut delivery = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        delivery.take().map(|it| PyValue(it.keep()))
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
        .with_source(error)
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
        let cx = below.root_child(Overrides::default());
        let called = function.call(&cx, vec![show(&item)]);
        called.map(|it| it.map(drop).map_err(ended)).boxed()
    })
}
