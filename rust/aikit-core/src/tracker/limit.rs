//! Time limits: whose deadline it was that passed, and what comes too late.

use super::Operation;
use crate::{
    Error, ErrorKind, Result,
    context::{Context, Overrides},
};

/// A part of what runs somewhere, with a time limit of its own, within one execution.
#[derive(Debug)]
pub struct Limited<'a> {
    caller: &'a Context,
    cx: Context,
}

impl<'a> Limited<'a> {
    /// What `overrides` say, below `caller`; with their `timeout`, if there is one.
    pub fn new(caller: &'a Context, overrides: Overrides) -> Self {
        let cx = caller.part(overrides);
        Self { caller, cx }
    }

    /// The Context of the part.
    pub const fn context(&self) -> &Context {
        &self.cx
    }

    /// Runs `work` in the Context of the part, not longer than it lasts.
    ///
    /// # Errors
    ///
    /// Those of `work` and of [`Context::within`].
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = self.cx.run(self.cx.within(work)).await;
        outcome.and_then(|it| it)
    }

    /// What became of the work: what came after the limit is as late as what did not come. `late`
    /// says so where the limit was the part's own; the caller's deadline says so itself.
    ///
    /// # Errors
    ///
    /// Those of `outcome` and of [`Context::check`], or what `late` makes of them.
    pub fn settle<T>(&self, outcome: Result<T>, late: impl FnOnce(Error) -> Error) -> Result<T> {
        in_time(&self.cx, outcome).map_err(|error| {
            if is_own(&self.cx, self.caller, &error) {
                late(error)
            } else {
                error
            }
        })
    }
}

/// What was computed, unless `cx` has ended meanwhile.
pub(super) fn in_time<T>(cx: &Context, outcome: Result<T>) -> Result<T> {
    outcome.and_then(|value| cx.check().map(|()| value))
}

/// Says of the passed deadline of `cx` that it was the operation's own and not the caller's, where
/// it was.
#[must_use]
pub fn explain(cx: &Context, caller: &Context, operation: &Operation, error: Error) -> Error {
    match operation.timeout {
        Some(timeout) if is_own(cx, caller, &error) => {
            let message = format!("`{}` took longer than {timeout:?}", operation.name);
            Error::new(ErrorKind::Timeout, message)
                .with_hint("raise its time limit, or ask for less in one call")
                .with_source(error)
        }
        _ => error,
    }
}

/// Whether an error is the passed deadline of `cx`, and not one of its caller's.
fn is_own(cx: &Context, caller: &Context, error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout
        && cx.remaining().is_some_and(|it| it.is_zero())
        && caller.check().is_ok()
}
