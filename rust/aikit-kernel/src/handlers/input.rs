//! `input`: asks the user in the front end whose cell runs.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    choice::{ATTEMPTS_MAX, choose},
    services::{Ask, Question},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
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
    /// Held while a question of the shell waits.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
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
            cx.within(desk.ask(cx, &question)).await?
        })
    }
}

/// The questions that wait for an answer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Vec<Asked>>);

/// A question that waits.
#[derive(Debug)]
struct Asked {
    id: String,
    identities: Vec<Bytes>,
    /// Header of the cell's request, byte for byte.
    cell: Bytes,
    answer: oneshot::Sender<String>,
}

/// A question waits until dropped.
struct Waiting<'a> {
    questions: &'a Questions,
    id: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.questions.open().retain(|it| it.id != self.id);
    }
}

impl Questions {
    fn open(&self) -> MutexGuard<'_, Vec<Asked>> {
        // A plain mutex: it is never held across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an answer to the question it belongs to: the one it names, or else the oldest of its
    /// client. Nobody waits any more for one to a question that was interrupted.
    fn answer(&self, answer: &Incoming) {
        let Ok(Content::InputReply(reply)) = &answer.content else {
            return debug!("what came on the stdin socket is no answer");
        };
        let mut questions = self.open();
        let meant = questions
            .iter()
            .position(|it| belongs(answer, &it.id, &it.identities, &it.cell));
        let Some(meant) = meant else {
            return debug!("an answer to another question was dropped");
        };
        // Whoever asked may have stopped waiting by now.
        let _gone = questions.remove(meant).answer.send(reply.value.clone());
    }
}

/// Gives what clients answer to who asked.
pub(crate) async fn answer_questions(desk: Arc<Desk>, mut answers: mpsc::Receiver<Incoming>) {
    while let Some(answer) = answers.recv().await {
        desk.questions.answer(&answer);
    }
}

impl Desk {
    async fn ask(&self, cx: &Context, question: &Question) -> Result<String> {
        let front_end = self.front_end(cx).ok_or_else(nobody)?;
        // Of each shell one at a time: front ends show one prompt below a cell.
        let _turn = front_end.asking.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            front_end.output.flush();
            let answer = self.ask_once(&front_end, question).await?;
            if let Some(answer) = choose(&answer, &question.choices) {
                return Ok(answer);
            }
        }
        let choices = question.choices.join("`, `");
        Err(Error::invalid_args("the answer is none of the choices")
            .with_hint(format!("answer with one of `{choices}`")))
    }

    async fn ask_once(&self, front_end: &FrontEnd, question: &Question) -> Result<String> {
        let request = InputRequest {
            prompt: prompt(question),
            password: question.secret,
        };
        let FrontEnd {
            identities, parent, ..
        } = front_end;
        let message = self.codec.encode(identities, parent, &request.into());
        let (answer, answered) = oneshot::channel();
        self.questions.open().push(Asked {
            id: message.msg_id.clone(),
            identities: identities.clone(),
            cell: parent.clone(),
            answer,
        });
        let _waiting = Waiting {
            questions: &self.questions,
            id: message.msg_id.clone(),
        };
        let stdin = &self.sockets.stdin;
        if !stdin.send_within(CONNECT_LIMIT, &message).await {
            return Err(nobody());
        }
        answered.await.map_err(|_| nobody())
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
