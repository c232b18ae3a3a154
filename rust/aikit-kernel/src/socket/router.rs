//! The ROUTER sockets: shell, control and stdin. Messages that are forged, malformed or replayed
//! end here.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aikit_core::{Result, clock::Clock};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    peer::Peer,
    replay::ReplayGuard,
    server::{Handler, Server},
    zmtp::{self, Received, Role},
};
use crate::{
    connection::Endpoint,
    wire::frame::{Codec, Incoming, Outgoing},
};

/// Largest request: a cell with its buffers.
const MESSAGE_BYTES_MAX: usize = 1 << 26;
/// A client that lets more replies than this wait is disconnected.
const QUEUE_BYTES_MAX: usize = 1 << 26;

/// A bound ROUTER socket.
#[derive(Debug)]
pub struct Router {
    server: Server,
}

impl Router {
    /// Binds `endpoint`; what arrives and is genuine goes to `inbox`.
    pub(super) async fn bind(
        endpoint: &Endpoint,
        codec: Arc<Codec>,
        seen: Arc<Mutex<ReplayGuard>>,
        inbox: mpsc::Sender<Incoming>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let role = Role {
            name: "ROUTER",
            peers: &["DEALER", "REQ", "ROUTER"],
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let handler = Arc::new(Reading { codec, seen, inbox });
        let server = Server::bind(endpoint, role, clock, handler).await?;
        Ok(Self { server })
    }

    /// Queues a message for the client its first frame names; never waits. The answer is whether
    /// that client is connected.
    pub fn send(&self, message: &Outgoing) -> bool {
        let Some((identity, frames)) = message.frames.split_first() else {
            return false;
        };
        let Some(peer) = self.server.find(identity) else {
            debug!("a client left before it got its message");
            return false;
        };
        if peer.backlog().bytes > QUEUE_BYTES_MAX {
            warn!("a client does not read its messages and is disconnected");
            peer.close();
            return false;
        }
        peer.push(zmtp::encode(frames));
        true
    }

    /// As [`Router::send`], but a client that is just connecting is waited for, at most `limit`.
    pub async fn send_within(&self, limit: Duration, message: &Outgoing) -> bool {
        let sent = async {
            loop {
                let progress = self.server.progress().notified();
                if self.send(message) {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(limit, sent).await.is_ok()
    }

    /// Waits until every reply was handed to the operating system, at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        self.server.flush(limit).await;
    }

    /// Waits until all that had arrived is in the inbox, but not for a peer that goes on sending.
    pub async fn settle(&self) {
        self.server.settle().await;
    }

    /// Closes the address and every connection.
    pub(super) async fn close(&self) {
        self.server.close().await;
    }

    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }
}

#[derive(Debug)]
struct Reading {
    codec: Arc<Codec>,
    /// Shared by the sockets: a shell message replayed on control is a replay too.
    seen: Arc<Mutex<ReplayGuard>>,
    inbox: mpsc::Sender<Incoming>,
}

impl Reading {
    fn read(&self, peer: &Peer, mut frames: Vec<Bytes>) -> Option<Incoming> {
        frames.insert(0, peer.identity.clone());
        match self.codec.decode(frames) {
            Ok(message) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if message.digest.is_some_and(|digest| !seen.is_new(digest)) {
                    warn!("a message came twice; the second one was dropped");
                    return None;
                }
                peer.prove();
                Some(message)
            }
            Err(error) => {
                warn!(%error, "a message was dropped");
                None
            }
        }
    }
}

impl Handler for Reading {
    fn received<'a>(&'a self, peer: &'a Arc<Peer>, received: Received) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Received::Message(frames) = received
                && let Some(message) = self.read(peer, frames)
            {
                // The kernel ended; nobody answers any more.
                let _closed = self.inbox.send(message).await;
            }
        })
    }
}
