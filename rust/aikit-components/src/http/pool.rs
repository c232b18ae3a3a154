//! The connections of the process: clients that are each bound to one host and its checked
//! addresses.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use aikit_core::{Result, per_process::PerProcess};
use reqwest::{
    Client,
    dns::{Name, Resolve, Resolving},
};

use super::{build, builder};

/// Clients that are kept.
const CLIENTS_MAX: usize = 64;

/// A host and the addresses that were checked for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pin {
    pub(super) host: String,
    pub(super) addresses: Vec<IpAddr>,
}

/// Clients by host and addresses; the last used one is at the back.
type Clients = VecDeque<(Pin, Client)>;

// The connections of a parent do not live in a forked child.
static CLIENTS: PerProcess<Mutex<Clients>> = PerProcess::new();

/// A client that connects to the addresses of `pin` and no others, kept for the next request.
///
/// Send its requests inside [`io::entered`](aikit_core::io::entered): a pooled connection is
/// driven by the runtime that is entered when it is made, and dies or stands still with it. Were
/// that a caller's own, the next request on the connection would fail with "dispatch task is
/// gone", or hang.
///
/// # Errors
///
/// `internal` when the client cannot be made.
pub(super) fn client(pin: Pin) -> Result<Client> {
    let clients = CLIENTS.get_or_init(Mutex::default);
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = clients.iter().position(|(it, _)| *it == pin);
    let client = match kept.and_then(|index| clients.remove(index)) {
        Some((_, client)) => client,
        None => pinned(&pin)?,
    };
    if clients.len() >= CLIENTS_MAX {
        clients.pop_front();
    }
    clients.push_back((pin, client.clone()));
    Ok(client)
}

fn pinned(pin: &Pin) -> Result<Client> {
    let addresses = pin.addresses.iter();
    let addresses: Vec<SocketAddr> = addresses.map(|it| SocketAddr::new(*it, 0)).collect();
    build(
        builder()
            .dns_resolver(NoLookup)
            .resolve_to_addrs(&pin.host, &addresses),
    )
}

/// Refuses every name: a client knows the addresses of its one host and asks for no others.
struct NoLookup;

impl Resolve for NoLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let message = format!("`{}` was not checked", name.as_str());
        Box::pin(std::future::ready(Err(message.into())))
    }
}
