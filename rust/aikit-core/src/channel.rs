//! Channels: named conversations with requests and responses.
//!
//! A channel carries [`ChannelEvent`]s to its subscribers, on the same broadcast as the events of
//! a bus. An event of the type `response` with an id also answers those who wait for that id.

mod event;
mod responses;
mod session;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Either, select},
};

use self::responses::{Begun, Responses};
pub use self::{
    event::{ChannelEvent, ChannelMetadata, REQUEST, RESPONSE},
    session::{CHANNELS_MAX, ChannelSession},
};
use crate::{
    Error, ErrorKind, Result,
    broadcast::{
        Backlog, Broadcast, BroadcastSubscription, CAPACITY_MAX, Listener, Lost, QueueOptions,
        is_free, listen, subscriber,
    },
    clock::Clock,
};

/// Longest name of a channel, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Longest id of a request, in bytes.
pub const ID_BYTES_MAX: usize = 256;

/// A subscriber's queue of a channel.
pub type ChannelSubscription = BroadcastSubscription<ChannelEvent>;

/// A named conversation. Cheap to clone; all clones are the same channel.
#[derive(Clone, Debug)]
pub struct Channel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    events: Broadcast<ChannelEvent>,
    responses: Mutex<Responses>,
}

/// The form of a channel's name that decides which channel it is: without space around it, in
/// lower case.
///
/// # Errors
///
/// `invalid_args` for a name that is empty, longer than 256 bytes or has control characters or a `*`.
pub fn normalize_name(name: &str) -> Result<String> {
    let normal = name.trim().to_lowercase();
    let problem = if normal.is_empty() {
        "is empty".to_owned()
    } else if normal.len() > NAME_BYTES_MAX {
        format!("is longer than {NAME_BYTES_MAX} bytes")
    } else if normal.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else if normal.contains('*') {
        "has a `*`, which would stand for itself: channels have names, not patterns".to_owned()
    } else {
        return Ok(normal);
    };
    let message = format!(
        "the name of the channel `{:.40}` {problem}",
        name.escape_debug().to_string()
    );
    Err(Error::invalid_args(message).with_hint("give a short name, such as `ui:progress`"))
}

fn check_id(id: &str) -> Result<()> {
    if !id.is_empty() && id.len() <= ID_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the id of the request `{id:.40}` is empty or too long");
    Err(Error::invalid_args(message).with_hint(format!("give a text of 1 to {ID_BYTES_MAX} bytes")))
}

