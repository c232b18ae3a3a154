//! Cancellation, the deadline, and waiting no longer than both allow.

use std::{pin::pin, time::Duration};

use futures::future::{Either, select};

use super::Context;
use crate::{Error, ErrorKind, Result};

impl Context {
    /// Cancels this Context and everything below it, and nothing above; the first reason stays.
    pub fn cancel(&self, kind: ErrorKind, reason: impl Into<String>) {
        self.0.cancel.cancel(kind, reason.into());
    }

    /// Cancels all of the operation that this Context belongs to, where somebody holds its handle;
    /// as [`Context::cancel`] otherwise.
    pub fn cancel_operation(&self, kind: ErrorKind, reason: impl Into<String>) {
        let operation = self.0.operation.as_ref();
        let cancel = operation.map_or(&self.0.cancel, |it| &it.cancel);
        cancel.cancel(kind, reason.into());
    }

    /// Whether this Context or one above it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    /// Fails when the Context is cancelled or its deadline has passed.
    ///
    /// # Errors
    ///
    /// The kind given to [`Context::cancel`], or `timeout`.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(self.0.cancel.error());
        }
        match self.remaining() {
            Some(Duration::ZERO) => Err(timed_out()),
            _ => Ok(()),
        }
    }

    /// Time until the deadline; `None` when there is none.
    pub fn remaining(&self) -> Option<Duration> {
        self.0
            .deadline
            .map(|deadline| deadline.saturating_sub(self.0.shared.clock.monotonic()))
    }

    /// Waits for `future`, but not longer than the deadline or a cancellation.
    ///
    /// # Errors
    ///
    /// Those of [`Context::check`]; `future` is dropped then.
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output> {
        self.check()?;
        let future = pin!(future);
        let cancelled = pin!(self.stopped());
        // The work is polled first: one that is ready is never thrown away.
        match select(future, cancelled).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Waits until this Context is cancelled or its deadline passes, and says why.
    pub async fn stopped(&self) -> Error {
        let cancelled = pin!(self.0.cancel.token().cancelled());
        match self.remaining() {
            None => {
                cancelled.await;
                self.0.cancel.error()
            }
            Some(remaining) => match select(cancelled, self.clock().sleep(remaining)).await {
                Either::Left(_) => self.0.cancel.error(),
                Either::Right(_) => timed_out(),
            },
        }
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "the deadline has passed")
        .with_hint("raise the time limit of the call, or split the work")
}
