//! The channels that a Context reaches: those of its user in its conversation, and no others.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;

use super::Context;
use crate::{
    Error, ErrorKind, Result, Value,
    broadcast::{Listener, QueueOptions, is_free, subscriber},
    channel::{Channel, ChannelEvent, ChannelSession},
    clock::Clock,
};

/// Metadata of a Context that names the conversation.
pub const CONVERSATION: &str = "conversation_id";

/// Most sessions that one host keeps at once.
pub const SESSIONS_MAX: usize = 10_000;

/// Finds channels by Context. A Context finds the channels of its own tenant, user and
/// conversation only.
pub trait ChannelService: fmt::Debug + Send + Sync {
    /// The session of the Context's user and conversation, made when there is none.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when there are too many sessions in use, `invalid_args` for a conversation
    /// that is no text and no whole number.
    fn session(&self, cx: &Context) -> Result<ChannelSession>;

    /// The session of the Context's user and conversation, if there is one.
    fn find_session(&self, cx: &Context) -> Option<ChannelSession>;

    /// Destroys the session of the Context with all its channels.
    fn destroy_session(&self, cx: &Context);

    /// Whether a forked child can go on with it: no thread of its parent was inside.
    fn is_free(&self) -> bool;
}

/// Whose channels: what tells two sessions apart.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Owner {
    tenant: Option<String>,
    user: String,
    conversation: String,
}

impl Owner {
    fn of(cx: &Context) -> Result<Self> {
        let conversation = match cx.metadata().get(CONVERSATION) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Int(number)) => number.to_string(),
            Some(other) => {
                let found = other.type_name();
                let message = format!("the metadata `{CONVERSATION}` is a text, not {found}");
                return Err(Error::invalid_args(message)
                    .with_hint("give the conversation a text as its identity"));
            }
        };
        Ok(Self {
            tenant: cx.principal().tenant_id.clone(),
            user: cx.principal().id.clone(),
            conversation,
        })
    }

    /// One text for all three, from which each can be read.
    fn id(&self) -> String {
        let escape = |part: &str| part.replace('%', "%25").replace('/', "%2F");
        let tenant = self.tenant.as_deref().map(escape);
        let tenant = tenant.map_or_else(|| "-".to_owned(), |it| format!("t-{it}"));
        format!(
            "{tenant}/{}/{}",
            escape(&self.user),
            escape(&self.conversation)
        )
    }
}

impl ChannelSession {
    /// The identity of the Context's session: tenant, user and conversation.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a conversation that is no text and no whole number.
    pub fn generate_id(cx: &Context) -> Result<String> {
        Owner::of(cx).map(|it| it.id())
    }
}

/// The channels of one host, session by session.
#[derive(Debug, Default)]
pub struct Channels {
    sessions: Mutex<HashMap<Owner, ChannelSession>>,
}

impl ChannelService for Channels {
    fn session(&self, cx: &Context) -> Result<ChannelSession> {
        let owner = Owner::of(cx)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&owner) {
            return Ok(session.clone());
        }
        if sessions.len() >= SESSIONS_MAX {
            // What nobody holds, listens to or waits for is made anew when it is asked for.
            sessions.retain(|_, session| !session.is_idle());
        }
        if sessions.len() >= SESSIONS_MAX {
            let message = format!("the channels of {SESSIONS_MAX} conversations are in use");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("destroy the channels of conversations that are over"));
        }
        let clock: Arc<dyn Clock> = Arc::clone(cx.clock());
        let session = ChannelSession::new(owner.id(), clock);
        sessions.insert(owner, session.clone());
        Ok(session)
    }

    fn find_session(&self, cx: &Context) -> Option<ChannelSession> {
        let owner = Owner::of(cx).ok()?;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&owner).cloned()
    }

    fn is_free(&self) -> bool {
        is_free(&self.sessions) && {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.values().all(ChannelSession::is_free)
        }
    }

    fn destroy_session(&self, cx: &Context) {
        let Ok(owner) = Owner::of(cx) else { return };
        let removed = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.remove(&owner)
        };
        if let Some(session) = removed {
            session.destroy();
        }
    }
}

