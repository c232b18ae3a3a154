//! Events: facts that others observe, and the bus that carries them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{clock::UnixMicros, value::Value};

/// Events that wait for one slow subscriber; the oldest is dropped beyond this.
const QUEUE_MAX: usize = 1024;

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
    /// Who published it, when known: a procedure's name.
    pub source: Option<String>,
    /// What belongs to the fact.
    pub data: Value,
}

/// Carries events to whoever asked; publishing never waits.
#[derive(Debug, Default)]
pub struct EventBus {
    sequence: AtomicU64,
    queues: Mutex<Vec<Weak<Queue>>>,
}

#[derive(Debug)]
struct Queue {
    pattern: Vec<String>,
    events: Mutex<VecDeque<Arc<Event>>>,
    arrived: Notify,
    dropped: AtomicU64,
}

impl EventBus {
    /// Whether somebody listens, so that a publisher can spare building data.
    pub fn has_subscribers(&self) -> bool {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().any(|queue| queue.strong_count() > 0)
    }

    /// Publishes an event; its sequence number is set here and returned.
    pub fn publish(&self, mut event: Event) -> u64 {
        // The lock is held while numbering, so every subscriber sees the numbers in order.
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        event.sequence = sequence;
        queues.retain(|queue| queue.strong_count() > 0);
        let event = Arc::new(event);
        for queue in queues.iter().filter_map(Weak::upgrade) {
            if matches(&queue.pattern, event.kind.name()) {
                queue.push(Arc::clone(&event));
            }
        }
        sequence
    }

    /// Listens to events whose dotted name fits `pattern`: `*` stands for one part of the name,
    /// `**` for any number of parts.
    pub fn subscribe(&self, pattern: &str) -> Subscription {
        let queue = Arc::new(Queue {
            pattern: pattern.split('.').map(str::to_owned).collect(),
            events: Mutex::default(),
            arrived: Notify::new(),
            dropped: AtomicU64::new(0),
        });
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Here too: nobody may publish while many come and go.
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Subscription(queue)
    }
}

impl Queue {
    fn push(&self, event: Arc<Event>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == QUEUE_MAX {
            events.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        events.push_back(event);
        self.arrived.notify_one();
    }
}

/// One listener's queue; dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription(Arc<Queue>);

impl Subscription {
    /// The next event; waits for one.
    pub async fn next(&mut self) -> Arc<Event> {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next event that is already here.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.0
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// How many events this listener lost because it was slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// Everything one operation published, kept for readers that come late.
#[derive(Debug, Default)]
pub struct EventLog {
    state: Mutex<LogState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LogState {
    events: VecDeque<Arc<Event>>,
    /// Events forgotten at the front; positions count from the very first.
    forgotten: u64,
    closed: bool,
}

/// Events one operation keeps; the oldest is forgotten beyond this.
const LOG_MAX: usize = 65_536;

impl EventLog {
    /// Adds an event; its sequence is its position here.
    pub fn push(&self, mut event: Event) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.closed {
                return;
            }
            if state.events.len() == LOG_MAX {
                state.events.pop_front();
                state.forgotten += 1;
            }
            event.sequence = state.forgotten + state.events.len() as u64 + 1;
            state.events.push_back(Arc::new(event));
        }
        self.changed.notify_waiters();
    }

    /// Ends the log: readers finish when they have read what is there.
    pub fn close(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.changed.notify_waiters();
    }

    /// The first event after position `after` (0 for the start); waits for one. `None` when the
    /// operation has ended and everything was read.
    pub async fn next(&self, after: u64) -> Option<Arc<Event>> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let index = usize::try_from(after.saturating_sub(state.forgotten)).ok()?;
                if let Some(event) = state.events.get(index) {
                    return Some(Arc::clone(event));
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }
}

fn matches(pattern: &[String], name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    matches_parts(pattern, &parts)
}

fn matches_parts(pattern: &[String], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            (0..=parts.len()).any(|skip| matches_parts(rest, &parts[skip..]))
        }
        (Some((first, rest)), Some((part, others))) => {
            (first == "*" || first == part) && matches_parts(rest, others)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Event {
        Event {
            sequence: 0,
            kind: EventKind::Custom(name.to_owned()),
            time: 0,
            request_id: Arc::from("r"),
            source: None,
            data: Value::Null,
        }
    }

    #[test]
    fn patterns_match_parts_of_a_dotted_name() {
        let cases = [
            ("**", "a.b.c", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.**", "a", true),
            ("a.**.d", "a.b.c.d", true),
            ("*", "a.b", false),
            ("a.b", "a.b", true),
        ];
        for (pattern, name, expected) in cases {
            let pattern: Vec<String> = pattern.split('.').map(str::to_owned).collect();
            assert_eq!(matches(&pattern, name), expected, "{pattern:?} {name}");
        }
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_knows_how_many() {
        let bus = EventBus::default();
        let mut slow = bus.subscribe("**");
        for _ in 0..QUEUE_MAX + 3 {
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
    fn subscriptions_that_come_and_go_take_no_room() {
        let bus = EventBus::default();
        for _ in 0..100 {
            drop(bus.subscribe("**"));
        }
        let _kept = bus.subscribe("**");
        assert_eq!(bus.queues.lock().unwrap().len(), 1);
    }
}
