//! The iopub socket (XPUB): broadcasts to every subscriber at its own pace.
//!
//! Why not the `zeromq` crate: docs/decisions/0002-iopub.md.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{Result, clock::Clock};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tracing::warn;

use super::{
    peer::Peer,
    server::{Handler, Server},
    zmtp::{self, Received, Role},
};
use crate::{
    connection::Endpoint,
    wire::{
        Content,
        frame::Codec,
        status::{ExecutionState, IopubWelcome, Status},
    },
};

/// A subscriber sends subscriptions only.
const MESSAGE_BYTES_MAX: usize = 1 << 12;
/// Most subscriptions of one subscriber; clients have one.
const TOPICS_MAX: usize = 256;
/// All its topics together.
const TOPICS_BYTES_MAX: usize = 1 << 14;
/// A cell that prints waits while a subscriber that reads has more than this to read.
const BACKLOG_BYTES: usize = 1 << 23;
/// How long a slow subscriber is looked at before it is judged.
const JUDGE_WINDOW: Duration = Duration::from_millis(500);
/// A subscriber that reads less than this in [`JUDGE_WINDOW`] while much waits is stuck: nobody
/// waits for it any more.
const PROGRESS_BYTES: u64 = 1 << 18;
/// A stuck subscriber for which more than this waits is disconnected.
const STUCK_BYTES_MAX: usize = 1 << 26;

/// The bound iopub socket.
#[derive(Debug)]
pub struct IoPub {
    server: Server,
    hub: Arc<Hub>,
}

#[derive(Debug)]
struct Hub {
    codec: Arc<Codec>,
    state: Mutex<State>,
    /// Told when the first subscriber was welcomed.
    welcomed: Notify,
}

#[derive(Debug, Default)]
struct State {
    subscribers: HashMap<u64, Subscriber>,
    /// Requests that are being handled.
    busy: usize,
    /// Whether anybody ever subscribed.
    welcomed: bool,
}

#[derive(Debug)]
struct Subscriber {
    peer: Arc<Peer>,
    /// Prefixes of the topics it wants.
    topics: Vec<Bytes>,
    stuck: bool,
}

impl IoPub {
    /// Binds `endpoint` and starts to accept subscribers.
    pub(super) async fn bind(
        endpoint: &Endpoint,
        codec: Arc<Codec>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let role = Role {
            name: "XPUB",
            peers: &["SUB", "XSUB"],
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let (state, welcomed) = (Mutex::default(), Notify::new());
        let hub = Arc::new(Hub {
            codec,
            state,
            welcomed,
        });
        let server = Server::bind(endpoint, role, clock, Arc::clone(&hub) as _).await?;
        Ok(Self { server, hub })
    }

    /// Broadcasts a message whose parent header is `parent`, byte for byte; never waits.
    pub fn publish(&self, parent: &Bytes, content: &Content) {
        let mut state = self.hub.state();
        if let Content::Status(status) = content {
            match status.execution_state {
                ExecutionState::Busy => state.busy += 1,
                ExecutionState::Idle => state.busy = state.busy.saturating_sub(1),
                ExecutionState::Starting => {}
            }
        }
        // Encoded under the lock, so that the order is the same for everybody.
        let topic = self.hub.topic(content);
        let message = self.hub.message(&topic, parent, content);
        for subscriber in state.subscribers.values_mut() {
            if subscriber.wants(&topic) {
                subscriber.push(message.clone());
            }
        }
    }

    /// Waits until a subscriber was welcomed, at most `limit`.
    pub async fn wait_for_subscriber(&self, limit: Duration) {
        let welcomed = self.hub.welcomed.notified();
        if !self.hub.state().welcomed {
            // Without a subscriber there is nobody to be told.
            let _nobody = tokio::time::timeout(limit, welcomed).await;
        }
    }

    /// Waits while a subscriber that reads has too much to read; one that does not read holds
    /// nobody for longer than half a second.
    pub async fn room(&self) {
        while let Some((number, written)) = self.hub.slowest() {
            let caught_up = async {
                loop {
                    let progress = self.server.progress().notified();
                    if !self.hub.is_slow(number) {
                        return;
                    }
                    progress.await;
                }
            };
            if tokio::time::timeout(JUDGE_WINDOW, caught_up).await.is_err() {
                self.hub.judge(number, written);
            }
        }
    }

    /// Waits until every message was handed to the operating system, at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        self.server.flush(limit).await;
    }

    /// Closes the address and every connection.
    pub(super) async fn close(&self) {
        self.server.close().await;
    }

    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }
}

impl Subscriber {
    fn wants(&self, topic: &[u8]) -> bool {
        self.topics.iter().any(|prefix| topic.starts_with(prefix))
    }

