//! `input`: asks the user in the front end whose cell runs.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    choice::{ATTEMPTS_MAX, choose},
    services::{Ask, Question},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use tracing::debug;

use crate::{
    capture::CellOutput,
    handlers::Desk,
    wire::{
        Content,
        frame::{Incoming, message_id},
        input::InputRequest,
    },
};

/// How long a front end may take to connect its stdin socket.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Where the questions of a cell go.
#[derive(Clone, Debug)]
pub(super) struct FrontEnd {
    /// The client that sent the cell.
    pub(super) identities: Vec<Bytes>,
    /// Header of the cell's request, byte for byte.
    pub(super) parent: Bytes,
    /// What was printed must be seen before the question.
    pub(super) output: CellOutput,
}

/// Asks through the front end of the kernel it is given to in
/// [`Program`](crate::kernel::Program); made before the kernel, because services are.
#[derive(Debug, Default)]
pub struct Asker {
    desk: OnceLock<Weak<Desk>>,
}

impl Asker {
    pub(crate) fn attach(&self, desk: &Arc<Desk>) {
        // A second kernel of the same services is not asked.
        let _taken = self.desk.set(Arc::downgrade(desk));
    }
}

impl Ask for Asker {
    fn ask<'a>(&'a self, cx: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let desk = self.desk.get().and_then(Weak::upgrade).ok_or_else(nobody)?;
            cx.within(desk.ask(&question)).await?
        })
    }
}

impl Desk {
    async fn ask(&self, question: &Question) -> Result<String> {
        let front_end = self.front_end().ok_or_else(nobody)?;
        // Held while waiting: the next answer belongs to this question.
        let mut answers = self.answers.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            // An answer to a question that was interrupted.
            while answers.try_recv().is_ok() {}
            front_end.output.flush();
            let request = InputRequest {
                prompt: prompt(question),
                password: question.secret,
            };
            let FrontEnd {
                identities, parent, ..
            } = &front_end;
            let message = self.codec.encode(identities, parent, &request.into());
            if !self
                .sockets
                .stdin
                .send_within(CONNECT_LIMIT, &message)
                .await
            {
                return Err(nobody());
            }
            let answer = loop {
                let answer = answers.recv().await.ok_or_else(nobody)?;
                if !belongs(&answer, &message.msg_id, identities, parent) {
                    debug!("an answer to another question was dropped");
                } else if let Ok(Content::InputReply(reply)) = answer.content {
                    break reply.value;
                }
            };
            if let Some(answer) = choose(&answer, &question.choices) {
                return Ok(answer);
            }
        }
        let choices = question.choices.join("`, `");
        Err(Error::invalid_args("the answer is none of the choices")
            .with_hint(format!("answer with one of `{choices}`")))
    }
}

/// Whether `answer` comes from who was asked, and is not to another question. Not every client says
/// which one it answers; some name the cell that asked, whose header is `cell`.
fn belongs(answer: &Incoming, question_id: &str, identities: &[Bytes], cell: &Bytes) -> bool {
    let is_meant = |id: String| id == question_id || Some(id) == message_id(cell);
    answer.identities == identities && answer.parent_id().is_none_or(is_meant)
}

fn prompt(question: &Question) -> String {
    if question.choices.is_empty() {
        return question.prompt.clone();
    }
    format!(
        "{} [{}] ",
        question.prompt.trim_end(),
        question.choices.join("/")
    )
}

fn nobody() -> Error {
    Error::new(ErrorKind::Unavailable, "no front end can be asked")
        .with_hint("run the cell in a notebook or console that answers questions")
}

#[cfg(test)]
mod tests {
    use aikit_core::clock::SystemClock;

    use super::*;
    use crate::wire::{frame::Codec, input::InputReply};

    #[test]
    fn an_answer_belongs_to_who_was_asked_and_to_the_question() {
        let codec = Codec::new("key", Arc::new(SystemClock));
        let asked = [Bytes::from_static(b"asked")];
        let header = |id: &str| Bytes::from(format!(r#"{{"msg_id":"{id}"}}"#));
        for (identity, parent, expected) in [
            (&b"asked"[..], Bytes::new(), true),
            (b"asked", header("question"), true),
            (b"asked", header("cell"), true),
            (b"asked", header("earlier question"), false),
            (b"other", header("question"), false),
            (b"other", Bytes::new(), false),
        ] {
            let identities = [Bytes::from_static(identity)];
            let reply = InputReply {
                value: "yes".to_owned(),
            };
            let sent = codec.encode(&identities, &parent, &reply.into());
            let answer = codec.decode(sent.frames).unwrap();
            let belongs = belongs(&answer, "question", &asked, &header("cell"));
            assert_eq!(belongs, expected, "{identity:?} {parent:?}");
        }
    }
}
