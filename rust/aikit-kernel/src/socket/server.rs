//! A bound socket: accepts peers, shakes hands, reads and writes; what messages mean is its
//! handler's business.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{
    Result,
    clock::Clock,
    io::{AbortOnDrop, spawn},
};
use futures::future::{BoxFuture, join_all};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use tracing::debug;

use super::{
    listener::Listener,
    peer::Peer,
    strangers::{STRANGERS_BYTES_MAX, Stranger, Strangers},
    zmtp::{self, MessageReader, Reader, Received, Role, Writer},
};
use crate::connection::Endpoint;

/// Most peers of one socket; for one more, a stranger has to go, or it is turned away itself.
const PEERS_MAX: usize = 256;
/// As many may be on their way out beside them.
const CONNECTIONS_MAX: usize = 2 * PEERS_MAX;
/// How long a peer may take to greet.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the operating system has no more file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// How long what had arrived is waited for; a peer that never stops sending must delay nobody.
const SETTLE_LIMIT: Duration = Duration::from_millis(100);

/// What a socket does with its peers.
pub(super) trait Handler: fmt::Debug + Send + Sync {
    /// A peer shook hands; never waits.
    fn joined(&self, _peer: &Arc<Peer>) {}

    /// A peer sent something; nothing more is read from it until the future ends.
    fn received<'a>(&'a self, peer: &'a Arc<Peer>, received: Received) -> BoxFuture<'a, ()>;

    /// A peer is gone.
    fn left(&self, _peer: &Arc<Peer>) {}
}

/// A bound socket; closing happens on drop.
#[derive(Debug)]
pub(super) struct Server {
    inner: Arc<Inner>,
    port: u16,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    role: Role,
    clock: Arc<dyn Clock>,
    handler: Arc<dyn Handler>,
    connections: Mutex<Connections>,
    strangers: Arc<Strangers>,
    /// Told when a peer joins or leaves, and after every progress of any writer.
    progress: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Connections {
    last_number: u64,
    by_number: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// Absent until the handshake is over.
    peer: Option<Arc<Peer>>,
    settle: mpsc::Sender<oneshot::Sender<()>>,
    _task: AbortOnDrop,
}

impl Server {
    /// Binds `endpoint` and starts accepting.
    ///
    /// # Errors
    ///
    /// `config` when the address is wrong or taken.
    pub(super) async fn bind(
        endpoint: &Endpoint,
        role: Role,
        clock: Arc<dyn Clock>,
        handler: Arc<dyn Handler>,
    ) -> Result<Self> {
        let listener = Listener::bind(endpoint).await?;
        let port = listener.port(endpoint);
        let (connections, progress) = (Mutex::default(), Arc::new(Notify::new()));
        let inner = Arc::new(Inner {
            role,
            clock,
            handler,
            connections,
            strangers: Strangers::new(STRANGERS_BYTES_MAX),
            progress,
        });
        let accepting = spawn(accept_all(listener, Arc::clone(&inner)));
        Ok(Self {
            inner,
            port,
            accepting,
        })
    }

    /// The port that was bound.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The newest peer of that identity: one that reconnects takes over.
    pub(super) fn find(&self, identity: &[u8]) -> Option<Arc<Peer>> {
        let connections = self.inner.connections();
        let peers = connections
            .by_number
            .values()
            .filter_map(|it| it.peer.as_ref());
        peers
            .filter(|peer| peer.identity == identity)
            .max_by_key(|peer| peer.number)
            .cloned()
    }

    /// Told when a peer joins or leaves, and after every progress of any writer.
    pub(super) fn progress(&self) -> &Arc<Notify> {
        &self.inner.progress
    }