    fn push(&mut self, message: Bytes) {
        let backlog = self.peer.backlog();
        if backlog.bytes <= BACKLOG_BYTES {
            self.stuck = false;
        } else if self.stuck && backlog.bytes > STUCK_BYTES_MAX {
            warn!("a subscriber does not read its messages and is disconnected");
            self.peer.close();
        }
        self.peer.push(message);
    }
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // A plain mutex: it is never held across an await.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topic(&self, content: &Content) -> Bytes {
        format!("kernel.{}.{}", self.codec.session(), content.msg_type()).into()
    }

    fn message(&self, topic: &Bytes, parent: &Bytes, content: &Content) -> Bytes {
        let topic = std::slice::from_ref(topic);
        zmtp::encode(&self.codec.encode(topic, parent, content).frames)
    }

    /// A subscriber to wait for, and what it has read so far.
    fn slowest(&self) -> Option<(u64, u64)> {
        let state = self.state();
        let waited_for = state.subscribers.iter().filter(|(_, it)| !it.stuck);
        let backlogs = waited_for.map(|(number, it)| (number, it.peer.backlog()));
        let slowest = backlogs.max_by_key(|(_, backlog)| backlog.bytes);
        let slowest = slowest.filter(|(_, backlog)| backlog.bytes > BACKLOG_BYTES);
        slowest.map(|(number, backlog)| (*number, backlog.written))
    }

    fn is_slow(&self, number: u64) -> bool {
        let state = self.state();
        let subscriber = state.subscribers.get(&number);
        subscriber.is_some_and(|it| it.peer.backlog().bytes > BACKLOG_BYTES)
    }

    fn judge(&self, number: u64, written_before: u64) {
        if let Some(subscriber) = self.state().subscribers.get_mut(&number) {
            let read = subscriber.peer.backlog().written - written_before;
            subscriber.stuck = read < PROGRESS_BYTES;
        }
    }

    fn subscribe(&self, peer: &Arc<Peer>, topic: &Bytes) {
        // JEP 65: a subscription that is not UTF-8 is ignored; no topic of ours begins with it.
        let Ok(subscription) = std::str::from_utf8(topic).map(str::to_owned) else {
            return;
        };
        let mut state = self.state();
        let first = !state.welcomed;
        let execution_state = if state.busy > 0 {
            ExecutionState::Busy
        } else {
            ExecutionState::Idle
        };
        let Some(subscriber) = state.subscribers.get_mut(&peer.number) else {
            return;
        };
        let topics_bytes: usize = subscriber.topics.iter().map(Bytes::len).sum();
        if subscriber.topics.len() >= TOPICS_MAX || topics_bytes + topic.len() > TOPICS_BYTES_MAX {
            warn!("a subscriber has too many topics and is disconnected");
            subscriber.peer.close();
            return;
        }
        let nobody = Bytes::new();
        // Its topic is the subscription, or the subscriber's own filter would drop it.
        let welcome = self.message(topic, &nobody, &IopubWelcome { subscription }.into());
        subscriber.peer.stay();
        // A copy: the command it is a part of need not be kept.
        subscriber.topics.push(Bytes::copy_from_slice(topic));
        subscriber.peer.answer(welcome);
        if first {
            // A client that started us too slowly to see the first states sees them now.
            for execution_state in [ExecutionState::Starting, execution_state] {
                let status = Content::from(Status { execution_state });
                let topic = self.topic(&status);
                if subscriber.wants(&topic) {
                    subscriber
                        .peer
                        .answer(self.message(&topic, &nobody, &status));
                }
            }
            state.welcomed = true;
            drop(state);
            self.welcomed.notify_waiters();
        }
    }

    fn cancel(&self, peer: &Peer, topic: &[u8]) {
        if let Some(subscriber) = self.state().subscribers.get_mut(&peer.number)
            && let Some(index) = subscriber.topics.iter().position(|it| it == topic)
        {
            subscriber.topics.swap_remove(index);
        }
    }
}

impl Handler for Hub {
    fn joined(&self, peer: &Arc<Peer>) {
        let subscriber = Subscriber {
            peer: Arc::clone(peer),
            topics: Vec::new(),
            stuck: false,
        };
        self.state().subscribers.insert(peer.number, subscriber);
    }

    fn received<'a>(&'a self, peer: &'a Arc<Peer>, received: Received) -> BoxFuture<'a, ()> {
        match received {
            // ZMTP 3.0: a message of one frame, 1 or 0 and the topic.
            Received::Message(mut frames) if frames.len() == 1 => {
                let mut frame = frames.remove(0);
                let topic = frame.split_off(frame.len().min(1));
                match frame.first() {
                    Some(1) => self.subscribe(peer, &topic),
                    Some(0) => self.cancel(peer, &topic),
                    _ => {}
                }
            }
            // ZMTP 3.1: commands.
            Received::Command(name, topic) if name == "SUBSCRIBE" => self.subscribe(peer, &topic),
            Received::Command(name, topic) if name == "CANCEL" => self.cancel(peer, &topic),
            // What else a subscriber says is for nobody.
            _ => {}
        }
        Box::pin(std::future::ready(()))
    }

    fn left(&self, peer: &Arc<Peer>) {
        self.state().subscribers.remove(&peer.number);
    }
}
