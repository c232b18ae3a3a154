//! Channels, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::{Arc, OnceLock};

use aikit_core::{
    Result, Value,
    broadcast::{Feed, QueueOptions, timeout},
    channel::{self, ChannelEvent, REQUEST},
    per_process::OfProcess,
    tool::ToolContext,
    value::Map,
};
use pyo3::prelude::*;

use crate::{
    callbacks::PyCallable,
    convert::PyValue,
    errors,
    subscriptions::{self, Arrival, Subscription, calling, queue},
    wait,
    whole::Whole,
};

/// A channel of the user and the conversation of the caller.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Channel {
    channel: OfProcess<channel::Channel>,
    /// What this handle receives, from its first `receive` on.
    received: OfProcess<OnceLock<Feed>>,
}

impl Channel {
    fn of(channel: channel::Channel) -> Self {
        Self {
            channel: channel.into(),
            received: OnceLock::new().into(),
        }
    }

    fn feed(&self) -> Result<Feed> {
        if let Some(feed) = self.received.get() {
            return Ok(feed.clone());
        }
        let feed = feed_of(self.channel.subscribe(QueueOptions::default())?);
        // Another thread may have been first.
        Ok(self.received.get_or_init(|| feed).clone())
    }
}

fn feed_of(subscription: channel::ChannelSubscription) -> Feed {
    Feed::new(subscription, ChannelEvent::to_value)
}

#[pymethods]
impl Channel {
    /// Opens a channel, which is made when there is none.
    #[new]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        let cx = wait::started(py)?;
        let channel = cx.context.get_channel(name);
        channel
            .map(Self::of)
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Its name, in lower case.
    fn name(&self) -> &str {
        self.channel.name()
    }

    /// Publishes an event: its type with a payload and options, or all of it; answers its number.
    fn publish(
        &self,
        py: Python<'_>,
        event: PyValue,
        payload: PyValue,
        options: PyValue,
    ) -> PyResult<u64> {
        let cx = wait::started(py)?;
        let publish = || {
            let event = ChannelEvent::describe(event.0, payload.0, members(options))?;
            cx.context.publish_on(&self.channel, event)
        };
        publish().map_err(|error| errors::to_python(py, &error))
    }

    /// Answers a request, an event or its id; answers the number of the response.
    fn respond(&self, py: Python<'_>, request: PyValue, payload: PyValue) -> PyResult<u64> {
        let cx = wait::started(py)?;
        let response = ChannelEvent::answering_value(&request.0, payload.0);
        let published = response.and_then(|it| cx.context.publish_on(&self.channel, it));
        published.map_err(|error| errors::to_python(py, &error))
    }

    /// Subscribes to the events from now on; a function gets them where one is given.
    fn subscribe(
        &self,
        py: Python<'_>,
        function: Option<&Bound<'_, PyAny>>,
        capacity: Whole,
        drop: &str,
    ) -> PyResult<Subscription> {
        let fail = |error| errors::to_python(py, &error);
        let options = queue(capacity, drop).map_err(fail)?;
        let Some(function) = function else {
            let subscription = self.channel.subscribe(options).map_err(fail)?;
            return Ok(Subscription(feed_of(subscription).into()));
        };
        let (cx, function) = (wait::started(py)?, PyCallable::make(function)?);
        let calling = calling(py, &cx, function, ChannelEvent::to_value)?;
        let listener = self.channel.listen(options, calling).map_err(fail)?;
        Ok(Subscription(Feed::of(listener).into()))
    }

    /// The next event; `None` when none came in time or the channel was destroyed.
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyValue>> {
        let feed = self.feed().map_err(|error| errors::to_python(py, &error))?;
        subscriptions::blocking(py, feed, timeout)
    }

