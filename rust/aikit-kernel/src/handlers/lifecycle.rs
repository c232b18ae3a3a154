//! `interrupt`: stops the running cells, and nothing else.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{Context, ErrorKind, io};
use bytes::Bytes;

use crate::handlers::{Desk, input::FrontEnd, subshell::Shell};

/// Why a cell must end.
type Reason = (ErrorKind, &'static str);

const INTERRUPTED: Reason = (ErrorKind::Interrupted, "the cell was interrupted");
const DELETED: Reason = (ErrorKind::Cancelled, "the subshell was deleted");

/// An engine that was only about to start its cell has not heard the first time.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// Cells that ended and are remembered, because what they left running may still publish something.
const ENDED_MAX: usize = 256;
/// Longest header of a request that is remembered, in bytes.
const HEADER_BYTES_MAX: usize = 1 << 14;

/// What an interrupt may mean.
#[derive(Debug, Default)]
pub(crate) struct Current {
    cells: Vec<RunningCell>,
    /// The last cells that ended, oldest first: identity, and header of the request byte for byte.
    ended: VecDeque<(String, Bytes)>,
    /// By shell, while a request was taken from its queue and none of its code runs: why what
    /// it would run next must not begin, if it must not.
    taken: HashMap<Option<Arc<str>>, Option<Reason>>,
}

/// A cell that runs.
#[derive(Debug)]
struct RunningCell {
    context: Context,
    shell: Option<Arc<str>>,
    /// Header of its request, byte for byte.
    header: Bytes,
    /// Absent when its client answers no questions.
    front_end: Option<FrontEnd>,
}

/// Marks a cell as running until dropped.
#[derive(Debug)]
pub(super) struct Running<'a> {
    desk: &'a Desk,
    request_id: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut current = self.desk.current();
        let own = current
            .cells
            .iter()
            .position(|cell| cell.context.request_id() == self.request_id);
        if let Some(own) = own {
            let RunningCell { shell, header, .. } = current.cells.remove(own);
            // What an interrupt means now is what else the request runs: its expressions.
            current.taken.insert(shell, None);
            if header.len() <= HEADER_BYTES_MAX {
                let surplus = current.ended.len().saturating_sub(ENDED_MAX - 1);
                current.ended.drain(..surplus);
                let request_id = std::mem::take(&mut self.request_id);
                current.ended.push_back((request_id, header));
            }
        }
    }
}

impl Desk {
    /// A cell was taken from the queue of its shell: an interrupt means it from now on.
    pub(crate) fn take_cell(&self, shell: &Shell) {
        self.current().taken.insert(shell.id.clone(), None);
    }

    /// The cell that was taken has ended with its expressions, whether it began or not.
    pub(crate) fn end_cell(&self, shell: &Shell) {
        self.current().taken.remove(&shell.id);
    }

    pub(super) fn start(
        &self,
        shell: &Shell,
        context: Context,
        header: Bytes,
        front_end: Option<FrontEnd>,
    ) -> Running<'_> {
        let mut current = self.current();
        if let Some((kind, reason)) = current.taken.remove(&shell.id).flatten() {
            context.cancel(kind, reason);
        }
        let request_id = context.request_id().to_owned();
        current.cells.push(RunningCell {
            context,
            shell: shell.id.clone(),
            header,
            front_end,
        });
        Running {
            desk: self,
            request_id,
        }
    }

    /// Who answers the questions that are asked in `cx`: the client of its cell; when that has
    /// ended, of the one that runs in the main shell, or else in any.
    pub(super) fn front_end(&self, cx: &Context) -> Option<FrontEnd> {
        let current = self.current();
        let own = |cell: &&RunningCell| cell.context.request_id() == cx.request_id();
        let cell = current.cells.iter().find(own);
        let in_main = || current.cells.iter().find(|cell| cell.shell.is_none());
        let cell = cell.or_else(in_main).or_else(|| current.cells.first());
        cell?.front_end.clone()
    }

    /// Header of the request that ran or runs the cell `request_id`, byte for byte, if it is
    /// remembered.
    pub(super) fn header_of(&self, request_id: &str) -> Option<Bytes> {
        let current = self.current();
        let running = |cell: &&RunningCell| cell.context.request_id() == request_id;
        if let Some(cell) = current.cells.iter().find(running) {
            return Some(cell.header.clone());
        }
        let ended = current.ended.iter().find(|(id, _)| id == request_id);
        ended.map(|(_, header)| header.clone())
    }

    /// Stops the cell `request_id`; the answer is whether it runs.
    fn interrupt(&self, request_id: &str) -> bool {
        // Held while the engine is told, so that the next cell is never the one that stops.
        let current = self.current();
        let meant = current
            .cells
            .iter()
            .find(|cell| cell.context.request_id() == request_id);
        let Some(cell) = meant else {
            return false;
        };
        cell.context.cancel(INTERRUPTED.0, INTERRUPTED.1);
        self.engine.interrupt_cell(&cell.context);
        true
    }

    /// Stops the cell of a shell that ends.
    pub(super) fn stop_shell(&self, shell: &Shell) {
        let mut current = self.current();
        if let Some(taken) = current.taken.get_mut(&shell.id) {
            *taken = Some(DELETED);
        }
        let own = current.cells.iter().filter(|cell| cell.shell == shell.id);
        for cell in own {
            cell.context.cancel(DELETED.0, DELETED.1);
            self.engine.interrupt_cell(&cell.context);
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // A plain mutex: it is never held across an await.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the running cells of all shells, and keeps telling them until they have stopped; without
/// one, what cells left running in the background.
pub(crate) fn interrupt_until_stopped(desk: &Arc<Desk>) {
    let running: Vec<String> = {
        // Held while the engine is told, so that no cell begins meanwhile.
        let mut current = desk.current();
        current
            .taken
            .values_mut()
            .for_each(|taken| *taken = Some(INTERRUPTED));
        if current.cells.is_empty() && current.taken.is_empty() {
            return desk.engine.interrupt();
        }
        let ids = current.cells.iter().map(|it| it.context.request_id());
        ids.map(str::to_owned).collect()
    };
    for request_id in running {
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
}
