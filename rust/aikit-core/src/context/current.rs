//! The current Context: what code sees that was given none.

use super::{Context, Overrides};
use crate::{Error, Result};

tokio::task_local! {
    static CURRENT: Context;
}

impl Context {
    /// Runs `future` with this Context as the current one.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        CURRENT.scope(self.clone(), future).await
    }

    /// Runs `body` with this Context as the current one.
    pub fn run_sync<T>(&self, body: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), body)
    }

    /// Runs `future` in a child of this Context.
    pub async fn fork<F: Future>(&self, overrides: Overrides, future: F) -> F::Output {
        self.child(overrides).run(future).await
    }

    /// The current Context.
    ///
    /// # Errors
    ///
    /// `not_found` outside [`Context::run`].
    pub fn get() -> Result<Self> {
        Self::try_get().ok_or_else(|| {
            Error::not_found("there is no current context")
                .with_hint("run the call inside `Context.run`, or use `try_get`")
        })
    }

    /// The current Context, if there is one.
    pub fn try_get() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}
