//! On whose behalf Lua code runs, and in which procedures it stands.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use aikit_core::{Context, engine::OutputSink, tracker::Execution};

use super::{fate::Fate, task::FailedTasks};

/// The cell that code is of, also when it runs after that has ended.
#[derive(Debug, Default)]
pub(super) struct OfCell {
    /// Its shell; the main one when `None`.
    pub(super) shell: Option<Arc<str>>,
    /// Whether the code of the cell must stop.
    pub(super) asked: AtomicBool,
    /// Whether it has ended; what still runs of it are its tasks.
    pub(super) is_over: AtomicBool,
}

/// On whose behalf Lua code runs, and where its output goes.
#[derive(Debug)]
pub(super) struct Run {
    /// What flows with the calls of the code.
    pub(super) cx: Context,
    /// Where its output goes.
    pub(super) sink: Arc<dyn OutputSink>,
    /// The cell it belongs to.
    pub(super) cell: Arc<OfCell>,
    /// Failed tasks of the cell it belongs to.
    pub(super) failed_tasks: Arc<FailedTasks>,
    /// The task that the code is, or is part of; `None` outside of tasks.
    pub(super) fate: Option<Arc<Fate>>,
    /// The procedure that the code runs in, when it was begun by this run's coroutine.
    pub(super) frame: Option<Frame>,
}

/// A procedure that a coroutine has begun and not ended.
#[derive(Debug)]
pub(super) struct Frame {
    execution: Mutex<Option<Execution>>,
    outer: Arc<Run>,
}

impl Run {
    /// Whether the cell it belongs to was told to stop.
    pub(super) fn is_asked(&self) -> bool {
        self.cell.asked.load(Ordering::SeqCst)
    }

    /// A run beside this one, in another Context, whose output goes to the same place.
    pub(super) fn beside(&self, cx: Context) -> Arc<Self> {
        Arc::new(Self {
            cx,
            sink: Arc::clone(&self.sink),
            cell: Arc::clone(&self.cell),
            failed_tasks: Arc::clone(&self.failed_tasks),
            fate: self.fate.clone(),
            frame: None,
        })
    }

    /// A run beside this one, of a task that begins inside of it.
    pub(super) fn of_task(&self, fate: Arc<Fate>) -> Arc<Self> {
        Arc::new(Self {
            cx: self.cx.clone(),
            sink: Arc::clone(&self.sink),
            cell: Arc::clone(&self.cell),
            failed_tasks: Arc::clone(&self.failed_tasks),
            fate: Some(fate),
            frame: None,
        })
    }

    /// The run of a procedure that begins inside of this one.
    pub(super) fn within(self: &Arc<Self>, execution: Execution) -> Arc<Self> {
        Arc::new(Self {
            cx: execution.context().clone(),
            sink: Arc::clone(&self.sink),
            cell: Arc::clone(&self.cell),
            failed_tasks: Arc::clone(&self.failed_tasks),
            fate: self.fate.clone(),
            frame: Some(Frame {
                execution: Mutex::new(Some(execution)),
                outer: Arc::clone(self),
            }),
        })
    }

    /// The procedure's execution, which is whose it is who takes it; the run around it.
    pub(super) fn take_execution(&self) -> Option<(Execution, Arc<Self>)> {
        let frame = self.frame.as_ref()?;
        let mut execution = frame
            .execution
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some((execution.take()?, Arc::clone(&frame.outer)))
    }

    /// Whether it is that of a procedure that has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| {
            let execution = frame.execution.lock();
            execution.unwrap_or_else(PoisonError::into_inner).is_some()
        })
    }

    /// Ends as cancelled what was begun inside of `outermost` and has not ended.
    pub(super) fn end_below(self: Arc<Self>, outermost: &Arc<Self>) {
        let mut run = self;
        while let Some(frame) = run.frame.as_ref().filter(|_| !Arc::ptr_eq(&run, outermost)) {
            let outer = Arc::clone(&frame.outer);
            drop(run.take_execution());
            run = outer;
        }
    }

    /// Where the code goes on that has ended a procedure inside of this run: here, or around the
    /// procedures that have ended meanwhile.
    pub(super) fn still_open(self: Arc<Self>) -> Arc<Self> {
        let mut run = self;
        while let Some(frame) = run.frame.as_ref().filter(|_| !run.is_open()) {
            let outer = Arc::clone(&frame.outer);
            run = outer;
        }
        run
    }
}
