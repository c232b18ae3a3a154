//! The way of a call past the tape: it is made and recorded, or answered with what was recorded.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    model::{ChatEvent, ChatResponse},
    tape::{Found, Tape, TapeCall},
};

use super::form::{self, Form};

/// Does `work`, or gives the recorded outcome of `call` in its place.
///
/// # Errors
///
/// Those of the work or the recorded one; `cassette_miss`.
pub(crate) async fn taped<T, F: Future<Output = Result<T>>>(
    cx: &Context,
    call: impl FnOnce() -> Result<TapeCall>,
    work: impl FnOnce() -> F,
    form: Form<T>,
) -> Result<T> {
    let Some(tape) = cx.tape() else {
        return work().await;
    };
    let call = call()?;
    let number = match tape.find(&call)? {
        Found::Recorded(outcome) => return (form.read)(form::recorded(outcome)?),
        Found::Missing(number) => number,
    };
    let outcome = work().await;
    match &outcome {
        Ok(answer) => tape.keep(number, call, form::answer((form.write)(answer)?)),
        Err(error) if is_callers(cx, error) => {}
        Err(error) => tape.keep(number, call, form::error(error)),
    }
    outcome
}

/// Whether it was the caller who ended the call, which says nothing about what was called. A refusal
/// and a limit of the call itself are answers: an agent is told them and goes on.
fn is_callers(cx: &Context, error: &Error) -> bool {
    let is_stopped = matches!(
        error.kind(),
        ErrorKind::Cancelled | ErrorKind::Interrupted | ErrorKind::CassetteMiss
    );
    is_stopped || cx.check().is_err()
}

/// An answer that is recorded while it arrives. When it is left half-way, what had arrived is kept.
pub(crate) struct Recording {
    tape: Arc<dyn Tape>,
    /// Of the recording under which the call began.
    number: u64,
    call: Option<TapeCall>,
    pieces: Vec<Value>,
}

impl Recording {
    /// Begins to record the answer to `call` in the recording `number`.
    pub(crate) const fn new(tape: Arc<dyn Tape>, number: u64, call: TapeCall) -> Self {
        Self {
            tape,
            number,
            call: Some(call),
            pieces: Vec::new(),
        }
    }

    /// Records a piece.
    pub(crate) fn piece(&mut self, piece: &ChatEvent) {
        self.pieces.extend(form::piece(piece));
    }

    /// Records the end of a call in `cx`.
    ///
    /// # Errors
    ///
    /// `internal` for an answer that is no data.
    pub(crate) fn end(mut self, cx: &Context, outcome: &Result<ChatResponse>) -> Result<()> {
        let pieces = std::mem::take(&mut self.pieces);
        let (Some(call), false) = (
            self.call.take(),
            outcome.as_ref().is_err_and(|error| is_callers(cx, error)),
        ) else {
            return Ok(());
        };
        self.tape
            .keep(self.number, call, form::streamed(pieces, outcome)?);
        Ok(())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        if let Some(call) = self.call.take()
            && !pieces.is_empty()
        {
            self.tape.keep(self.number, call, form::left(pieces));
        }
    }
}
