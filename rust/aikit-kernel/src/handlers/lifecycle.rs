//! `interrupt`: stops the running cell, and nothing else.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{Context, ErrorKind, io};

use crate::handlers::{Desk, input::FrontEnd};

/// An engine that was only about to start its cell has not heard the first time.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// The cell that runs.
#[derive(Debug)]
pub(crate) struct RunningCell {
    context: Context,
    /// Absent when its client answers no questions.
    front_end: Option<FrontEnd>,
}

/// Marks a cell as running until dropped.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Desk);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running() = None;
    }
}

impl Desk {
    pub(super) fn start(&self, context: Context, front_end: Option<FrontEnd>) -> Running<'_> {
        *self.running() = Some(RunningCell { context, front_end });
        Running(self)
    }

    /// Who answers questions of the running cell.
    pub(super) fn front_end(&self) -> Option<FrontEnd> {
        self.running().as_ref()?.front_end.clone()
    }

    /// Stops the running cell; the answer is whether there is one. `request_id` names the only
    /// one that is meant.
    pub(crate) fn interrupt(&self, request_id: Option<&str>) -> bool {
        // Held while the engine is told, so that the next cell is never the one that stops.
        let running = self.running();
        let Some(cell) = running.as_ref() else {
            return false;
        };
        if request_id.is_some_and(|id| id != cell.context.request_id()) {
            return false;
        }
        cell.context
            .cancel(ErrorKind::Interrupted, "the cell was interrupted");
        self.engine.interrupt();
        true
    }

    fn running(&self) -> MutexGuard<'_, Option<RunningCell>> {
        // A plain mutex: it is never held across an await.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the running cell, and keeps telling it until it has stopped.
pub(crate) fn interrupt_until_stopped(desk: &Arc<Desk>) {
    let running = desk
        .running()
        .as_ref()
        .map(|cell| cell.context.request_id().to_owned());
    let Some(request_id) = running else {
        return;
    };
    desk.interrupt(Some(&request_id));
    let desk = Arc::clone(desk);
    // Ends with the cell.
    let _repeats = io::spawn(async move {
        loop {
            desk.context.clock().sleep(REPEAT_AFTER).await;
            if !desk.interrupt(Some(&request_id)) {
                return;
            }
        }
    });
}