impl Channel {
    /// A channel of its own, outside every session.
    ///
    /// # Errors
    ///
    /// Those of [`normalize_name`].
    pub fn new(name: &str, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            name: Arc::from(normalize_name(name)?),
            clock,
            events: Broadcast::default(),
            responses: Mutex::default(),
        })))
    }

    /// Its name, in the form that decides.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Publishes an event; answers its number on this channel, from 1. The channel and, where it
    /// has none, the time are set here. Never waits: a subscriber that is too slow loses events,
    /// and nobody else does.
    ///
    /// # Errors
    ///
    /// `invalid_args` for an id that is empty or too long, `unavailable` when the channel was
    /// destroyed.
    pub fn publish(&self, event: ChannelEvent) -> Result<u64> {
        self.publish_from(subscriber(), event)
    }

    /// As [`Channel::publish`], by the function of the subscription `subscriber`: it is not given
    /// the responses that it publishes itself, which would take the place of requests to it.
    pub(crate) fn publish_from(
        &self,
        subscriber: Option<u64>,
        mut event: ChannelEvent,
    ) -> Result<u64> {
        if let Some(id) = &event.id {
            check_id(id)?;
        }
        event.channel = Arc::clone(&self.0.name);
        let wall = || self.0.clock.wall();
        event.metadata.timestamp.get_or_insert_with(wall);
        if event.id.is_some() {
            // Before the subscribers: one of them may answer at once.
            self.responses().take(&event);
        }
        let request = event.id.clone().filter(|_| event.kind == REQUEST);
        let except = subscriber.filter(|_| event.kind == RESPONSE);
        let published = self.0.events.publish_except(except, |_| event);
        let published = published.ok_or_else(|| self.destroyed("published to"))?;
        if let Some(id) = request {
            self.responses().published(&id, published.wanted);
        }
        self.note_lost(&published.lost);
        Ok(published.sequence)
    }

    /// Fails the waits for responses to requests that no subscriber has a place for.
    fn note_lost(&self, lost: &[Lost<ChannelEvent>]) {
        for Lost { item, capacity } in lost {
            if let Some(id) = item.id.as_deref().filter(|_| item.kind == REQUEST) {
                self.responses().lose(id, *capacity);
            }
        }
    }

    /// Subscribes to the events from now on. Dropping the answer ends the subscription; after
    /// [`Channel::destroy`] it gives what waits, and then the end.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a capacity out of range, `limit_exceeded` when there are too many
    /// subscriptions, `unavailable` when the channel was destroyed.
    pub fn subscribe(&self, options: QueueOptions) -> Result<ChannelSubscription> {
        if self.is_destroyed() {
            return Err(self.destroyed("subscribed to"));
        }
        self.0.events.try_subscribe(options, None)
    }

    /// Calls `function` with each event from now on, see [`listen`].
    ///
    /// # Errors
    ///
    /// Those of [`Channel::subscribe`].
    pub fn listen<F>(&self, options: QueueOptions, function: F) -> Result<Listener>
    where
        F: Fn(Arc<ChannelEvent>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        Ok(listen(self.subscribe(options)?, self.name(), function))
    }

    /// Waits for the response to the request `id`.
    ///
    /// One that came before is delivered too: a channel remembers its last responses, each until
    /// a new request has its id. All who wait for one id get the response.
    ///
    /// # Errors
    ///
    /// `timeout` after `timeout`; `cancelled` when the channel is destroyed; `limit_exceeded` when
    /// too many wait, and when the request was dropped because the queues of all subscribers were
    /// full; `invalid_args` for an id that is empty or too long.
    pub async fn wait_for_response(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<ChannelEvent>> {
        check_id(id)?;
        let begun = self.responses().begin_wait(id, self.name())?;
        self.finish_wait(begun, id, timeout).await
    }

    /// Publishes a request and waits for its response, which is waited for before anybody can
    /// answer.
    ///
    /// # Errors
    ///
    /// Those of [`Channel::publish`] and [`Channel::wait_for_response`].
    pub(crate) async fn request(
        &self,
        subscriber: Option<u64>,
        event: ChannelEvent,
        timeout: Option<Duration>,
    ) -> Result<Arc<ChannelEvent>> {
        let id = event.id.clone().unwrap_or_default();
        check_id(&id)?;
        if self.is_destroyed() {
            return Err(self.destroyed("published to"));
        }
        let begun = {
            let mut responses = self.responses();
            responses.forget(&id);
            responses.begin_wait(&id, self.name())?
        };
        // Polled first of all, so that a wait whose request cannot be published is forgotten.
        let mut waited = std::pin::pin!(self.finish_wait(begun, &id, timeout));
        if let Some(early) = (&mut waited).now_or_never() {
            return early;
        }
        self.publish_from(subscriber, event)?;
        waited.await
    }

    async fn finish_wait(
        &self,
        begun: Begun,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<ChannelEvent>> {
        let waiting = match begun {
            Begun::Answered(event) => return Ok(event),
            Begun::Lost(capacity) => return Err(self.lost(id, capacity)),
            Begun::Waiting(waiting) => waiting,
        };
        let forget = Forget {
            channel: self,
            id,
            number: waiting.number,
        };
        let answered = match timeout {
            None => waiting.answer.await,
            Some(timeout) => match select(waiting.answer, self.0.clock.sleep(timeout)).await {
                Either::Left((answered, _)) => answered,
                Either::Right(_) => return Err(self.timed_out(id, timeout)),
            },
        };
        drop(forget);
        let answered = answered.map_err(|_| {
            let message = format!(
                "the channel `{}` was destroyed while the response to `{id}` was awaited",
                self.name()
            );
            Error::new(ErrorKind::Cancelled, message)
                .with_hint("whoever destroys a channel ends its conversations")
        })?;
        answered.map_err(|capacity| self.lost(id, capacity))
    }

    fn lost(&self, id: &str, capacity: usize) -> Error {
        let message = format!(
            "the request `{id}` was dropped, because the queue of the subscriber to the channel \
             `{}` was full: its `capacity` is `{capacity}`",
            self.name()
        );
        let hint = format!(
            "subscribe with a larger `capacity`, up to {CAPACITY_MAX}, or ask less at once"
        );
        Error::new(ErrorKind::LimitExceeded, message).with_hint(hint)
    }

    fn timed_out(&self, id: &str, timeout: Duration) -> Error {
        let message = format!(
            "no response to `{id}` came on the channel `{}` within {} s",
            self.name(),
            timeout.as_secs_f64()
        );
        let hint = match self.subscriber_count() {
            0 => "nobody subscribes to the channel: open the front end or start what answers",
            _ => {
                "raise the time limit, or see why no subscriber answers (`stats()` of its subscription)"
            }
        };
        Error::new(ErrorKind::Timeout, message).with_hint(hint)
    }

    /// Whether a forked child can go on with it, see [`Broadcast::is_free`].
    pub(crate) fn is_free(&self) -> bool {
        self.0.events.is_free() && is_free(&self.0.responses)
    }

    /// What functions are given of it.
    pub(crate) fn backlogs(&self) -> Vec<Arc<dyn Backlog>> {
        self.0.events.backlogs()
    }

    /// How many subscriptions there are.
    pub fn subscriber_count(&self) -> usize {
        self.0.events.subscriber_count()
    }

    /// Whether nobody subscribes and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.subscriber_count() == 0 && !self.responses().has_waits()
    }

    /// How many handles of this channel there are.
    fn handle_count(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// How many responses that nobody had waited for were forgotten, because there were too many.
    pub fn lost_responses(&self) -> u64 {
        self.responses().lost()
    }

    /// Ends the channel: subscriptions end, waits for responses fail, and so does every later call.
    pub fn destroy(&self) {
        self.0.events.close();
        self.responses().close();
    }

    /// Whether it was destroyed.
    pub fn is_destroyed(&self) -> bool {
        self.0.events.is_closed()
    }

    fn destroyed(&self, what: &str) -> Error {
        let message = format!(
            "the channel `{}` was {what} after it was destroyed",
            self.name()
        );
        Error::new(ErrorKind::Unavailable, message).with_hint("open the channel again by its name")
    }

    fn responses(&self) -> MutexGuard<'_, Responses> {
        // A std mutex: it is never held across an await.
        self.0
            .responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that ends, however it does, is forgotten.
struct Forget<'a> {
    channel: &'a Channel,
    id: &'a str,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.channel.responses().end_wait(self.id, self.number);
    }
}

#[cfg(test)]
mod tests;
