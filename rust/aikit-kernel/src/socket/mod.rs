//! The five sockets, bound; and a client's ends of them.
//!
//! One small server side of ZMTP carries all five: `zmtp` frames, `peer` queues and writes, `cork`
//! writes together what was made together, `strangers` counts what is kept before a signature was
//! seen, `listener` binds, `server` connects these, and `router`, `heartbeat` and `iopub` say what
//! messages mean. The `zeromq` crate carries the client's ends, in `client`.
//! Why: docs/decisions/0002-iopub.md.

pub mod client;
pub(crate) mod cork;
mod heartbeat;
pub mod iopub;
mod listener;
mod peer;
mod replay;
pub mod router;
mod server;
mod strangers;
mod zmtp;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aikit_core::{Result, clock::Clock};
use tokio::sync::mpsc;

use self::{iopub::IoPub, replay::ReplayGuard, router::Router, server::Server};
use crate::{
    connection::{ConnectionInfo, SocketName},
    wire::frame::{Codec, Incoming},
};

/// Requests that wait for the kernel; a client that sends more waits in its own socket.
const INBOX_MESSAGES: usize = 1024;

/// The bound sockets.
#[derive(Debug)]
pub struct Sockets {
    /// Requests, one after the other.
    pub shell: Router,
    /// Requests that must not wait.
    pub control: Router,
    /// Questions to the user.
    pub stdin: Router,
    /// Broadcast of outputs and states.
    pub iopub: IoPub,
    heartbeat: Server,
}

/// What clients send: genuine, whole and new.
#[derive(Debug)]
pub struct Inboxes {
    /// From the shell socket.
    pub shell: mpsc::Receiver<Incoming>,
    /// From the control socket.
    pub control: mpsc::Receiver<Incoming>,
    /// From the stdin socket.
    pub stdin: mpsc::Receiver<Incoming>,
}

impl Sockets {
    /// Binds the five sockets of `connection`, and notes there the ports that were taken for 0.
    ///
    /// # Errors
    ///
    /// `config` when an address is wrong or taken.
    pub async fn bind(
        connection: &mut ConnectionInfo,
        codec: &Arc<Codec>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Self, Inboxes)> {
        // In the order in which clients connect.
        let seen = Arc::new(Mutex::new(ReplayGuard::default()));
        let (shell, shell_inbox) =
            bind_router(connection, SocketName::Shell, codec, &seen, clock).await?;
        let endpoint = connection.endpoint(SocketName::Iopub);
        let iopub = IoPub::bind(&endpoint, Arc::clone(codec), Arc::clone(clock)).await?;
        connection.set_port(SocketName::Iopub, iopub.port());
        let (control, control_inbox) =
            bind_router(connection, SocketName::Control, codec, &seen, clock).await?;
        let (stdin, stdin_inbox) =
            bind_router(connection, SocketName::Stdin, codec, &seen, clock).await?;
        let endpoint = connection.endpoint(SocketName::Heartbeat);
        let heartbeat = heartbeat::bind(&endpoint, Arc::clone(clock)).await?;
        connection.set_port(SocketName::Heartbeat, heartbeat.port());
        let inboxes = Inboxes {
            shell: shell_inbox,
            control: control_inbox,
            stdin: stdin_inbox,
        };
        Ok((
            Self {
                shell,
                control,
                stdin,
                iopub,
                heartbeat,
            },
            inboxes,
        ))
    }

    /// Hands everything queued to the operating system, within `limit`.
    pub async fn flush(&self, limit: Duration) {
        tokio::join!(
            self.shell.flush(limit),
            self.control.flush(limit),
            self.stdin.flush(limit),
            self.iopub.flush(limit),
        );
    }

    /// Closes the addresses and every connection.
    pub async fn close(&self) {
        tokio::join!(
            self.shell.close(),
            self.control.close(),
            self.stdin.close(),
            self.iopub.close(),
            self.heartbeat.close(),
        );
    }
}

async fn bind_router(
    connection: &mut ConnectionInfo,
    name: SocketName,
    codec: &Arc<Codec>,
    seen: &Arc<Mutex<ReplayGuard>>,
    clock: &Arc<dyn Clock>,
) -> Result<(Router, mpsc::Receiver<Incoming>)> {
    let (sender, inbox) = mpsc::channel(INBOX_MESSAGES);
    let endpoint = connection.endpoint(name);
    let (codec, seen) = (Arc::clone(codec), Arc::clone(seen));
    let router = Router::bind(&endpoint, codec, seen, sender, Arc::clone(clock)).await?;
    connection.set_port(name, router.port());
    Ok((router, inbox))
}
