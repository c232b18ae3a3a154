//! `interrupt`: stops the running cell, and nothing else.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{Context, ErrorKind, io};

use crate::handlers::{Desk, input::FrontEnd};

/// Why an interrupted cell ended.
const INTERRUPTED: &str = "the cell was interrupted";

/// An engine that was only about to start its cell has not heard the first time.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// What an interrupt may mean.
#[derive(Debug, Default)]
pub(crate) struct Current {
    cell: Option<RunningCell>,
    /// Set while a request was taken from the queue and none of its code runs: whether what it
    /// would run next must not begin.
    taken: Option<bool>,
}

/// The cell that runs.
#[derive(Debug)]
struct RunningCell {
    context: Context,
    /// Absent when its client answers no questions.
    front_end: Option<FrontEnd>,
}

/// Marks a cell as running until dropped.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Desk);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut current = self.0.current();
        current.cell = None;
        // What an interrupt means now is what else the request runs: its expressions.
        current.taken = Some(false);
    }
}

impl Desk {
    /// A cell was taken from the queue: an interrupt means it from now on.
    pub(crate) fn take_cell(&self) {
        self.current().taken = Some(false);
    }

    /// The cell that was taken has ended with its expressions, whether it began or not.
    pub(super) fn end_cell(&self) {
        self.current().taken = None;
    }

    pub(super) fn start(&self, context: Context, front_end: Option<FrontEnd>) -> Running<'_> {
        let mut current = self.current();
        if current.taken.take() == Some(true) {
            context.cancel(ErrorKind::Interrupted, INTERRUPTED);
        }
        current.cell = Some(RunningCell { context, front_end });
        Running(self)
    }

    /// Who answers questions of the running cell.
    pub(super) fn front_end(&self) -> Option<FrontEnd> {
        self.current().cell.as_ref()?.front_end.clone()
    }

    /// Stops the cell `request_id`; the answer is whether it runs.
    fn interrupt(&self, request_id: &str) -> bool {
        // Held while the engine is told, so that the next cell is never the one that stops.
        let current = self.current();
        let meant = current
            .cell
            .as_ref()
            .filter(|cell| cell.context.request_id() == request_id);
        let Some(cell) = meant else {
            return false;
        };
        cell.context.cancel(ErrorKind::Interrupted, INTERRUPTED);
        self.engine.interrupt();
        true
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // A plain mutex: it is never held across an await.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the running cell, and keeps telling it until it has stopped; without one, what cells left
/// running in the background.
pub(crate) fn interrupt_until_stopped(desk: &Arc<Desk>) {
    let request_id = {
        // Held while the engine is told, so that no cell begins meanwhile.
        let mut current = desk.current();
        if let Some(must_not_begin) = &mut current.taken {
            *must_not_begin = true;
            return;
        }
        let Some(cell) = current.cell.as_ref() else {
            desk.engine.interrupt();
            return;
        };
        cell.context.request_id().to_owned()
    };
    desk.interrupt(&request_id);
    let desk = Arc::clone(desk);
    // Ends with the cell.
    let _repeats = io::spawn(async move {
        loop {
            desk.context.clock().sleep(REPEAT_AFTER).await;
            if !desk.interrupt(&request_id) {
                return;
            }
        }
    });
}
