//! Answers requests: one file a subject, named like its payloads in `wire`.

pub(crate) mod execute;
pub(crate) mod input;
pub(crate) mod lifecycle;
pub(crate) mod subshell;

mod comm;
mod complete;
mod history;
mod inspect;
mod is_complete;
mod kernel_info;

use std::sync::{Arc, Mutex};

use aikit_core::{Context, Error, ErrorKind, Result, engine::ScriptEngine};
use tracing::warn;

use self::subshell::{Shell, Shells};
use crate::{
    archive::HistoryPlace,
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
    pub(crate) shells: Shells,
    current: Mutex<lifecycle::Current>,
    comms: comm::Comms,
    questions: input::Questions,
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
        history: Option<HistoryPlace>,
    ) -> Self {
        Self {
            engine,
            sockets,
            codec,
            context,
            shells: Shells::new(history),
            current: Mutex::default(),
            comms: comm::Comms::default(),
            questions: input::Questions::default(),
        }
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

    /// Says that `request` is taken up, answers it, and says that this is all.
    pub(crate) fn answer_at_once(&self, request: &Request, reply: Option<&Content>) {
        self.publish_state(request, ExecutionState::Busy);
        if let Some(reply) = reply {
            self.reply(request, reply);
        }
        self.publish_state(request, ExecutionState::Idle);
    }

    /// Answers a request that is not taken up, because of `error`.
    pub(crate) fn refuse(&self, request: &Request, error: &Error) {
        self.answer_at_once(request, refused(request, error).as_ref());
    }

    /// Closes all comms; what they hold of the kernel goes with them.
    pub(crate) fn close_comms(&self) {
        self.comms.close_all();
    }

    /// The shell that a request is for. An engine whose cells cannot run side by side has the main
    /// one only, and what headers say of others is nothing to it.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none.
    pub(crate) fn shell_of(&self, request: &Request) -> Result<Arc<Shell>> {
        if request.origin == Origin::Control || !self.engine.has_shells() {
            return Ok(Arc::clone(&self.shells.main));
        }
        self.shells.of(&request.message.header)
    }
}

/// Answers a request that is neither an execution nor a shutdown.
pub(crate) async fn answer(desk: &Arc<Desk>, request: &Request) {
    if take_at_once(desk, request) {
        return;
    }
    let shell = match desk.shell_of(request) {
        Ok(shell) => shell,
        Err(error) => return desk.refuse(request, &error),
    };
    desk.publish_state(request, ExecutionState::Busy);
    let reply = match &request.message.content {
        Ok(content) => match answer_content(desk, &shell, content).await {
            Ok(reply) => Some(reply),
            Err(error) => refused(request, &error),
        },
        Err(error) => {
            warn!(%error, "a message that cannot be read");
            refused(request, error)
        }
    };
    if let Some(reply) = reply {
        desk.reply(request, &reply);
    }
    desk.publish_state(request, ExecutionState::Idle);
}

/// Answers what waits for nothing, at once: such requests count in the order in which they come, and
/// so a client that asks for `kernel_info` until it hears of itself hears of the last one too.
/// `false` for any other message.
pub(crate) fn take_at_once(desk: &Arc<Desk>, request: &Request) -> bool {
    let Ok(content) = &request.message.content else {
        return false;
    };
    let reply = match content {
        Content::KernelInfoRequest(_) => kernel_info::reply(desk).into(),
        Content::CommInfoRequest(asked) => comm::info(desk, asked).into(),
        _ => return take_comm(desk, request, content),
    };
    desk.answer_at_once(request, Some(&reply));
    true
}

/// Handles a message of a comm.
fn take_comm(desk: &Arc<Desk>, request: &Request, content: &Content) -> bool {
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

async fn answer_content(desk: &Arc<Desk>, shell: &Shell, content: &Content) -> Result<Content> {
    let has_shells = desk.engine.has_shells();
    Ok(match content {
        Content::CompleteRequest(asked) => complete::reply(desk, asked).await,
        Content::InspectRequest(asked) => inspect::reply(desk, asked).await,
        Content::IsCompleteRequest(asked) => is_complete::reply(desk, asked).into(),
        Content::HistoryRequest(asked) => history::reply(desk, shell, asked).await.into(),
        Content::InterruptRequest(_) => {
            lifecycle::interrupt_until_stopped(desk);
            InterruptReply {}.into()
        }
        Content::CreateSubshellRequest(_) if has_shells => subshell::create(desk)?.into(),
        Content::DeleteSubshellRequest(asked) if has_shells => {
            subshell::delete(desk, &asked.subshell_id)?.into()
        }
        Content::ListSubshellRequest(_) if has_shells => subshell::list(desk).into(),
        other => return Err(unanswered(other.msg_type())),
    })
}

/// The reply of a request that failed as such. Other messages wait for none; the states are all that
/// their senders hear.
fn refused(request: &Request, error: &Error) -> Option<Content> {
    let msg_type = &request.message.header.msg_type;
    msg_type
        .ends_with("_request")
        .then(|| refusal(msg_type, error))
}

fn unanswered(msg_type: &str) -> Error {
    warn!(msg_type, "a message of unknown type");
    Error::new(
        ErrorKind::Protocol,
        format!("this kernel does not answer `{msg_type}`"),
    )
    .with_hint("ask for `kernel_info_request` to see what the kernel supports")
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
