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

/// Takes the chunks of one call that hands out one after the other.
#[derive(Debug)]
pub struct Chunks<T = Value> {
    reader: Option<mpsc::Sender<T>>,
    count: u64,
}

impl Chunks {
    /// Hands `value` out, as the event `stream.chunk` and to whoever reads the stream; waits until
    /// that one wants more.
    ///
    /// # Errors
    ///
    /// Those of [`Context::check`]; `cancelled` when the reader is gone. A generator that gets one
    /// ends.
    pub async fn push(&mut self, cx: &Context, value: Value) -> Result<()> {
        self.push_as(cx, value, Value::clone).await
    }
}

impl<T> Chunks<T> {
    /// Of a call whose chunks are events only.
    pub(super) const fn unread() -> Self {
        Self {
            reader: None,
            count: 0,
        }
    }

    /// As [`Chunks::push`], of what `show` makes data of, where somebody observes.
    ///
    /// # Errors
    ///
    /// As of [`Chunks::push`].
    pub async fn push_as(
        &mut self,
        cx: &Context,
        value: T,
        show: impl FnOnce(&T) -> Value,
    ) -> Result<()> {
        cx.check()?;
        if cx.is_observed() {
            emit(cx, self.count, &show(&value));
        }
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
pub struct ProcedureStream<T = Value, R = Value> {
    work: Option<BoxFuture<'static, Result<R>>>,
    chunks: mpsc::Receiver<T>,
    returned: Option<R>,
    error: Option<Error>,
}

impl<T, R> fmt::Debug for ProcedureStream<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcedureStream")
            .field("is_running", &self.work.is_some())
            .finish_non_exhaustive()
    }
}

impl<T, R> ProcedureStream<T, R> {
    /// The chunks that `body` hands out until it ends with what it returns.
    pub fn new<F>(body: impl FnOnce(Chunks<T>) -> F) -> Self
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let (sender, chunks) = mpsc::channel(0);
        let work = body(Chunks {
            reader: Some(sender),
            count: 0,
        });
        Self {
            work: Some(work.boxed()),
            chunks,
            returned: None,
            error: None,
        }
    }

    /// What the call returned; `None` before its end, and when it failed.
    pub const fn returned(&self) -> Option<&R> {
        self.returned.as_ref()
    }

    /// As [`ProcedureStream::returned`], to keep; it is not there any more afterwards.
    pub const fn take_returned(&mut self) -> Option<R> {
        self.returned.take()
    }
}

// Nothing in it is pinned in place: the work is boxed.
impl<T, R> Unpin for ProcedureStream<T, R> {}

impl<T, R> Stream for ProcedureStream<T, R> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<T>>> {
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
