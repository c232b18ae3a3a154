//! Events: facts that others observe, and the bus that carries them.

mod log;
mod pattern;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use self::{
    log::EventLog,
    pattern::{NAME_BYTES_MAX, Pattern, dotted},
};
use crate::{
    Error, Result,
    broadcast::{Backlog, Broadcast, BroadcastSubscription, Listener, QueueOptions, Weigh, listen},
    clock::UnixMicros,
    value::Value,
};

// One row per event, so that a name is written once.
macro_rules! event_kinds {
    ($($(#[$doc:meta])+ $kind:ident => $name:literal,)+) => {
        /// What happened.
        #[derive(Clone, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])+ $kind,)+
            /// An event of a script or a program, by its dotted name.
            Custom(String),
        }

        impl EventKind {
            /// Names of aikit's own events, in the order of the reference page.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Dotted name that subscriptions match.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Custom(name) => name,
                }
            }
        }
    };
}

event_kinds! {
    /// A procedure began.
    ProcedureStart => "procedure.start",
    /// A procedure ended well.
    ProcedureEnd => "procedure.end",
    /// A procedure failed or was cancelled.
    ProcedureError => "procedure.error",
    /// A generator handed something out: `{index, value}`.
    StreamChunk => "stream.chunk",
    /// A policy took a decision.
    PolicyDecision => "policy.decision",
    /// A piece of text of an agent's model arrived.
    AgentTextDelta => "agent.text.delta",
    /// An agent's model asked for a tool.
    AgentToolCall => "agent.tool.call",
    /// A tool of an agent answered.
    AgentToolResult => "agent.tool.result",
    /// An agent's run used tokens.
    AgentUsage => "agent.usage",
    /// An ingest finished a document.
    IngestProgress => "rag.ingest.progress",
    /// An index that is derived from stored rows failed or was damaged and was made anew.
    IndexRebuilt => "rag.index.rebuilt",
    /// A hook failed or took too long; the call it was asked for went on, unless it is required.
    HookFailed => "hook.failed",
    /// A hook kept failing and was switched off.
    HookDisabled => "hook.disabled",
    /// Events were not kept, because there were too many or the store failed.
    EventsLost => "events.lost",
}

impl EventKind {
    /// An event of a script or a program; a colon in its name is a dot, see [`dotted`].
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no dotted name, or the name of an event of aikit itself, which
    /// only aikit publishes.
    pub fn custom(name: &str) -> Result<Self> {
        pattern::check_name("name of an event", name)?;
        let dotted = dotted(name);
        if Self::NAMES.contains(&&*dotted) {
            let message = format!("`{name}` is an event of aikit itself");
            return Err(Error::invalid_args(message)
                .with_hint("give the event a name of your own, such as `build.step.done`"));
        }
        if name.contains('*') {
            let message = format!("the name of an event `{name}` has a `*`");
            return Err(Error::invalid_args(message)
                .with_hint("`*` and `**` stand in patterns of subscriptions only"));
        }
        Ok(Self::Custom(dotted.into_owned()))
    }
}

/// A fact: what happened, when, and in which request.
#[derive(Clone, Debug)]
pub struct Event {
    /// Position on its bus, from 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub kind: EventKind,
    /// When it was published.
    pub time: UnixMicros,
    /// Request it belongs to.
    pub request_id: Arc<str>,
    /// W3C trace id of the request.
    pub trace_id: Arc<str>,
    /// Execution it belongs to, when one runs.
    pub execution_id: Option<String>,
    /// Who published it, when known: a procedure's name.
    pub source: Option<String>,
    /// What belongs to the fact.
    pub data: Value,
}

impl Event {
    /// The event as scripts and programs see it; `time` is in seconds since 1970-01-01 UTC.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("kind", Value::from(self.kind.name())),
            ("data", self.data.clone()),
            ("sequence", Value::from(self.sequence)),
            ("time", Value::from(seconds(self.time))),
            ("source", Value::from(self.source.clone())),
            ("request_id", Value::from(&*self.request_id)),
            ("trace_id", Value::from(&*self.trace_id)),
            ("execution_id", Value::from(self.execution_id.clone())),
        ])
    }
}

impl Weigh for Event {
    fn weight(&self) -> usize {
        let texts = [self.source.as_deref(), self.execution_id.as_deref()];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        size_of::<Self>() + self.kind.name().len() + texts + self.data.footprint()
    }
}

/// A point in time as scripts and programs see it.
pub fn seconds(time: UnixMicros) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of this century fit in 53 bits"
    )]
    let micros = time as f64;
    micros / 1e6
}

/// Carries events to whoever asked; publishing never waits.
#[derive(Debug, Default)]
pub struct EventBus(Broadcast<Event>);

impl EventBus {
    /// Whether somebody listens, so that a publisher can spare building data.
    pub fn has_subscribers(&self) -> bool {
        self.0.subscriber_count() > 0
    }

