//! Shells: cells that run side by side in one state, and take turns.
//!
//! Cells of different shells go on wherever one of them waits; while one of a subshell runs, who
//! computes for long is preempted as well, see [`interrupt`](super::interrupt). That is for other
//! shells only: the tasks of a cell, which no script expects to run between two lines that do not
//! wait, stay where they are until whoever was preempted has gone on to its next wait.

use std::{cell::RefCell, collections::HashMap, sync::Arc, task::Waker};

use indexmap::IndexMap;

use super::run::{OfCell, Run};

/// The cells that run, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Cells(RefCell<Vec<Arc<Run>>>);

impl Cells {
    /// A cell begins.
    pub(super) fn begin(&self, run: &Arc<Run>) {
        self.0.borrow_mut().push(Arc::clone(run));
    }

    /// A cell has ended.
    pub(super) fn end(&self, run: &Arc<Run>) {
        self.0.borrow_mut().retain(|it| !Arc::ptr_eq(it, run));
    }

    /// The cell on whose behalf `run` calls: the one in whose Context it does, or else the one
    /// that runs in its shell.
    pub(super) fn of(&self, run: &Run) -> Option<Arc<Run>> {
        let cells = self.0.borrow();
        let own = cells
            .iter()
            .find(|it| it.cx.request_id() == run.cx.request_id());
        let in_shell = || cells.iter().find(|it| it.cell.shell == run.cell.shell);
        own.or_else(in_shell).cloned()
    }
}

/// Who was preempted in the middle of its code, by shell.
#[derive(Debug, Default)]
pub(super) struct Turns(RefCell<HashMap<Option<Arc<str>>, Preempted>>);

/// One that was preempted.
#[derive(Debug)]
struct Preempted {
    id: usize,
    /// Others of the shell that were to go on meanwhile, in their order. One that is polled again
    /// stands here once.
    waiting: IndexMap<usize, Waker>,
}

impl Turns {
    /// Whether `id` may go on: nobody else of its shell was preempted. Otherwise it is woken when
    /// that one has gone on.
    pub(super) fn is_of(&self, cell: &OfCell, id: usize, waker: &Waker) -> bool {
        let mut preempted = self.0.borrow_mut();
        if preempted.is_empty() {
            return true;
        }
        match preempted.get_mut(&cell.shell) {
            Some(first) if first.id != id => {
                let kept = first.waiting.entry(id).or_insert_with(|| waker.clone());
                kept.clone_from(waker);
                false
            }
            _ => true,
        }
    }

    /// Says whether `id` was preempted, or has gone on to where it waits or ends.
    pub(super) fn note(&self, cell: &OfCell, id: usize, is_preempted: bool) {
        let mut preempted = self.0.borrow_mut();
        if is_preempted {
            let first = Preempted {
                id,
                waiting: IndexMap::new(),
            };
            preempted.entry(cell.shell.clone()).or_insert(first);
            return;
        }
        if preempted.get(&cell.shell).is_none_or(|it| it.id != id) {
            return;
        }
        let ended = preempted.remove(&cell.shell);
        drop(preempted);
        for waker in ended.into_iter().flat_map(|it| it.waiting.into_values()) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;

    #[test]
    fn others_of_a_shell_wait_for_who_was_preempted() {
        let (turns, waker) = (Turns::default(), noop_waker_ref());
        let main = OfCell::default();
        let beside = OfCell {
            shell: Some("1".into()),
            ..OfCell::default()
        };
        assert!(turns.is_of(&main, 1, waker));
        turns.note(&main, 1, true);
        assert!(turns.is_of(&main, 1, waker));
        assert!(!turns.is_of(&main, 2, waker));
        assert!(turns.is_of(&beside, 3, waker));
        // Another one that ends changes nothing.
        turns.note(&main, 2, false);
        assert!(!turns.is_of(&main, 2, waker));
        turns.note(&main, 1, false);
        assert!(turns.is_of(&main, 2, waker));
    }
}