impl Context {
    /// The channels of this Context's user and conversation.
    ///
    /// # Errors
    ///
    /// `unavailable` where the host has no channels; those of [`ChannelService::session`].
    pub fn channel_session(&self) -> Result<ChannelSession> {
        let service = self.channels().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "there are no channels here")
                .with_hint("give the root Context a service of channels, `Overrides.channels`")
        })?;
        service.session(self)
    }

    /// The channel `name` of this Context's user and conversation, made when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Context::channel_session`] and [`ChannelSession::get_channel`].
    pub fn get_channel(&self, name: &str) -> Result<Channel> {
        self.channel_session()?.get_channel(name)
    }

    /// As [`Context::get_channel`]; `None` where the host has no channels.
    ///
    /// # Errors
    ///
    /// Those of [`ChannelService::session`] and [`ChannelSession::get_channel`].
    pub fn try_get_channel(&self, name: &str) -> Result<Option<Channel>> {
        match self.channels() {
            Some(service) => service.session(self)?.get_channel(name).map(Some),
            None => Ok(None),
        }
    }

    /// Publishes to a channel, with the current procedure as source and its execution, where the
    /// event names none.
    ///
    /// # Errors
    ///
    /// Those of [`Context::get_channel`] and [`Channel::publish`].
    pub fn publish_channel(&self, name: &str, event: ChannelEvent) -> Result<u64> {
        self.publish_on(&self.get_channel(name)?, event)
    }

    /// As [`Context::publish_channel`], to a channel that is at hand.
    ///
    /// # Errors
    ///
    /// Those of [`Channel::publish`].
    pub fn publish_on(&self, channel: &Channel, mut event: ChannelEvent) -> Result<u64> {
        self.attribute(&mut event);
        channel.publish_from(self.subscriber().or_else(subscriber), event)
    }

    fn attribute(&self, event: &mut ChannelEvent) {
        let metadata = &mut event.metadata;
        let source = || self.node().map(|node| node.name.to_string());
        metadata.source = metadata.source.take().or_else(source);
        let execution = || self.execution_id();
        metadata.execution_id = metadata.execution_id.take().or_else(execution);
        metadata.tick = metadata.tick.or_else(|| self.tick());
        event.request_id = Some(Arc::clone(&self.0.shared.request_id));
    }

    /// Calls `function` with each event of a channel from now on, see [`Channel::listen`].
    ///
    /// # Errors
    ///
    /// Those of [`Context::get_channel`] and [`Channel::subscribe`].
    pub fn subscribe_channel<F>(&self, name: &str, function: F) -> Result<Listener>
    where
        F: Fn(Arc<ChannelEvent>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        self.get_channel(name)?
            .listen(QueueOptions::default(), function)
    }

    /// Waits for the response to the request `id` on a channel, but not longer than this Context
    /// may.
    ///
    /// # Errors
    ///
    /// Those of [`Context::get_channel`], [`Channel::wait_for_response`] and [`Context::within`].
    pub async fn wait_for_response(
        &self,
        name: &str,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<ChannelEvent>> {
        let channel = self.get_channel(name)?;
        self.within(channel.wait_for_response(id, timeout)).await?
    }

    /// Publishes a request and waits for its response; the request gets an id where it has none.
    ///
    /// # Errors
    ///
    /// Those of [`Channel::publish`], [`Channel::wait_for_response`] and [`Context::within`].
    pub async fn request_on(
        &self,
        channel: &Channel,
        mut event: ChannelEvent,
        timeout: Option<Duration>,
    ) -> Result<Arc<ChannelEvent>> {
        let new_id = || self.clock().uuid().simple().to_string();
        event.id.get_or_insert_with(new_id);
        self.attribute(&mut event);
        let publisher = self.subscriber().or_else(subscriber);
        self.within(channel.request(publisher, event, timeout))
            .await?
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        context::{Overrides, Principal},
        io,
        value::Map,
    };

    fn service() -> Arc<dyn ChannelService> {
        Arc::new(Channels::default())
    }

    fn context(
        channels: &Arc<dyn ChannelService>,
        (tenant, user, conversation): (Option<&str>, &str, Value),
    ) -> Context {
        Context::create(Overrides {
            principal: Some(Principal {
                id: user.to_owned(),
                tenant_id: tenant.map(str::to_owned),
                roles: Vec::new(),
            }),
            metadata: Map::from_iter([(CONVERSATION.to_owned(), conversation)]),
            channels: Some(Arc::clone(channels)),
            ..Overrides::default()
        })
    }

    #[test]
    fn a_context_finds_the_channels_of_its_tenant_user_and_conversation_alone() {
        let channels = service();
        let owners = [
            (None, "ada", Value::Null),
            (None, "ada", Value::from("1")),
            (None, "ada/1", Value::Null),
            (None, "bob", Value::from("1")),
            (Some("acme"), "ada", Value::from("1")),
            (Some(""), "ada", Value::from("1")),
            (Some("-"), "ada", Value::from("1")),
            (Some("acme/ada"), "", Value::from("1")),
            (Some("acme%2Fada"), "", Value::from("1")),
        ];
        let contexts = owners.map(|owner| context(&channels, owner));
        let found = contexts.each_ref().map(|cx| cx.get_channel("it").unwrap());
        let mut subscriptions = found
            .each_ref()
            .map(|it| it.subscribe(QueueOptions::default()).unwrap());
        for (place, cx) in contexts.iter().enumerate() {
            let event = ChannelEvent::new("x", Value::from(place));
            cx.child(Overrides::default())
                .publish_channel(" IT", event)
                .unwrap();
        }
        for (place, subscription) in subscriptions.iter_mut().enumerate() {
            assert_eq!(subscription.try_next().unwrap().payload, Value::from(place));
            assert!(subscription.try_next().is_none());
        }
        let mut ids: Vec<_> = contexts
            .iter()
            .map(|cx| ChannelSession::generate_id(cx).unwrap())
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), contexts.len());
        // The number of a conversation is the same as its text.
        assert_eq!(
            context(&channels, (None, "ada", Value::Int(1)))
                .get_channel("it")
                .unwrap()
                .subscriber_count(),
            1
        );
    }

    #[test]
    fn without_a_service_there_are_no_channels() {
        let cx = Context::default();
        assert!(cx.try_get_channel("x").unwrap().is_none());
        let error = cx.get_channel("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let wrong = context(&service(), (None, "ada", Value::Bool(true)));
        assert_eq!(
            wrong.get_channel("x").unwrap_err().kind(),
            ErrorKind::InvalidArgs
        );
    }

    #[test]
    fn a_wait_ends_with_its_context() {
        let cx = context(&service(), (None, "ada", Value::Null));
        let cancelled = cx.child(Overrides::default());
        let waiting = cancelled.clone();
        let mut wait = Box::pin(async move { waiting.wait_for_response("x", "1", None).await });
        assert!((&mut wait).now_or_never().is_none());
        cancelled.cancel(ErrorKind::Interrupted, "stop was pressed");
        let error = wait.now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        let late = cx.child(Overrides {
            timeout: Some(Duration::from_millis(5)),
            ..Overrides::default()
        });
        let waited = io::wait(
            async move { late.wait_for_response("x", "1", None).await },
            || Ok(()),
        );
        assert_eq!(waited.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        assert!(cx.get_channel("x").unwrap().is_idle());
    }

    #[test]
    fn a_request_gets_an_id_and_its_own_response() {
        let cx = context(&service(), (None, "ada", Value::Null));
        let answering = cx.clone();
        let listener = cx.subscribe_channel("x", move |event| {
            let answering = answering.clone();
            Box::pin(async move {
                let Some(id) = event.id.clone().filter(|_| event.kind == "request") else {
                    return Ok(());
                };
                let response = ChannelEvent::response(id, event.payload.clone());
                answering.publish_channel("x", response).map(drop)
            })
        });
        let _listener = listener.unwrap();
        let asking = cx.clone();
        let answer = io::wait(
            async move {
                let channel = asking.get_channel("x")?;
                let event = ChannelEvent::new("request", Value::Int(5));
                asking.request_on(&channel, event, None).await
            },
            || Ok(()),
        );
        assert_eq!(answer.unwrap().unwrap().payload, Value::Int(5));
    }

    #[test]
    fn sessions_are_bounded_and_a_destroyed_one_begins_anew() {
        let channels = Channels::default();
        let cx = context(&service(), (None, "ada", Value::Null));
        let kept = channels.session(&cx).unwrap();
        let channel = kept.get_channel("x").unwrap();
        for number in 1..=SESSIONS_MAX {
            let other = context(&service(), (None, "ada", Value::from(number)));
            channels.session(&other).unwrap();
        }
        // Idle ones made room; the one that is held stayed.
        assert!(channels.sessions.lock().unwrap().len() <= SESSIONS_MAX);
        assert_eq!(channels.session(&cx).unwrap().channel_names(), ["x"]);
        channels.destroy_session(&cx);
        assert!(channel.is_destroyed());
        assert!(channels.session(&cx).unwrap().channel_names().is_empty());
    }
}