    /// `receive` as an awaitable, which ends when an event has come to `arrival`.
    fn areceive<'py>(
        &self,
        py: Python<'py>,
        arrival: &Arrival,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let feed = self.feed().map_err(|error| errors::to_python(py, &error))?;
        subscriptions::awaitable(py, feed, arrival, timeout)
    }

    /// Publishes a request and waits for its response.
    fn request(
        &self,
        py: Python<'_>,
        payload: PyValue,
        options: PyValue,
        timeout: Option<f64>,
    ) -> PyResult<PyValue> {
        let channel = self.channel.clone();
        wait::blocking(py, |cx| request(channel, cx, (payload, options, timeout)))
    }

    /// `request` as an awaitable.
    fn arequest<'py>(
        &self,
        py: Python<'py>,
        payload: PyValue,
        options: PyValue,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let channel = self.channel.clone();
        wait::awaitable(py, |cx| request(channel, cx, (payload, options, timeout)))
    }

    /// Waits for the response to a request.
    fn wait_for_response(
        &self,
        py: Python<'_>,
        id: String,
        timeout: Option<f64>,
    ) -> PyResult<PyValue> {
        let channel = self.channel.clone();
        wait::blocking(py, |cx| wait_for_response(channel, cx, (id, timeout)))
    }

    /// `wait_for_response` as an awaitable.
    fn await_for_response<'py>(
        &self,
        py: Python<'py>,
        id: String,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let channel = self.channel.clone();
        wait::awaitable(py, |cx| wait_for_response(channel, cx, (id, timeout)))
    }

    /// How many subscriptions there are.
    fn subscriber_count(&self) -> usize {
        self.channel.subscriber_count()
    }

    /// Ends the channel.
    fn destroy(&self) {
        self.channel.destroy();
    }
}

fn members(options: PyValue) -> Map {
    match options.0 {
        Value::Map(members) => members,
        _ => Map::new(),
    }
}

async fn request(
    channel: channel::Channel,
    cx: ToolContext,
    (payload, options, seconds): (PyValue, PyValue, Option<f64>),
) -> Result<PyValue> {
    let limit = timeout(seconds)?;
    let event = ChannelEvent::describe(Value::from(REQUEST), payload.0, members(options))?;
    let response = cx.context.request_on(&channel, event, limit).await?;
    Ok(PyValue(response.to_value()))
}

async fn wait_for_response(
    channel: channel::Channel,
    cx: ToolContext,
    (id, seconds): (String, Option<f64>),
) -> Result<PyValue> {
    let limit = timeout(seconds)?;
    let waited = cx.context.within(channel.wait_for_response(&id, limit));
    let response: Arc<ChannelEvent> = waited.await??;
    Ok(PyValue(response.to_value()))
}

/// Opens a channel; `None` where there are none.
#[pyfunction]
pub(crate) fn try_channel(py: Python<'_>, name: &str) -> PyResult<Option<Channel>> {
    let cx = wait::started(py)?;
    let found = cx.context.try_get_channel(name);
    let found = found.map_err(|error| errors::to_python(py, &error))?;
    Ok(found.map(Channel::of))
}

/// The channels of one user in one conversation.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct ChannelSession(channel::ChannelSession);

#[pymethods]
impl ChannelSession {
    /// Tenant, user and conversation.
    fn id(&self) -> &str {
        self.0.id()
    }

    /// Names of the channels, in order.
    fn channels(&self) -> Vec<String> {
        self.0.channel_names()
    }

    /// A channel, made when there is none.
    fn get_channel(&self, py: Python<'_>, name: &str) -> PyResult<Channel> {
        let channel = self.0.get_channel(name);
        channel
            .map(Channel::of)
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Ends every channel.
    fn destroy(&self) {
        self.0.destroy();
    }
}

/// Whose channels there are, and which.
#[pyfunction]
pub(crate) fn channel_session(py: Python<'_>) -> PyResult<ChannelSession> {
    let cx = wait::started(py)?;
    let session = cx.context.channel_session();
    session
        .map(ChannelSession)
        .map_err(|error| errors::to_python(py, &error))
}

/// Destroys a channel; answers whether there was one.
#[pyfunction]
pub(crate) fn remove_channel(py: Python<'_>, name: &str) -> PyResult<bool> {
    let cx = wait::started(py)?;
    let session = cx.context.channel_session();
    let session = session.map_err(|error| errors::to_python(py, &error))?;
    Ok(session.remove_channel(name))
}
