//! A kernel, a client of it, and how they talk in these tests.

use std::{sync::Arc, time::Duration};

use aikit_core::{clock::SystemClock, io};
use aikit_kernel::{
    client::Client,
    connection::{ConnectionInfo, Transport},
    kernel::{Exit, Kernel, KernelOptions, Program},
    wire::{
        Content, Object,
        execute::{ExecuteReply, ExecuteRequest},
        frame::Incoming,
        status::{ExecutionState, Status},
    },
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::echo::EchoEngine;

/// Far more than any conversation needs; a test that gets there has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// A running kernel with a connected client.
pub(crate) struct Conversation {
    pub(crate) client: Client,
    pub(crate) connection: ConnectionInfo,
    pub(crate) kernel: JoinHandle<Exit>,
    /// Of the ipc sockets.
    _folder: TempDir,
}

/// What a request brought about.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) reply: Content,
    /// Broadcasts that belong to it, states included.
    pub(crate) broadcasts: Vec<Content>,
}

/// Runs a test's future on the runtime.
pub(crate) fn talk<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let limited = async { tokio::time::timeout(LIMIT, future).await.expect("it hangs") };
    io::wait(limited, || Ok(())).expect("it panicked")
}

impl Conversation {
    pub(crate) async fn start() -> Self {
        Self::start_over(Transport::Tcp).await
    }

    pub(crate) async fn start_over(transport: Transport) -> Self {
        Self::start_program(transport, EchoEngine::default().into_program()).await
    }

    pub(crate) async fn start_program(transport: Transport, program: Program) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ip = match transport {
            Transport::Tcp => "127.0.0.1".to_owned(),
            Transport::Ipc => folder.path().join("kernel").display().to_string(),
        };
        let connection = ConnectionInfo::create(transport, ip, &SystemClock);
        let kernel = Kernel::bind(connection, KernelOptions::default());
        let kernel = kernel.await.unwrap();
        let connection = kernel.connection().clone();
        let kernel = io::spawn(kernel.run(program));
        let mut client = Client::connect(&connection, Arc::new(SystemClock))
            .await
            .unwrap();
        // Welcome, starting, idle.
        for _ in 0..3 {
            client.iopub.receive().await.unwrap();
        }
        Self {
            client,
            connection,
            kernel,
            _folder: folder,
        }
    }

    /// Runs a cell with the defaults of the specification.
    pub(crate) async fn execute(&mut self, code: &str) -> Heard {
        self.request(cell(code)).await
    }

    /// Sends a request on the shell socket; hears its reply and everything up to its idle.
    pub(crate) async fn request(&mut self, content: impl Into<Content>) -> Heard {
        let id = self.client.shell.send(content).await.unwrap();
        self.hear(&id).await
    }

    /// Hears what the request `id` of the shell socket brings about.
    pub(crate) async fn hear(&mut self, id: &str) -> Heard {
        let reply = self.client.shell.receive().await.unwrap();
        assert_eq!(reply.parent_id().as_deref(), Some(id));
        Heard {
            reply: reply.content.unwrap(),
            broadcasts: self.broadcasts(id).await,
        }
    }

    /// Everything broadcast from now to the idle of the request `id`.
    pub(crate) async fn broadcasts(&mut self, id: &str) -> Vec<Content> {
        let mut broadcasts = Vec::new();
        loop {
            let message = self.client.iopub.receive().await.unwrap();
            if message.parent_id().as_deref() != Some(id) {
                continue;
            }
            let content = message.content.unwrap();
            let is_idle = content == state(ExecutionState::Idle);
            broadcasts.push(content);
            if is_idle {
                return broadcasts;
            }
        }
    }

    /// Waits for a broadcast that `wanted` chooses.
    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&Content) -> bool) -> Incoming {
        loop {
            let message = self.client.iopub.receive().await.unwrap();
            if message.content.as_ref().is_ok_and(&wanted) {
                return message;
            }
        }
    }
}

pub(crate) fn cell(code: &str) -> ExecuteRequest {
    ExecuteRequest {
        code: code.to_owned(),
        ..ExecuteRequest::default()
    }
}

pub(crate) fn state(execution_state: ExecutionState) -> Content {
    Status { execution_state }.into()
}

pub(crate) fn ok(execution_count: u32) -> Content {
    let user_expressions = Object::new();
    ExecuteReply::Ok {
        execution_count,
        payload: Vec::new(),
        user_expressions,
    }
    .into()
}

/// Streams joined, as `name: text`; other messages by type.
pub(crate) fn outline(broadcasts: &[Content]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for content in broadcasts {
        match content {
            Content::Stream(stream) => {
                let start = format!("{}: ", stream.name);
                match lines.last_mut() {
                    Some(last) if last.starts_with(&start) => last.push_str(&stream.text),
                    _ => lines.push(start + &stream.text),
                }
            }
            Content::Status(status) => lines.push(format!("{:?}", status.execution_state)),
            other => lines.push(other.msg_type().to_owned()),
        }
    }
    lines
}
