//! The heartbeat socket (REP): everything comes back as it came, whatever the kernel is doing.

use std::sync::Arc;

use aikit_core::{Result, clock::Clock};
use futures::future::BoxFuture;

use super::{
    peer::Peer,
    server::{Handler, Server},
    zmtp::{self, Received, Role},
};
use crate::connection::Endpoint;

/// A beat is a few bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 16;

/// Binds `endpoint` and answers until dropped.
pub(super) async fn bind(endpoint: &Endpoint, clock: Arc<dyn Clock>) -> Result<Server> {
    let role = Role {
        name: "REP",
        peers: &["REQ", "DEALER"],
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    Server::bind(endpoint, role, clock, Arc::new(Echo)).await
}

#[derive(Debug)]
struct Echo;

impl Handler for Echo {
    fn received<'a>(&'a self, peer: &'a Arc<Peer>, received: Received) -> BoxFuture<'a, ()> {
        if let Received::Message(frames) = received {
            peer.renew();
            peer.answer(zmtp::encode(&frames));
        }
        Box::pin(std::future::ready(()))
    }
}
