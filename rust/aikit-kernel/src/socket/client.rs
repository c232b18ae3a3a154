//! A client's ends of the sockets, carried by the `zeromq` crate.

use aikit_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use zeromq::{
    DealerSocket, ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqError,
    ZmqMessage, util::PeerIdentity,
};

use crate::connection::Endpoint;

/// A client's end of the shell, control or stdin socket (DEALER).
pub struct Requests(DealerSocket);

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Requests")
    }
}

impl Requests {
    /// Connects as `identity`.
    ///
    /// # Errors
    ///
    /// `network` when nobody listens there.
    pub async fn connect(endpoint: &Endpoint, identity: &str) -> Result<Self> {
        let mut options = SocketOptions::default();
        let identity: PeerIdentity = identity.parse().map_err(|error| failed(endpoint, error))?;
        options.peer_identity(identity);
        let mut socket = DealerSocket::with_options(options);
        let connected = socket.connect(&endpoint.to_string()).await;
        connected.map_err(|error| failed(endpoint, error))?;
        Ok(Self(socket))
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone.
    pub async fn send(&mut self, frames: Vec<Bytes>) -> Result<()> {
        self.0.send(message(frames)?).await.map_err(gone)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>> {
        self.0.recv().await.map(ZmqMessage::into_vec).map_err(gone)
    }
}

/// A client's end of the iopub socket (SUB).
pub struct Broadcasts(SubSocket);

impl std::fmt::Debug for Broadcasts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broadcasts")
    }
}

impl Broadcasts {
    /// Connects and subscribes to everything.
    ///
    /// # Errors
    ///
    /// `network` when nobody listens there.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let mut socket = SubSocket::new();
        let connected = socket.connect(&endpoint.to_string()).await;
        connected.map_err(|error| failed(endpoint, error))?;
        socket
            .subscribe("")
            .await
            .map_err(|error| failed(endpoint, error))?;
        Ok(Self(socket))
    }

    /// Waits for the next message; its first frame is the topic.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>> {
        self.0.recv().await.map(ZmqMessage::into_vec).map_err(gone)
    }
}

/// A client's end of the heartbeat socket (REQ).
pub struct Heartbeat(ReqSocket);

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heartbeat")
    }
}

impl Heartbeat {
    /// Connects.
    ///
    /// # Errors
    ///
    /// `network` when nobody listens there.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let mut socket = ReqSocket::new();
        let connected = socket.connect(&endpoint.to_string()).await;
        connected.map_err(|error| failed(endpoint, error))?;
        Ok(Self(socket))
    }

    /// Sends a beat and waits for it to come back.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone, `protocol` when something else came back.
    pub async fn beat(&mut self) -> Result<()> {
        self.0.send("beat".into()).await.map_err(gone)?;
        let back = self.0.recv().await.map_err(gone)?.into_vec();
        if back != ["beat"] {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the heartbeat came back changed",
            ));
        }
        Ok(())
    }
}

fn message(frames: Vec<Bytes>) -> Result<ZmqMessage> {
    ZmqMessage::try_from(frames)
        .map_err(|_| Error::new(ErrorKind::Protocol, "a message has no frames"))
}

fn failed(endpoint: &Endpoint, error: ZmqError) -> Error {
    Error::new(
        ErrorKind::Network,
        format!("cannot connect to `{endpoint}`: {error}"),
    )
    .with_hint("check that the kernel of this connection file is running")
    .with_source(error)
}

fn gone(error: ZmqError) -> Error {
    Error::new(
        ErrorKind::Network,
        format!("the connection to the kernel broke: {error}"),
    )
    .with_hint("check that the kernel is still running")
    .with_source(error)
}
