//! What waits to be sent to one peer, counted in bytes.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncWriteExt, sync::Notify};
use tracing::warn;

use super::{strangers::Stranger, zmtp::Writer};

/// Small messages are joined up to this size, so that one system call sends many.
const BATCH_BYTES: usize = 1 << 16;
/// A peer for whom more than this waits is disconnected, whatever its socket allows it: a few of
/// the largest messages.
const QUEUE_BYTES_MAX: usize = 1 << 28;
/// A peer that lets more than this of the answers wait that it made us give without a signature
/// (pongs, welcomes, beats) is disconnected. All that 256 peers can leave unread is 64 MiB.
const ANSWERS_BYTES_MAX: usize = 1 << 18;
/// What a message that waits costs beside its bytes.
const MESSAGE_COST_BYTES: usize = 128;

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Tells connections apart.
    pub(super) number: u64,
    /// What ROUTER sockets address it by.
    pub(super) identity: Bytes,
    stranger: Arc<Stranger>,
    queue: Mutex<Queue>,
    filled: Notify,
    /// Told once, when the peer is closed.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Queued and not yet taken by the operating system.
    bytes: usize,
    /// What the answers among the messages cost.
    answers_bytes: usize,
    /// All bytes ever written: moves while the peer reads.
    written: u64,
    closed: bool,
}

#[derive(Debug)]
struct Message {
    bytes: Bytes,
    is_answer: bool,
}

impl Message {
    fn cost(&self) -> usize {
        self.bytes.len() + MESSAGE_COST_BYTES
    }
}

/// How a peer is doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    /// Bytes that wait.
    pub(super) bytes: usize,
    /// All bytes ever written.
    pub(super) written: u64,
}

impl Peer {
    pub(super) fn new(number: u64, identity: Bytes, stranger: Arc<Stranger>) -> Self {
        Self {
            number,
            identity,
            stranger,
            queue: Mutex::default(),
            filled: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Notes that the peer sent something genuine: what is kept for it is its own affair now.
    pub(super) fn prove(&self) {
        self.stranger.prove();
    }

    /// Notes that the peer said what it came for: it makes room for nobody any more.
    pub(super) fn stay(&self) {
        self.stranger.stay();
    }

    /// Notes that the peer was heard of: others make room before it.
    pub(super) fn renew(&self) {
        self.stranger.renew();
    }

    /// Queues an encoded message; never waits. A peer that reads too little is disconnected.
    pub(super) fn push(&self, message: Bytes) {
        self.queue_up(message, false);
    }

    /// As [`Peer::push`], for what anybody can make us say; the bound is narrower.
    pub(super) fn answer(&self, message: Bytes) {
        self.queue_up(message, true);
    }

    fn queue_up(&self, bytes: Bytes, is_answer: bool) {
        let message = Message { bytes, is_answer };
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        if is_answer {
            queue.answers_bytes += message.cost();
        }
        // What waits already counts, so that one message of any size can be sent.
        if queue.bytes > QUEUE_BYTES_MAX || queue.answers_bytes > ANSWERS_BYTES_MAX {
            drop(queue);
            warn!("a peer does not read what it is sent and is disconnected");
            self.close();
            return;
        }
        queue.bytes += message.bytes.len();
        queue.messages.push_back(message);
        if is_answer {
            // Under the lock, so that an older figure never comes later.
            self.stranger.owe(queue.answers_bytes);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Drops what waits, and ends the connection.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        *queue = Queue {
            written: queue.written,
            closed: true,
            ..Queue::default()
        };
        self.stranger.owe(0);
        drop(queue);
        self.ended.notify_one();
        self.filled.notify_one();
    }

    pub(super) fn backlog(&self) -> Backlog {
        let queue = self.queue();
        Backlog {
            bytes: queue.bytes,
            written: queue.written,
        }
    }

    /// Writes what is queued until the peer is closed; `written` is called after each progress.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(super) async fn write_all(
        &self,
        writer: &mut Writer,
        written: impl Fn(),
    ) -> io::Result<()> {
        let mut ended = std::pin::pin!(self.ended.notified());
        while let Some(mut batch) = self.batch().await {
            while !batch.is_empty() {
                let count = tokio::select! {
                    biased;
                    // One that never reads is not waited for.
                    () = &mut ended => return Ok(()),
                    count = writer.write(&batch) => count?,
                };
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                let _sent = batch.split_to(count);
                let mut queue = self.queue();
                queue.bytes = queue.bytes.saturating_sub(count);
                queue.written += count as u64;
                drop(queue);
                written();
            }
        }
        Ok(())
    }

    /// What to write next, small messages joined; `None` when the peer is closed.
    async fn batch(&self) -> Option<Bytes> {
        loop {
            {
                let mut queue = self.queue();
                if queue.closed {
                    return None;
                }
                let before = queue.answers_bytes;
                if let Some(batch) = queue.take_batch() {
                    if queue.answers_bytes < before {
                        self.stranger.owe(queue.answers_bytes);
                    }
                    return Some(batch);
                }
            }
            self.filled.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A plain mutex: it is never held across an await.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The next message, with the small ones behind it.
    fn take_batch(&mut self) -> Option<Bytes> {
        let first = self.take()?;
        if !self.next_fits(first.len()) {
            return Some(first);
        }
        let mut batch = BytesMut::from(&first[..]);
        while self.next_fits(batch.len())
            && let Some(next) = self.take()
        {
            batch.extend_from_slice(&next);
        }
        Some(batch.freeze())
    }

    fn next_fits(&self, bytes: usize) -> bool {
        let next = self.messages.front();
        next.is_some_and(|next| bytes + next.bytes.len() <= BATCH_BYTES)
    }

    fn take(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        if message.is_answer {
            self.answers_bytes -= message.cost();
        }
        Some(message.bytes)
    }
}
