//! Runs a computation that may take long, loop or recurse on a thread of its own, within bounds.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use aikit_core::{Context, Error, ErrorKind, Result, context::Overrides};
use tokio::sync::oneshot;

/// Stack of the thread. Only what is touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// Part of the stack that a computation may use before it is stopped.
const STACK_BYTES_USED_MAX: usize = STACK_BYTES / 2;

/// Steps between two looks at the deadline.
const STEPS_BETWEEN_CHECKS: u64 = 256;

/// What a running computation may still use.
#[derive(Debug)]
pub(super) struct Budget {
    cx: Context,
    stack_start: usize,
    steps_max: u64,
    steps: AtomicU64,
    stopped: OnceLock<(ErrorKind, String)>,
}

impl Budget {
    fn new(cx: Context, steps_max: u64) -> Self {
        let here = 0_u8;
        Self {
            cx,
            stack_start: std::ptr::from_ref(&here).addr(),
            steps_max,
            steps: AtomicU64::new(0),
            stopped: OnceLock::new(),
        }
    }

    /// Takes one step; once this has failed it fails for ever.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` beyond the steps or the stack, and those of [`Context::check`].
    pub(super) fn step(&self) -> Result<()> {
        self.outcome()?;
        let steps = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let here = 0_u8;
        let used = self.stack_start.abs_diff(std::ptr::from_ref(&here).addr());
        let limit =
            |what: &str| Error::new(ErrorKind::LimitExceeded, format!("the computation {what}"));
        let checked = if steps > self.steps_max {
            Err(limit("takes too many steps"))
        } else if used > STACK_BYTES_USED_MAX {
            Err(limit("recurses too deeply"))
        } else if steps.is_multiple_of(STEPS_BETWEEN_CHECKS) {
            self.cx.check()
        } else {
            Ok(())
        };
        checked.map_err(|error| self.stop(error))
    }

    /// Ends the computation with `error`, whatever it does with the failure of this step.
    pub(super) fn stop(&self, error: Error) -> Error {
        self.stopped
            .get_or_init(|| (error.kind(), error.message().to_owned()));
        error
    }

    /// Fails when a step has failed.
    ///
    /// # Errors
    ///
    /// That step's.
    pub(super) fn outcome(&self) -> Result<()> {
        match self.stopped.get() {
            None => Ok(()),
            Some((kind, message)) => {
                Err(Error::new(*kind, message.clone())
                    .with_hint("simplify the expression or the data"))
            }
        }
    }
}

/// Runs `work` on its own thread, for at most `steps_max` steps, and waits for it; when the wait ends early, so does the work at
/// its next step.
///
/// # Errors
///
/// Those of `work`; `internal` when it panics.
pub(super) async fn run<T: Send + 'static>(
    cx: &Context,
    steps_max: u64,
    work: impl FnOnce(&Budget) -> Result<T> + Send + 'static,
) -> Result<T> {
    let cx = cx.child(Overrides::default());
    let guard = CancelOnDrop(cx.clone());
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("aikit-compute".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let budget = Budget::new(cx, steps_max);
            let outcome = work(&budget).and_then(|answer| budget.outcome().map(|()| answer));
            // A receiver that is gone means that the caller stopped waiting.
            drop(sender.send(outcome));
        })
        .map_err(|error| {
            Error::new(ErrorKind::Unavailable, "no thread can be started").with_source(error)
        })?;
    let outcome = receiver.await;
    drop(guard);
    outcome
        .map_err(|error| Error::internal("a computation ended unexpectedly").with_source(error))?
}

struct CancelOnDrop(Context);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0
            .cancel(ErrorKind::Cancelled, "the caller stopped waiting");
    }
}
