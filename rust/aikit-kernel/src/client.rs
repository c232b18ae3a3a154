//! A Jupyter client: what `repl --existing`, `run --connect` and the tests speak to a kernel with.

use std::sync::Arc;

use aikit_core::{Result, clock::Clock};
use bytes::Bytes;

use crate::{
    connection::{ConnectionInfo, SocketName},
    socket::client::{Broadcasts, Heartbeat, Requests},
    wire::{
        Content,
        frame::{Codec, Incoming},
    },
};

/// A client connected to one kernel. Its parts are used one by one, so that one can be waited for
/// while another is used.
#[derive(Debug)]
pub struct Client {
    /// Requests, one after the other.
    pub shell: RequestSocket,
    /// Requests that must not wait.
    pub control: RequestSocket,
    /// Questions of the kernel.
    pub stdin: RequestSocket,
    /// Outputs and states.
    pub iopub: IopubSocket,
    /// Echo.
    pub heartbeat: Heartbeat,
}

impl Client {
    /// Connects to all sockets.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is not there.
    pub async fn connect(connection: &ConnectionInfo, clock: Arc<dyn Clock>) -> Result<Self> {
        let codec = Arc::new(Codec::new(connection.key(), clock));
        let iopub = Broadcasts::connect(&connection.endpoint(SocketName::Iopub)).await?;
        let heartbeat = Heartbeat::connect(&connection.endpoint(SocketName::Heartbeat)).await?;
        Ok(Self {
            shell: RequestSocket::connect(connection, SocketName::Shell, &codec).await?,
            control: RequestSocket::connect(connection, SocketName::Control, &codec).await?,
            stdin: RequestSocket::connect(connection, SocketName::Stdin, &codec).await?,
            iopub: IopubSocket {
                socket: iopub,
                codec,
            },
            heartbeat,
        })
    }
}

/// One end of a shell, control or stdin socket.
#[derive(Debug)]
pub struct RequestSocket {
    socket: Requests,
    codec: Arc<Codec>,
}

impl RequestSocket {
    async fn connect(
        connection: &ConnectionInfo,
        name: SocketName,
        codec: &Arc<Codec>,
    ) -> Result<Self> {
        let socket = Requests::connect(&connection.endpoint(name), codec.session()).await?;
        Ok(Self {
            socket,
            codec: Arc::clone(codec),
        })
    }

    /// Sends a request; returns its `msg_id`.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone.
    pub async fn send(&mut self, content: impl Into<Content>) -> Result<String> {
        let message = self.codec.encode(&[], &Bytes::new(), &content.into());
        self.socket.send(message.frames).await?;
        Ok(message.msg_id)
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone, `protocol` when the reply is not genuine.
    pub async fn receive(&mut self) -> Result<Incoming> {
        self.codec.decode(self.socket.receive().await?)
    }
}

/// The end of an iopub socket.
#[derive(Debug)]
pub struct IopubSocket {
    socket: Broadcasts,
    codec: Arc<Codec>,
}

impl IopubSocket {
    /// Waits for the next broadcast.
    ///
    /// # Errors
    ///
    /// `network` when the kernel is gone, `protocol` when the message is not genuine.
    pub async fn receive(&mut self) -> Result<Incoming> {
        self.codec.decode(self.socket.receive().await?)
    }
}
