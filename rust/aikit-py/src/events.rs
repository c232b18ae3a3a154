//! Events, seen from Python.

use aikit_components::event_log::EventLog;
use aikit_core::{
    Result,
    broadcast::{Feed, timeout},
    event::{Event, EventKind},
    tool::ToolContext,
};
use pyo3::prelude::*;

use crate::{
    callbacks::PyCallable,
    convert::PyValue,
    errors, session,
    subscriptions::{Subscription, calling, queue},
    wait,
    whole::Whole,
};

/// Publishes an event; answers its number.
#[pyfunction]
pub(crate) fn publish_event(py: Python<'_>, kind: &str, data: PyValue) -> PyResult<u64> {
    let cx = wait::started(py)?;
    let kind = EventKind::custom(kind).map_err(|error| errors::to_python(py, &error))?;
    Ok(cx.context.publish(kind, data.0))
}

/// Subscribes to events from now on; a function gets them where one is given.
#[pyfunction]
pub(crate) fn subscribe_events(
    py: Python<'_>,
    pattern: &str,
    function: Option<&Bound<'_, PyAny>>,
    capacity: Whole,
    drop: &str,
) -> PyResult<Subscription> {
    let cx = wait::started(py)?;
    let subscribe = || {
        let options = queue(capacity, drop)?;
        cx.context.events().try_subscribe([pattern], options)
    };
    let events = subscribe().map_err(|error| errors::to_python(py, &error))?;
    let Some(function) = function else {
        return Ok(Subscription(
            Feed::new(events.into_queue(), Event::to_value).into(),
        ));
    };
    let function = PyCallable::make(function)?;
    let calling = calling(py, &cx, function, Event::to_value)?;
    Ok(Subscription(
        Feed::of(events.listen(pattern, calling)).into(),
    ))
}

/// Waits until functions have been given what was published, and until it is written where it is
/// kept; answers how much functions have not been given.
#[pyfunction]
pub(crate) fn flush_events(py: Python<'_>, timeout: Option<f64>) -> PyResult<u64> {
    let log = session::current(py)?.event_log.clone();
    wait::blocking(py, |cx| flush(log, cx, timeout))
}

/// `flush_events` as an awaitable.
#[pyfunction]
pub(crate) fn aflush_events(py: Python<'_>, timeout: Option<f64>) -> PyResult<Bound<'_, PyAny>> {
    let log = session::current(py)?.event_log.clone();
    wait::awaitable(py, |cx| flush(log, cx, timeout))
}

async fn flush(log: EventLog, cx: ToolContext, seconds: Option<f64>) -> Result<u64> {
    log.flush_events(&cx.context, timeout(seconds)?).await
}

/// Kept events after a number of the log, oldest first.
#[pyfunction]
pub(crate) fn replay_events(
    py: Python<'_>,
    after: Whole,
    pattern: String,
    limit: Whole,
) -> PyResult<Vec<PyValue>> {
    let log = session::current(py)?.event_log.clone();
    wait::blocking(py, |cx| replay(log, cx, (after, pattern, limit)))
}

/// `replay_events` as an awaitable.
#[pyfunction]
pub(crate) fn areplay_events(
    py: Python<'_>,
    after: Whole,
    pattern: String,
    limit: Whole,
) -> PyResult<Bound<'_, PyAny>> {
    let log = session::current(py)?.event_log.clone();
    wait::awaitable(py, |cx| replay(log, cx, (after, pattern, limit)))
}

async fn replay(
    log: EventLog,
    cx: ToolContext,
    (after, pattern, limit): (Whole, String, Whole),
) -> Result<Vec<PyValue>> {
    let (after, limit): (u64, usize) = (after.named("after")?, limit.named("limit")?);
    let kept = log.replay(&cx.context, (after, &pattern), limit).await?;
    Ok(kept.into_iter().map(PyValue).collect())
}
