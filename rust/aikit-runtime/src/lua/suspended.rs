//! Coroutines of a script that are suspended inside of a procedure.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::run::Run;

/// Coroutines of the script that are suspended inside of a procedure, by their addresses.
///
/// The procedures live on the stacks of their coroutines: one that the script has abandoned is
/// collected with all it had begun, and what stands here of it is cleared away in time.
#[derive(Debug)]
pub(super) struct Suspended {
    runs: HashMap<usize, Weak<Run>>,
    /// At so many, those that are gone are cleared away.
    cleared_at: usize,
}

/// At so few suspended coroutines nothing is cleared away.
const SUSPENDED_MIN: usize = 64;

impl Default for Suspended {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            cleared_at: SUSPENDED_MIN,
        }
    }
}

impl Suspended {
    /// Whether no coroutine is.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Keeps the run of a coroutine that has stopped running.
    pub(super) fn insert(&mut self, coroutine: usize, run: &Arc<Run>) {
        if self.runs.len() >= self.cleared_at {
            self.runs.retain(|_, run| run.strong_count() > 0);
            // Twice as many, so that clearing costs each of them a bounded time.
            self.cleared_at = SUSPENDED_MIN.max(2 * self.runs.len());
        }
        self.runs.insert(coroutine, Arc::downgrade(run));
    }

    /// The run of a coroutine that is about to go on, if it is inside of a procedure still.
    pub(super) fn remove(&mut self, coroutine: usize) -> Option<Arc<Run>> {
        let run = self.runs.remove(&coroutine)?;
        run.upgrade().filter(|run| run.is_open())
    }

    /// The coroutine at that address is gone.
    pub(super) fn forget(&mut self, coroutine: usize) {
        drop(self.runs.remove(&coroutine));
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::{
        Context,
        engine::{Output, OutputSink},
        tracker::{Execution, Operation},
    };

    use super::{super::task::FailedTasks, *};

    #[derive(Debug)]
    struct Nowhere;

    impl OutputSink for Nowhere {
        fn emit(&self, _: Output) {}
    }

    fn begun(cx: &Context) -> Arc<Run> {
        let around = Arc::new(Run {
            cx: cx.clone(),
            sink: Arc::new(Nowhere),
            cell: Arc::default(),
            failed_tasks: Arc::new(FailedTasks::new()),
            fate: None,
            frame: None,
        });
        around.within(Execution::begin(cx, &Operation::new("waits")).unwrap())
    }

    #[test]
    fn abandoned_coroutines_leave_nothing_behind() {
        let cx = Context::default();
        let mut suspended = Suspended::default();
        let kept: Vec<_> = (0..100).map(|_| begun(&cx)).collect();
        for (coroutine, run) in kept.iter().enumerate() {
            suspended.insert(coroutine, run);
        }
        for coroutine in 100..100_000 {
            suspended.insert(coroutine, &begun(&cx));
            assert!(suspended.runs.len() <= 2 * kept.len() + 1);
        }
        for (coroutine, run) in kept.iter().enumerate() {
            let found = suspended.remove(coroutine).unwrap();
            assert!(Arc::ptr_eq(&found, run));
        }
    }

    #[test]
    fn a_coroutine_whose_procedure_has_ended_goes_on_outside_of_it() {
        let cx = Context::default();
        let (run, mut suspended) = (begun(&cx), Suspended::default());
        suspended.insert(1, &run);
        drop(run.take_execution());
        assert!(suspended.remove(1).is_none() && run.still_open().frame.is_none());
    }
}