    /// Publishes an event; its sequence number is set here and returned.
    pub fn publish(&self, mut event: Event) -> u64 {
        self.publish_with(|sequence| {
            event.sequence = sequence;
            event
        })
    }

    /// Publishes what `make` makes of the next sequence number, which is returned. Nothing is made
    /// when nobody listens.
    pub fn publish_with(&self, make: impl FnOnce(u64) -> Event) -> u64 {
        // A bus is closed with its last owner only.
        self.0.publish(make).unwrap_or_default()
    }

    /// Listens to events whose dotted name fits `pattern`: `*` stands for one part of the name,
    /// `**` for any number of parts.
    pub fn subscribe(&self, pattern: &str) -> Subscription {
        let options = QueueOptions::default();
        Subscription(
            self.0
                .subscribe(options, Some(filter(vec![Pattern::new(pattern)]))),
        )
    }

    /// Listens to events that fit one of the patterns, with a queue as wanted.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a pattern that no name fits and a capacity out of range,
    /// `limit_exceeded` when there are too many subscriptions.
    pub fn try_subscribe<'a>(
        &self,
        patterns: impl IntoIterator<Item = &'a str>,
        options: QueueOptions,
    ) -> Result<Subscription> {
        let patterns: Result<Vec<Pattern>> = patterns.into_iter().map(Pattern::parse).collect();
        let subscription = self.0.try_subscribe(options, Some(filter(patterns?)))?;
        Ok(Subscription(subscription))
    }

    /// Whether a forked child can go on with it, see [`Broadcast::is_free`].
    pub fn is_free(&self) -> bool {
        self.0.is_free()
    }

    /// What functions are given of it.
    pub(crate) fn backlogs(&self) -> Vec<Arc<dyn Backlog>> {
        self.0.backlogs()
    }
}

type Filter = Box<dyn Fn(&Event) -> bool + Send + Sync>;

fn filter(patterns: Vec<Pattern>) -> Filter {
    let fits = move |event: &Event| patterns.iter().any(|it| it.matches(event.kind.name()));
    Box::new(fits)
}

/// One listener's queue; dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription(BroadcastSubscription<Event>);

impl Subscription {
    /// The next event; waits for one.
    pub async fn next(&mut self) -> Arc<Event> {
        match self.0.next().await {
            Some(event) => event,
            // The bus is gone: nothing comes any more.
            None => std::future::pending().await,
        }
    }

    /// The next event that is already here.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.0.try_next()
    }

    /// How many events this listener lost because it was slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Calls `function` with each event, see [`listen`]; `name` is for log lines.
    pub fn listen<F>(self, name: &str, function: F) -> Listener
    where
        F: Fn(Arc<Event>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        listen(self.0, name, function)
    }

    /// The queue itself, which several may read, and which ends with the bus.
    pub fn into_queue(self) -> BroadcastSubscription<Event> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, broadcast::CAPACITY};

    fn event(name: &str) -> Event {
        Event {
            sequence: 0,
            kind: EventKind::Custom(name.to_owned()),
            time: 0,
            request_id: Arc::from("r"),
            trace_id: Arc::from("t"),
            execution_id: None,
            source: None,
            data: Value::Null,
        }
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_knows_how_many() {
        let bus = EventBus::default();
        let mut slow = bus.subscribe("**");
        for _ in 0..CAPACITY + 3 {
            bus.publish(event("x"));
        }
        assert_eq!((slow.dropped(), slow.try_next().unwrap().sequence), (3, 4));
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let bus = EventBus::default();
        drop(bus.subscribe("**"));
        assert!(!bus.has_subscribers());
        assert_eq!(bus.publish(event("x")), 1);
    }

    #[test]
    fn each_subscription_has_its_patterns_its_bound_and_its_policy() {
        let bus = EventBus::default();
        let options = QueueOptions {
            capacity: 1,
            drop: crate::broadcast::DropPolicy::Newest,
        };
        let mut some = bus.try_subscribe(["a.*", "b"], options).unwrap();
        for name in ["a.x", "c", "b", "a.x.y"] {
            bus.publish(event(name));
        }
        assert_eq!((some.try_next().unwrap().sequence, some.dropped()), (1, 1));
        assert!(bus.try_subscribe(["a..b"], options).is_err());
    }

    #[test]
    fn scripts_name_events_of_their_own_and_not_those_of_aikit() {
        assert_eq!(
            EventKind::custom("build.done").unwrap().name(),
            "build.done"
        );
        assert_eq!(EventKind::custom("a:b.c").unwrap().name(), "a.b.c");
        for wrong in [
            "policy.decision",
            "procedure.start",
            "procedure:start",
            "",
            "a..b",
            "a:",
            "a.*",
        ] {
            let error = EventKind::custom(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs);
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
