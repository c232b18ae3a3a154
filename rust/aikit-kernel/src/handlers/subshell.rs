//! `create_subshell`, `delete_subshell`, `list_subshell`: shells beside the main one.
//!
//! A shell has cells that run one after the other, and a count and a history of its own; all share
//! the state of the language, and take turns in it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use aikit_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use super::Desk;
use crate::{
    archive::{Archive, HistoryPlace, SessionNumber},
    history::{Entry, History},
    wire::{
        header::Header,
        subshell::{CreateSubshellReply, DeleteSubshellReply, ListSubshellReply},
    },
};

/// Most subshells at once.
const SUBSHELLS_MAX: usize = 100;

/// One shell of the kernel.
#[derive(Debug)]
pub(crate) struct Shell {
    /// Its identity; the main one has none.
    pub(crate) id: Option<Arc<str>>,
    /// How many were made before it; 0 for the main one.
    pub(super) number: u32,
    /// Number of its last cell that counted.
    execution_count: AtomicU32,
    /// Its session among those of the project.
    pub(super) session: SessionNumber,
    /// Held while the user is asked: one question at a time.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
}

impl Shell {
    fn new(id: Option<Arc<str>>, number: u32) -> Self {
        Self {
            id,
            number,
            execution_count: AtomicU32::new(0),
            session: SessionNumber::default(),
            asking: Arc::default(),
        }
    }

    /// Number of its last cell that counted.
    pub(super) fn execution_count(&self) -> u32 {
        self.execution_count.load(Ordering::Relaxed)
    }

    /// Says which cell counted last. Only one cell of a shell runs at a time, so nobody else counts.
    pub(super) fn set_execution_count(&self, count: u32) {
        self.execution_count.store(count, Ordering::Relaxed);
    }

    /// What tracebacks call its cell of that number.
    pub(super) fn cell_name(&self, execution_count: u32) -> String {
        match self.number {
            0 => format!("cell [{execution_count}]"),
            number => format!("subshell {number} cell [{execution_count}]"),
        }
    }
}

/// The shells of the kernel.
#[derive(Debug)]
pub(crate) struct Shells {
    pub(crate) main: Arc<Shell>,
    beside: Mutex<Beside>,
    history: Mutex<History>,
    /// Where cells are kept beyond this kernel.
    pub(crate) archive: Option<Archive>,
    /// Told when one was deleted.
    pub(crate) deleted: Notify,
}

#[derive(Debug, Default)]
struct Beside {
    /// Oldest first.
    shells: VecDeque<Arc<Shell>>,
    /// How many were ever made.
    made: u32,
}

impl Shells {
    pub(super) fn new(place: Option<HistoryPlace>) -> Self {
        Self {
            main: Arc::new(Shell::new(None, 0)),
            beside: Mutex::default(),
            history: Mutex::default(),
            archive: place.map(Archive::new),
            deleted: Notify::new(),
        }
    }

    fn beside(&self) -> MutexGuard<'_, Beside> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shell that a message is for.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none of that identity.
    pub(crate) fn of(&self, header: &Header) -> Result<Arc<Shell>> {
        let Some(id) = header.subshell_id.as_deref() else {
            return Ok(Arc::clone(&self.main));
        };
        let beside = self.beside();
        let found = beside.shells.iter().find(|it| it.id.as_deref() == Some(id));
        found.cloned().ok_or_else(|| unknown(id))
    }

    /// Whether there is one of that identity.
    pub(crate) fn has(&self, id: &str) -> bool {
        let beside = self.beside();
        beside.shells.iter().any(|it| it.id.as_deref() == Some(id))
    }

    /// The cells of all shells.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        // A plain mutex: it is never held across an await.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a cell of a shell.
    pub(super) fn keep(&self, shell: &Shell, cell: Entry) {
        if let Some(archive) = &self.archive {
            archive.add(shell.number, &shell.session, &cell);
        }
        let mut history = self.history();
        // Asked under the lock: what is deleted from now on is forgotten after this.
        if shell.id.as_deref().is_none_or(|id| self.has(id)) {
            history.add(shell.number, cell);
        }
    }
}

/// Makes one.
pub(super) fn create(desk: &Desk) -> Result<CreateSubshellReply> {
    let shells = &desk.shells;
    let mut beside = shells.beside();
    if beside.shells.len() >= SUBSHELLS_MAX {
        let message = format!("{SUBSHELLS_MAX} subshells exist already");
        let error = Error::new(ErrorKind::LimitExceeded, message);
        return Err(error.with_hint("delete one with `delete_subshell_request`"));
    }
    let id: Arc<str> = desk.context.clock().uuid().to_string().into();
    beside.made += 1;
    let shell = Shell::new(Some(Arc::clone(&id)), beside.made);
    beside.shells.push_back(Arc::new(shell));
    Ok(CreateSubshellReply {
        subshell_id: id.as_ref().to_owned(),
    })
}

/// Ends one: its cell is stopped, and those that wait for it are answered as aborted.
pub(super) fn delete(desk: &Desk, id: &str) -> Result<DeleteSubshellReply> {
    let shell = {
        let mut beside = desk.shells.beside();
        let at = beside
            .shells
            .iter()
            .position(|it| it.id.as_deref() == Some(id));
        at.and_then(|at| beside.shells.remove(at))
    };
    let shell = shell.ok_or_else(|| unknown(id))?;
    desk.stop_shell(&shell);
    desk.shells.history().forget(shell.number);
    desk.shells.deleted.notify_one();
    Ok(DeleteSubshellReply {})
}

/// Which there are.
pub(super) fn list(desk: &Desk) -> ListSubshellReply {
    let beside = desk.shells.beside();
    let ids = beside.shells.iter().filter_map(|it| it.id.as_deref());
    ListSubshellReply {
        subshell_id: ids.map(str::to_owned).collect(),
    }
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!("there is no subshell `{id}`"))
        .with_hint("make one with `create_subshell_request`, or leave `subshell_id` out")
}
