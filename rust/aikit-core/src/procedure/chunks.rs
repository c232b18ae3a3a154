//! What a generator hands out before it ends, and the stream that takes it.

use std::{
    fmt,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{
    FutureExt as _, SinkExt as _, Stream, StreamExt as _, channel::mpsc, future::BoxFuture,
};

use crate::{Error, ErrorKind, Result, Value, context::Context, event::EventKind};

/// Takes the chunks of one call of a generator.
#[derive(Debug)]
pub struct Chunks {
    reader: Option<mpsc::Sender<Value>>,
    count: u64,
}

impl Chunks {
    /// Of a call whose chunks are events only.
    pub(super) const fn unread() -> Self {
        Self {
            reader: None,
            count: 0,
        }
    }

    pub(super) const fn read_by(reader: mpsc::Sender<Value>) -> Self {
        Self {
            reader: Some(reader),
            count: 0,
        }
    }

    /// Hands `value` out, as the event `stream.chunk` and to whoever reads the stream; waits until
    /// that one wants more.
    ///
    /// # Errors
    ///
    /// Those of [`Context::check`]; `cancelled` when the reader is gone. A generator that gets one
    /// ends.
    pub async fn push(&mut self, cx: &Context, value: Value) -> Result<()> {
        cx.check()?;
        emit(cx, self.count, &value);
        self.count += 1;
        let Some(reader) = &mut self.reader else {
            // Nobody reads the stream itself: its chunks are events only, and nothing is waited for.
            return Ok(());
        };
        reader
            .send(value)
            .await
            .map_err(|_| Error::new(ErrorKind::Cancelled, "the reader of the stream is gone"))
    }
}

/// Publishes chunk `index`, counted from 0, of the procedure that runs in `cx`.
pub fn emit(cx: &Context, index: u64, value: &Value) {
    if cx.is_observed() {
        let index = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        let data = Value::map([("index", index), ("value", value.clone())]);
        cx.emit(EventKind::StreamChunk, data);
    }
}

/// The chunks of one call. The call makes progress while the stream is polled, and is cancelled
/// when it is dropped before its end.
pub struct ProcedureStream {
    work: Option<BoxFuture<'static, Result<Value>>>,
    chunks: mpsc::Receiver<Value>,
    returned: Option<Value>,
    error: Option<Error>,
}

impl fmt::Debug for ProcedureStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcedureStream")
            .field("is_running", &self.work.is_some())
            .finish_non_exhaustive()
    }
}

impl ProcedureStream {
    pub(super) fn new(
        chunks: mpsc::Receiver<Value>,
        work: BoxFuture<'static, Result<Value>>,
    ) -> Self {
        Self {
            work: Some(work),
            chunks,
            returned: None,
            error: None,
        }
    }

    /// What the generator returned; `None` before its end, and when it failed.
    pub const fn returned(&self) -> Option<&Value> {
        self.returned.as_ref()
    }
}

impl Stream for ProcedureStream {
    type Item = Result<Value>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Value>>> {
        loop {
            // What was handed out comes before the end.
            if let Poll::Ready(Some(chunk)) = self.chunks.poll_next_unpin(cx) {
                return Poll::Ready(Some(Ok(chunk)));
            }
            let Some(work) = &mut self.work else {
                return Poll::Ready(self.error.take().map(Err));
            };
            match work.poll_unpin(cx) {
                Poll::Ready(outcome) => {
                    self.work = None;
                    match outcome {
                        Ok(value) => self.returned = Some(value),
                        Err(error) => self.error = Some(error),
                    }
                }
                Poll::Pending => match self.chunks.poll_next_unpin(cx) {
                    Poll::Ready(Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                    _ => return Poll::Pending,
                },
            }
        }
    }
}
