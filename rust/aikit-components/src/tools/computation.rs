//! Runs a computation that may take long, loop or recurse on a thread of its own, within bounds.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use aikit_core::{Context, Error, ErrorKind, Result, context::Overrides, per_process::PerProcess};
use tokio::sync::{Semaphore, oneshot};

/// Stack of the thread. Only what is touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// Part of the stack that a computation may use before it is stopped.
const STACK_BYTES_USED_MAX: usize = STACK_BYTES / 2;

/// Steps between two looks at the deadline.
const STEPS_BETWEEN_CHECKS: u64 = 256;

/// Computations of one process at once for each processor; others wait for their turn.
const THREADS_PER_PROCESSOR: usize = 2;

/// Turns to compute. Not one a session: the processors are the process's.
static TURNS: PerProcess<Arc<Semaphore>> = PerProcess::new();

fn turns() -> Arc<Semaphore> {
    let make = || Arc::new(Semaphore::new(threads_max()));
    Arc::clone(TURNS.get_or_init(make))
}

fn threads_max() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from) * THREADS_PER_PROCESSOR
}

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

/// Runs `work` on its own thread, for at most `steps_max` steps, and waits for it; when the wait
/// ends early, so does the work at its next step. No more than two threads a processor compute at
/// once; who comes later waits, as long as `cx` lasts.
///
/// # Errors
///
/// Those of `work` and of [`Context::within`]; `internal` when it panics.
pub(super) async fn run<T: Send + 'static>(
    cx: &Context,
    steps_max: u64,
    work: impl FnOnce(&Budget) -> Result<T> + Send + 'static,
) -> Result<T> {
    let turn = cx.within(turns().acquire_owned()).await?;
    let turn = turn.map_err(|error| Error::internal("nobody computes").with_source(error))?;
    let cx = cx.part(Overrides::default());
    let guard = CancelOnDrop(cx.clone());
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("aikit-compute".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let budget = Budget::new(cx, steps_max);
            let outcome = work(&budget).and_then(|answer| budget.outcome().map(|()| answer));
            // Kept to the end of the thread, whoever still waits for it.
            drop(turn);
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use aikit_core::io;

    #[test]
    fn computations_take_turns_and_waiting_for_one_ends_with_the_deadline() {
        let (begun, beginnings) = mpsc::channel();
        let (end, ending) = mpsc::channel::<()>();
        let ending = Arc::new(std::sync::Mutex::new(ending));
        let compute = |cx: Context| {
            let (begun, ending) = (begun.clone(), Arc::clone(&ending));
            async move {
                let work = move |_: &Budget| {
                    begun.send(()).unwrap();
                    ending.lock().unwrap().recv().unwrap();
                    Ok(())
                };
                run(&cx, 1, work).await
            }
        };
        let running: Vec<_> = (0..threads_max())
            .map(|_| io::spawn(compute(Context::default())))
            .collect();
        for _ in 0..threads_max() {
            beginnings.recv().unwrap();
        }
        let late = Context::create(Overrides {
            timeout: Some(Duration::from_millis(5)),
            ..Overrides::default()
        });
        let refused = io::wait(compute(late), || Ok(())).unwrap();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
        let next = io::spawn(compute(Context::default()));
        for _ in 0..=threads_max() {
            end.send(()).unwrap();
        }
        for task in running.into_iter().chain([next]) {
            io::wait(task, || Ok(())).unwrap().unwrap().unwrap();
        }
        beginnings.recv().unwrap();
        assert!(
            beginnings.try_recv().is_err(),
            "what was refused never began"
        );
    }
}