    /// Waits until everything queued was handed to the operating system, at most `limit`.
    pub(super) async fn flush(&self, limit: Duration) {
        let flushed = async {
            loop {
                let progress = self.inner.progress.notified();
                let waiting = self
                    .inner
                    .peers()
                    .iter()
                    .any(|peer| peer.backlog().bytes > 0);
                if !waiting {
                    return;
                }
                progress.await;
            }
        };
        if tokio::time::timeout(limit, flushed).await.is_err() {
            debug!(
                socket = self.inner.role.name,
                "a peer did not read its last messages"
            );
        }
    }

    /// Closes the address and every connection; what was not flushed is lost.
    pub(super) async fn close(&self) {
        self.accepting.abort();
        self.disconnect_all();
        // The file of an ipc socket goes away with the task that listens.
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    fn disconnect_all(&self) {
        let connections = std::mem::take(&mut self.inner.connections().by_number);
        // Outside the lock, which their tasks take. These end with the connections, and tell nobody.
        for peer in connections.values().filter_map(|it| it.peer.as_ref()) {
            peer.close();
            self.inner.handler.left(peer);
        }
    }

    /// Waits until all that had arrived from every peer was handed to the handler; a peer that is
    /// not quiet within [`SETTLE_LIMIT`], because it goes on sending, is waited for no longer.
    pub(super) async fn settle(&self) {
        let senders: Vec<_> = {
            let connections = self.inner.connections();
            // One that has not shaken hands has sent no message, and may never do so.
            let connected = connections
                .by_number
                .values()
                .filter(|it| it.peer.is_some());
            connected.map(|it| it.settle.clone()).collect()
        };
        let settling = senders.into_iter().map(|sender| async move {
            let (done, settled) = oneshot::channel();
            // A peer that left has nothing to settle.
            if sender.send(done).await.is_ok() {
                let _gone = settled.await;
            }
        });
        // All at once, so that one that is never quiet takes no time from the others.
        let settled = tokio::time::timeout(SETTLE_LIMIT, join_all(settling)).await;
        if settled.is_err() {
            debug!(
                socket = self.inner.role.name,
                "a peer goes on sending and is not waited for"
            );
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // The connections hold what holds them.
        self.disconnect_all();
    }
}

impl Inner {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        // A plain mutex: it is never held across an await.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        let connections = self.connections();
        connections
            .by_number
            .values()
            .filter_map(|it| it.peer.clone())
            .collect()
    }
}

async fn accept_all(listener: Listener, inner: Arc<Inner>) {
    loop {
        match listener.accept().await {
            Ok(halves) => admit(&inner, halves),
            Err(error) => {
                debug!(socket = inner.role.name, %error, "cannot accept a connection");
                inner.clock.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn admit(inner: &Arc<Inner>, (reader, writer): (Reader, Writer)) {
    let (settle, settling) = mpsc::channel(1);
    // Held until the entry exists, so that the task finds it however fast it runs.
    let mut connections = inner.connections();
    let count = connections.by_number.len();
    let has_room =
        count < PEERS_MAX || (count < CONNECTIONS_MAX && inner.strangers.dismiss_oldest());
    if !has_room {
        debug!(
            socket = inner.role.name,
            "too many peers; a new one was turned away"
        );
        return;
    }
    connections.last_number += 1;
    let number = connections.last_number;
    let stranger = inner.strangers.admit(number);
    let serving = Arc::clone(inner);
    let task = spawn(async move {
        tokio::select! {
            biased;
            () = stranger.has_to_go() => {
                debug!(socket = serving.role.name, "a peer that proved nothing makes room");
            }
            served = serve(&serving, (reader, writer), Arc::clone(&stranger), settling) => {
                if let Err(error) = served {
                    debug!(socket = serving.role.name, %error, "a connection ended");
                }
            }
        }
        let gone = serving.connections().by_number.remove(&number);
        if let Some(peer) = gone.as_ref().and_then(|it| it.peer.as_ref()) {
            peer.close();
            serving.handler.left(peer);
        }
        serving.progress.notify_waiters();
    });
    let task = AbortOnDrop(task.abort_handle());
    connections.by_number.insert(
        number,
        Connection {
            peer: None,
            settle,
            _task: task,
        },
    );
}

async fn serve(
    inner: &Inner,
    (reader, mut writer): (Reader, Writer),
    stranger: Arc<Stranger>,
    settling: mpsc::Receiver<oneshot::Sender<()>>,
) -> io::Result<()> {
    let number = stranger.number;
    let shaking = zmtp::shake_hands(reader, &mut writer, inner.role, Arc::clone(&stranger));
    let (messages, mut identity) = tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await??;
    if identity.is_empty() {
        // As in libzmq: a zero byte, which no identity of a peer's own choice begins with.
        identity = [&[0][..], &number.to_be_bytes()].concat().into();
    }
    let progress = Arc::clone(&inner.progress);
    let peer = Arc::new(Peer::new(identity, stranger, writer, progress));
    {
        // Under the lock, so that whoever disconnects all finds it, or it does not join any more.
        let mut connections = inner.connections();
        let Some(connection) = connections.by_number.get_mut(&number) else {
            return Ok(());
        };
        connection.peer = Some(Arc::clone(&peer));
        inner.handler.joined(&peer);
    }
    inner.progress.notify_waiters();
    tokio::select! {
        read = read_all(inner, &peer, messages, settling) => read,
        written = peer.write_all() => written,
    }
}

async fn read_all(
    inner: &Inner,
    peer: &Arc<Peer>,
    mut messages: MessageReader,
    mut settling: mpsc::Receiver<oneshot::Sender<()>>,
) -> io::Result<()> {
    let mut waiting: Option<oneshot::Sender<()>> = None;
    loop {
        let received = tokio::select! {
            biased;
            received = messages.next() => received?,
            // Only reached when nothing was left to read. The runtime looks at the network once
            // more before a task that yields runs again, so that a second look is a true one.
            () = tokio::task::yield_now(), if waiting.is_some() => {
                if let Some(done) = waiting.take() {
                    // The asker may have given up.
                    let _gone = done.send(());
                }
                continue;
            }
            Some(done) = settling.recv(), if waiting.is_none() => {
                waiting = Some(done);
                continue;
            }
        };
        match received {
            None => return Ok(()),
            Some(Received::Command(name, body)) if name == "PING" => peer.answer(zmtp::pong(&body)),
            Some(Received::Command(name, body)) if name == "ERROR" => {
                debug!(socket = inner.role.name, reason = ?body, "a peer refuses us");
                return Ok(());
            }
            Some(received) => inner.handler.received(peer, received).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::clock::SystemClock;
    use bytes::Bytes;

    use super::*;
    use crate::{
        connection::{ConnectionInfo, SocketName, Transport},
        socket::client::Requests,
    };

    /// Never done with the first message.
    #[derive(Debug, Default)]
    struct Busy(Arc<Notify>);

    impl Handler for Busy {
        fn received<'a>(&'a self, _peer: &'a Arc<Peer>, _: Received) -> BoxFuture<'a, ()> {
            self.0.notify_one();
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn settling_ends_although_a_peer_is_never_quiet() {
        let settling = async {
            let role = Role {
                name: "ROUTER",
                peers: &["DEALER"],
                message_bytes_max: 1000,
            };
            let handler = Arc::new(Busy::default());
            let heard = Arc::clone(&handler.0);
            let mut connection = ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &SystemClock);
            let endpoint = connection.endpoint(SocketName::Shell);
            let server = Server::bind(&endpoint, role, Arc::new(SystemClock), handler).await?;
            connection.set_port(SocketName::Shell, server.port());
            let endpoint = connection.endpoint(SocketName::Shell);
            let mut peer = Requests::connect(&endpoint, "peer").await?;
            peer.send(vec![Bytes::from_static(b"x")]).await?;
            heard.notified().await;
            server.settle().await;
            Ok::<_, aikit_core::Error>(())
        };
        aikit_core::io::wait(settling, || Ok(())).unwrap().unwrap();
    }
}
