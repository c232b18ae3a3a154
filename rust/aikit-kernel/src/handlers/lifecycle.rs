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

    /// Stops the cell `request_id`; the answer is whether it runs.
    fn interrupt(&self, request_id: &str) -> bool {
        // Held while the engine is told, so that the next cell is never the one that stops.
        let running = self.running();
        let meant = running
            .as_ref()
            .filter(|cell| cell.context.request_id() == request_id);
        let Some(cell) = meant else {
            return false;
        };
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

/// Stops the running cell, and keeps telling it until it has stopped; without one, what cells left
/// running in the background.
pub(crate) fn interrupt_until_stopped(desk: &Arc<Desk>) {
    let request_id = {
        // Held while the engine is told, so that no cell begins meanwhile.
        let running = desk.running();
        let Some(cell) = running.as_ref() else {
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
