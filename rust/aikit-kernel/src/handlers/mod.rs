//! Answers requests: one file a subject, named like its payloads in `wire`.

pub(crate) mod execute;
pub(crate) mod input;
pub(crate) mod lifecycle;

mod comm;
mod complete;
mod history;
mod inspect;
mod is_complete;
mod kernel_info;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use aikit_core::{Context, Error, ErrorKind, engine::ScriptEngine};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    archive::Archive,
    history::History,
    socket::Sockets,
    wire::{
        Content,
        frame::{Codec, Incoming, refusal},
        lifecycle::InterruptReply,
        status::{ExecutionState, Status},
    },
};

/// What requests are answered with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) engine: Arc<dyn ScriptEngine>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) codec: Arc<Codec>,
    /// Parent of every cell's Context.
    pub(crate) context: Context,
    /// Number of the last cell that counted.
    execution_count: AtomicU32,
    history: Mutex<History>,
    /// Where the cells of all sessions are kept.
    pub(crate) archive: Option<Archive>,
    current: Mutex<lifecycle::Current>,
    comms: comm::Comms,
    /// What arrives on the stdin socket; one question at a time reads it.
    answers: tokio::sync::Mutex<mpsc::Receiver<Incoming>>,
}

/// Where a request came from, and where its reply goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Shell,
    Control,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    pub(crate) message: Incoming,
}

impl Desk {
    pub(crate) fn new(
        engine: Arc<dyn ScriptEngine>,
        sockets: Arc<Sockets>,
        codec: Arc<Codec>,
        context: Context,
        answers: mpsc::Receiver<Incoming>,
    ) -> Self {
        let (execution_count, history, current) =
            (AtomicU32::new(0), Mutex::default(), Mutex::default());
        Self {
            engine,
            sockets,
            codec,
            context,
            execution_count,
            history,
            archive: None,
            current,
            comms: comm::Comms::default(),
            answers: tokio::sync::Mutex::new(answers),
        }
    }

    /// Keeps the cells beyond this session.
    pub(crate) fn with_archive(mut self, archive: Option<Archive>) -> Self {
        self.archive = archive;
        self
    }

    /// Broadcasts a message that belongs to `request`.
    pub(crate) fn publish(&self, request: &Request, content: &Content) {
        self.sockets
            .iopub
            .publish(&request.message.raw_header, content);
    }

    /// Broadcasts what the kernel does about `request`.
    pub(crate) fn publish_state(&self, request: &Request, execution_state: ExecutionState) {
        self.publish(request, &Status { execution_state }.into());
    }

    /// Sends the reply of `request`.
    pub(crate) fn reply(&self, request: &Request, content: &Content) {
        let Incoming {
            identities,
            raw_header,
            ..
        } = &request.message;
        let message = self.codec.encode(identities, raw_header, content);
        let socket = match request.origin {
            Origin::Shell => &self.sockets.shell,
            Origin::Control => &self.sockets.control,
        };
        // A client that left needs no reply.
        let _connected = socket.send(&message);
    }

    /// Number of the last cell that counted.
    pub(crate) fn execution_count(&self) -> u32 {
        self.execution_count.load(Ordering::Relaxed)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // A plain mutex: it is never held across an await.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a request that is neither an execution nor a shutdown.
pub(crate) async fn answer(desk: &Arc<Desk>, request: &Request) {
    if take_comm(desk, request) {
        return;
    }
    desk.publish_state(request, ExecutionState::Busy);
    let reply = match &request.message.content {
        Ok(content) => answer_content(desk, content).await,
        Err(error) => Some(refusal(&request.message.header.msg_type, error)),
    };
    if let Some(reply) = reply {
        desk.reply(request, &reply);
    }
    desk.publish_state(request, ExecutionState::Idle);
}

/// Handles a message of a comm, at once: they count in the order in which they come. `false` for
/// any other message.
pub(crate) fn take_comm(desk: &Arc<Desk>, request: &Request) -> bool {
    let Ok(content) = &request.message.content else {
        return false;
    };
    if !matches!(
        content,
        Content::CommOpen(_) | Content::CommMsg(_) | Content::CommClose(_)
    ) {
        return false;
    }
    desk.publish_state(request, ExecutionState::Busy);
    match content {
        Content::CommOpen(opened) => comm::open(desk, request, opened),
        Content::CommMsg(sent) => comm::take(desk, request, sent),
        Content::CommClose(closed) => comm::close(desk, closed),
        _ => {}
    }
    desk.publish_state(request, ExecutionState::Idle);
    true
}

async fn answer_content(desk: &Arc<Desk>, content: &Content) -> Option<Content> {
    Some(match content {
        Content::KernelInfoRequest(_) => kernel_info::reply(desk).into(),
        Content::CompleteRequest(asked) => complete::reply(desk, asked).await,
        Content::InspectRequest(asked) => inspect::reply(desk, asked).await,
        Content::IsCompleteRequest(asked) => is_complete::reply(desk, asked).into(),
        Content::HistoryRequest(asked) => history::reply(desk, asked).await.into(),
        Content::CommInfoRequest(asked) => comm::info(desk, asked).into(),
        Content::InterruptRequest(_) => {
            lifecycle::interrupt_until_stopped(desk);
            InterruptReply {}.into()
        }
        other => return unanswered(other.msg_type()),
    })
}

fn unanswered(msg_type: &str) -> Option<Content> {
    warn!(msg_type, "a message of unknown type");
    // Only a request is waited for.
    let _stem = msg_type.strip_suffix("_request")?;
    let error = Error::new(
        ErrorKind::Protocol,
        format!("this kernel does not answer `{msg_type}`"),
    )
    .with_hint("ask for `kernel_info_request` to see what the kernel supports");
    Some(refusal(msg_type, &error))
}

/// The byte offset of a cursor given in Unicode code points; the end of `code` beyond it.
fn byte_offset(code: &str, cursor: Option<usize>) -> usize {
    cursor
        .and_then(|cursor| code.char_indices().nth(cursor))
        .map_or(code.len(), |(offset, _)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_count_code_points() {
        for (cursor, expected) in [
            (Some(0), 0),
            (Some(1), 2),
            (Some(2), 6),
            (Some(3), 7),
            (Some(9), 7),
            (None, 7),
        ] {
            assert_eq!(byte_offset("ä😀x", cursor), expected, "{cursor:?}");
        }
    }
}
