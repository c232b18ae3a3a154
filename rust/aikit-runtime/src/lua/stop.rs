//! Stops one run alone: a task, or a function that was handed over, whose Context is cancelled or
//! past its deadline.
//!
//! A run that waits is dropped the next time it is polled. One that computes is not polled again
//! by itself, so whoever wakes it (the timer of its deadline, the thread that cancels) has its
//! code interrupted. Neither runs any more of its code: what its variables to be closed would run
//! could wait or loop again, past the end that it was given. That costs nothing as long as nothing stops: there is no watcher until then.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
};

use aikit_core::{Context, Error, ErrorKind, Result, io};
use futures::task::AtomicWaker;

use super::{
    interrupt::{self, Control},
    thread,
};

/// What the Lua thread and whoever stops the run share.
#[derive(Debug)]
struct Stop {
    cx: Context,
    /// The control of the Lua thread.
    control: Option<&'static Control>,
    /// Whether the code of the run must stop.
    asked: AtomicBool,
    /// Whether the run is being polled.
    polled: AtomicBool,
    /// Wakes the run.
    waker: AtomicWaker,
}

impl Wake for Stop {
    fn wake(self: Arc<Self>) {
        self.waker.wake();
        if self.polled.load(Ordering::SeqCst) {
            // Spawned, because whoever wakes may hold the locks of what it wakes for.
            drop(io::spawn(self.interrupt()));
        }
    }
}

impl Stop {
    /// Interrupts the code of the run, again and again until its poll is over.
    async fn interrupt(self: Arc<Self>) {
        let Some(control) = self.control else { return };
        while self.polled.load(Ordering::SeqCst) {
            // A wake is no proof.
            if self.cx.check().is_err() {
                self.asked.store(true, Ordering::SeqCst);
                control.signal_unless(&|| !self.polled.load(Ordering::SeqCst));
            }
            self.cx.clock().sleep(thread::AGAIN).await;
        }
    }

    /// What the run ends with: one that was interrupted, or that was told by what it waited for,
    /// may have caught the error. `is_undisturbed` says that no code was stopped in this poll.
    fn judge<T>(&self, outcome: Result<T>, is_undisturbed: bool) -> Result<T> {
        let ended = self.cx.check().err();
        // Whether its time was up was asked as the poll began: work that has ended well since has
        // ended in time, and what it took, such as an event, nobody else would get.
        let is_in_time = outcome.is_ok() && is_undisturbed && ended.as_ref().is_some_and(is_late);
        let is_asked = self.asked.load(Ordering::SeqCst);
        if is_in_time || (ended.is_none() && !is_asked) {
            return outcome;
        }
        let reason = thread::stopped(&self.cx);
        match outcome {
            // It says the same, and where.
            Err(error) if error.kind() == reason.kind() => Err(error),
            _ => Err(reason),
        }
    }
}

/// Whether the time of a Context is up.
fn is_late(reason: &Error) -> bool {
    reason.kind() == ErrorKind::Timeout
}

/// Says that a run is being polled, until dropped.
struct Polled<'a>(&'a AtomicBool);

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Runs `work` until it ends or `cx` does. Whether it was stopped is asked first: a run that was
/// cancelled never begins, because the interrupt that cancelled it may be over by then.
///
/// # Errors
///
/// Those of `work`; the reason of `cx` when it was stopped, whatever `work` made of that.
pub(super) async fn until_stopped<T>(
    cx: &Context,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let stop = Arc::new(Stop {
        cx: cx.clone(),
        control: interrupt::own(),
        asked: AtomicBool::new(false),
        polled: AtomicBool::new(false),
        waker: AtomicWaker::new(),
    });
    let waker = Waker::from(Arc::clone(&stop));
    let (mut stopped, mut work) = (pin!(cx.stopped()), pin!(work));
    poll_fn(|task| {
        // Both before the question, so that no answer that comes later is missed.
        stop.waker.register(task.waker());
        stop.polled.store(true, Ordering::SeqCst);
        let _polled = Polled(&stop.polled);
        let mut asking = TaskContext::from_waker(&waker);
        if let Poll::Ready(reason) = stopped.as_mut().poll(&mut asking) {
            return Poll::Ready(Err(reason));
        }
        // The timer of what the run waits for may have gone off before the run's own.
        if let Err(reason) = stop.cx.check() {
            return Poll::Ready(Err(reason));
        }
        let raised = interrupt::raised();
        let polled = interrupt::within_run(&stop.asked, || work.as_mut().poll(task));
        polled.map(|outcome| stop.judge(outcome, interrupt::raised() == raised))
    })
    .await
}
