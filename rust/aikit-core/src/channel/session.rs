//! The channels of one user in one conversation.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Channel, normalize_name};
use crate::{
    Error, ErrorKind, Result, Value,
    broadcast::{Backlog, is_free},
    clock::Clock,
};

/// Most channels of one session.
pub const CHANNELS_MAX: usize = 1_000;

/// The channels of one user in one conversation. Cheap to clone; all clones are the same session.
#[derive(Clone, Debug)]
pub struct ChannelSession(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    clock: Arc<dyn Clock>,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl ChannelSession {
    /// A session without channels.
    pub fn new(id: String, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            id,
            clock,
            channels: Mutex::default(),
        }))
    }

    /// Whose it is: tenant, user and conversation.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The channel `name`, made when there is none. One that was destroyed is made anew.
    ///
    /// # Errors
    ///
    /// Those of [`normalize_name`]; `limit_exceeded` when there are too many channels in use.
    pub fn get_channel(&self, name: &str) -> Result<Channel> {
        let name = normalize_name(name)?;
        let mut channels = self.channels();
        if let Some(channel) = channels.get(&name).filter(|it| !it.is_destroyed()) {
            return Ok(channel.clone());
        }
        if channels.len() >= CHANNELS_MAX {
            // What nobody holds, listens to or waits for is made anew when it is asked for.
            channels.retain(|_, it| it.handle_count() > 1 || !it.is_idle());
        }
        if channels.len() >= CHANNELS_MAX {
            let message = format!("the session has {CHANNELS_MAX} channels in use");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("destroy those that are no longer needed"));
        }
        let channel = Channel::new(&name, Arc::clone(&self.0.clock))?;
        channels.insert(name, channel.clone());
        Ok(channel)
    }

    /// The channel `name`, if there is one.
    pub fn find_channel(&self, name: &str) -> Option<Channel> {
        let name = normalize_name(name).ok()?;
        let channels = self.channels();
        channels.get(&name).filter(|it| !it.is_destroyed()).cloned()
    }

    /// Names of the channels, in order.
    pub fn channel_names(&self) -> Vec<String> {
        let channels = self.channels();
        let live = channels.iter().filter(|(_, it)| !it.is_destroyed());
        live.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a forked child can go on with it, see
    /// [`Broadcast::is_free`](crate::broadcast::Broadcast::is_free).
    pub(crate) fn is_free(&self) -> bool {
        is_free(&self.0.channels) && self.channels().values().all(Channel::is_free)
    }

    /// What functions are given of its channels.
    pub(crate) fn backlogs(&self) -> Vec<Arc<dyn Backlog>> {
        let channels: Vec<_> = self.channels().values().cloned().collect();
        channels.iter().flat_map(Channel::backlogs).collect()
    }

    /// The session as scripts and programs see it: `id`, and `channels`, their names.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("id", Value::from(self.id())),
            ("channels", Value::from(self.channel_names())),
        ])
    }

    /// Destroys the channel `name`; answers whether there was one.
    pub fn remove_channel(&self, name: &str) -> bool {
        let removed = normalize_name(name)
            .ok()
            .and_then(|name| self.channels().remove(&name));
        // Outside the lock: it wakes others.
        removed.is_some_and(|channel| {
            let was_there = !channel.is_destroyed();
            channel.destroy();
            was_there
        })
    }

    /// Destroys every channel.
    pub fn destroy(&self) {
        let channels = std::mem::take(&mut *self.channels());
        channels.values().for_each(Channel::destroy);
    }

    /// Whether nobody holds, listens to or waits for any of its channels.
    pub(crate) fn is_idle(&self) -> bool {
        let channels = self.channels();
        let mut channels = channels.values();
        Arc::strong_count(&self.0) == 1 && channels.all(|it| it.handle_count() == 1 && it.is_idle())
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<String, Channel>> {
        // A std mutex: it is never held across an await.
        self.0
            .channels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
