//! What is being polled: code that stops once its own flag is raised, a cell's or a task's.

use std::{
    ptr,
    sync::atomic::{AtomicBool, Ordering, compiler_fence},
};

use super::{super::run::OfCell, Control, OWN};

/// A run that is being polled, and the one around it.
#[derive(Debug)]
pub(super) struct PolledRun {
    asked: *const AtomicBool,
    /// Of a cell: whether it has ended; null for others.
    is_over: *const AtomicBool,
    outer: *mut Self,
}

impl Control {
    /// Stops what is left over from a cell that has ended, when its poll of the number `seen` still
    /// runs: a cell that must stop may wait for it. Answers the number of the poll that runs now.
    /// [`Control::signal_unless`] must follow.
    pub(in crate::lua) fn stop_leftover(&self, seen: Option<u64>) -> Option<u64> {
        let poll = self.poll.load(Ordering::SeqCst);
        if poll.is_multiple_of(2) {
            return None;
        }
        if seen == Some(poll) {
            self.stopped_leftover.store(poll, Ordering::SeqCst);
        }
        Some(poll)
    }

    /// Whether a run that is being polled was asked to stop.
    pub(super) fn is_run_asked(&self) -> bool {
        let at = |run: *mut PolledRun| {
            // SAFETY: runs stand on the stack of this very thread and are taken off the list
            // before they go, see `within_run`; their flags live at least as long.
            unsafe {
                run.as_ref()
                    .map(|run| (run, &*run.asked, run.is_over.as_ref()))
            }
        };
        let poll = self.poll.load(Ordering::SeqCst);
        let is_slow = poll % 2 == 1 && poll == self.stopped_leftover.load(Ordering::SeqCst);
        let is_over = |flag: Option<&AtomicBool>| flag.is_some_and(|it| it.load(Ordering::SeqCst));
        let innermost = at(self.run.load(Ordering::SeqCst));
        std::iter::successors(innermost, |(run, _, _)| at(run.outer))
            .any(|(_, asked, over)| asked.load(Ordering::SeqCst) || (is_slow && is_over(over)))
    }
}

/// Takes the innermost run off the list, also when its poll panics.
struct LeaveRun {
    control: &'static Control,
    outer: *mut PolledRun,
}

impl Drop for LeaveRun {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.control.run.store(self.outer, Ordering::Relaxed);
        // The place of the run on the stack is used again only when nobody finds it any more.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Polls a run that stops, with all it calls, once `asked` is raised.
pub(in crate::lua) fn within_run<T>(asked: &AtomicBool, poll: impl FnOnce() -> T) -> T {
    within(asked, ptr::null(), poll)
}

/// Polls code of a cell, which stops with that.
pub(in crate::lua) fn within_cell<T>(cell: &OfCell, poll: impl FnOnce() -> T) -> T {
    within(&cell.asked, &raw const cell.is_over, poll)
}

fn within<T>(asked: &AtomicBool, is_over: *const AtomicBool, poll: impl FnOnce() -> T) -> T {
    let Some(control) = OWN.get() else {
        return poll();
    };
    let outer = control.run.load(Ordering::Relaxed);
    let mut run = PolledRun {
        asked,
        is_over,
        outer,
    };
    let _leave = LeaveRun { control, outer };
    // The handler runs on this thread, so compiler fences are enough: it finds a run that is
    // filled in, and finds it before anything is polled.
    compiler_fence(Ordering::SeqCst);
    control.run.store(&raw mut run, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    poll()
}
