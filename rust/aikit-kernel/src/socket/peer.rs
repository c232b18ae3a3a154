//! What waits to be sent to one peer, counted in bytes.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncWriteExt, sync::Notify};

use super::{strangers::Stranger, zmtp::Writer};

/// Small messages are joined up to this size, so that one system call sends many.
const BATCH_BYTES: usize = 1 << 16;

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
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Bytes>,
    /// Queued and not yet taken by the operating system.
    bytes: usize,
    /// All bytes ever written: moves while the peer reads.
    written: u64,
    closed: bool,
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
        }
    }

    /// Notes that the peer sent something genuine: what is kept for it is its own affair now.
    pub(super) fn prove(&self) {
        self.stranger.prove();
    }

    /// Queues an encoded message; never waits.
    pub(super) fn push(&self, message: Bytes) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.bytes += message.len();
            queue.messages.push_back(message);
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Drops what waits, and ends the connection.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        queue.messages.clear();
        queue.bytes = 0;
        drop(queue);
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
        while let Some(mut batch) = self.batch().await {
            while !batch.is_empty() {
                let count = writer.write(&batch).await?;
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
                if let Some(first) = queue.messages.pop_front() {
                    return Some(join_small(first, &mut queue.messages));
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

fn join_small(first: Bytes, others: &mut VecDeque<Bytes>) -> Bytes {
    let fits = |bytes: usize, next: Option<&Bytes>| {
        next.is_some_and(|next| bytes + next.len() <= BATCH_BYTES)
    };
    if !fits(first.len(), others.front()) {
        return first;
    }
    let mut batch = BytesMut::from(&first[..]);
    while fits(batch.len(), others.front())
        && let Some(next) = others.pop_front()
    {
        batch.extend_from_slice(&next);
    }
    batch.freeze()
}
