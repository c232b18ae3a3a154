//! What waits to be sent to one peer, counted in bytes.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tracing::warn;

use super::{cork, strangers::Stranger, zmtp::Writer};

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
    outlet: Mutex<Outlet>,
    /// Told after every progress of any writer of the socket.
    progress: Arc<Notify>,
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

/// The connection, and what is being written to it.
struct Outlet {
    writer: Writer,
    batch: Bytes,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("batch", &self.batch.len())
            .finish_non_exhaustive()
    }
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
    pub(super) fn new(
        identity: Bytes,
        stranger: Arc<Stranger>,
        writer: Writer,
        progress: Arc<Notify>,
    ) -> Self {
        let batch = Bytes::new();
        Self {
            number: stranger.number,
            identity,
            stranger,
            queue: Mutex::default(),
            outlet: Mutex::new(Outlet { writer, batch }),
            progress,
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
    pub(super) fn push(self: &Arc<Self>, message: Bytes) {
        self.queue_up(message, false);
    }

    /// As [`Peer::push`], for what anybody can make us say; the bound is narrower.
    pub(super) fn answer(self: &Arc<Self>, message: Bytes) {
        self.queue_up(message, true);
    }

    fn queue_up(self: &Arc<Self>, bytes: Bytes, is_answer: bool) {
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
        if !cork::holds(self) {
            self.filled.notify_one();
        }
    }

    /// Writes what waits as far as one call to the operating system takes it; the rest is its
    /// task's.
    pub(super) fn write_now(&self) {
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        let written = self.poll_write(&mut nobody);
        if !matches!(written, Poll::Ready(Ok(false))) {
            // More waits, or the connection is full or broken, which its task hears of again.
            self.filled.notify_one();
        }
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

    /// Writes what is queued until the peer is closed.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(super) async fn write_all(&self) -> io::Result<()> {
        let mut ended = std::pin::pin!(self.ended.notified());
        loop {
            let waits = tokio::select! {
                biased;
                // One that never reads is not waited for.
                () = &mut ended => return Ok(()),
                waits = poll_fn(|cx| self.poll_write(cx)) => waits?,
                // Another thread has written, and the connection wakes whoever asked last.
                () = self.filled.notified() => true,
            };
            if !waits {
                self.filled.notified().await;
            }
        }
    }

    /// Writes once of what waits; whether more does.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut outlet = self.outlet.lock().unwrap_or_else(PoisonError::into_inner);
        let outlet = &mut *outlet;
        if outlet.batch.is_empty() {
            match self.take_batch() {
                Some(batch) => outlet.batch = batch,
                None => return Poll::Ready(Ok(false)),
            }
        }
        let count = ready!(outlet.writer.as_mut().poll_write(cx, &outlet.batch))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let _sent = outlet.batch.split_to(count);
        let mut queue = self.queue();
        queue.bytes = queue.bytes.saturating_sub(count);
        queue.written += count as u64;
        let waits = !outlet.batch.is_empty() || !queue.messages.is_empty();
        drop(queue);
        self.progress.notify_waiters();
        Poll::Ready(Ok(waits))
    }

    /// What to write next, small messages joined.
    fn take_batch(&self) -> Option<Bytes> {
        let mut queue = self.queue();
        let before = queue.answers_bytes;
        let batch = queue.take_batch();
        if queue.answers_bytes < before {
            self.stranger.owe(queue.answers_bytes);
        }
        batch
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::{super::strangers::Strangers, *};

    /// Of the pipe; a batch is larger.
    const PIPE_BYTES: usize = 100;
    const MESSAGES: u32 = 20_000;

    #[test]
    fn two_threads_write_to_one_peer_all_and_in_order() {
        let (writer, mut reader) = duplex(PIPE_BYTES);
        let stranger = Strangers::new(1 << 20).admit(1);
        let (writer, progress) = (Box::pin(writer), Arc::new(Notify::new()));
        let peer = Arc::new(Peer::new(Bytes::new(), stranger, writer, progress));
        let task = aikit_core::io::spawn({
            let peer = Arc::clone(&peer);
            async move { peer.write_all().await }
        });
        // As the loop of the kernel: the pipe is full most of the time, and takes the waker of
        // whoever asked last.
        let loop_thread = std::thread::spawn({
            let peer = Arc::clone(&peer);
            move || {
                for number in 0..MESSAGES {
                    peer.push(Bytes::copy_from_slice(&number.to_be_bytes()));
                    peer.write_now();
                }
            }
        });
        let reading = async move {
            for number in 0..MESSAGES {
                assert_eq!(reader.read_u32().await?, number);
            }
            peer.close();
            Ok::<_, io::Error>(())
        };
        let limit = std::time::Duration::from_secs(30);
        let reading = async move { tokio::time::timeout(limit, reading).await };
        let read = aikit_core::io::wait(reading, || Ok(())).unwrap();
        read.expect("a writer was not woken").unwrap();
        loop_thread.join().unwrap();
        aikit_core::io::wait(task, || Ok(()))
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
