//! How a task ended, as the tasks that it has started see it.
//!
//! A task whose time is up needs no word of its own when what has the time limit fails with it. When
//! that has ended well before, nobody else tells that the task was cut off.

use std::{
    iter,
    sync::{Arc, Mutex, PoisonError},
};

use aikit_core::{Context, Error, ErrorKind, graph::Status};

/// How a task ends.
#[derive(Debug)]
pub(super) struct Fate {
    cx: Context,
    end: Mutex<End>,
    /// That of the task which has started it.
    around: Option<Arc<Self>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Running,
    /// Well, or for a reason of its own.
    Itself,
    /// The time of its Context was up.
    OutOfTime,
}

impl Fate {
    /// That of a task which runs in `cx`, started by the one that `around` is of.
    pub(super) fn begin(cx: &Context, around: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            cx: cx.clone(),
            end: Mutex::new(End::Running),
            around,
        })
    }

    /// The task has ended now. Decided now, because later the time is up in any case.
    pub(super) fn end(&self, error: Option<&Error>) {
        let is_late = error.is_some_and(|it| it.kind() == ErrorKind::Timeout);
        let end = if is_late && is_out_of_time(&self.cx) {
            End::OutOfTime
        } else {
            End::Itself
        };
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Whether the time was up of what the task belongs to, and that fails with it and says so: a
    /// task around it, or a procedure.
    pub(super) fn is_that_of_owner(&self) -> bool {
        let mut tasks = iter::successors(self.around.as_deref(), |it| it.around.as_deref());
        let node = self.cx.node().into_iter();
        let mut nodes = node.flat_map(|it| iter::once(it).chain(it.ancestors()));
        let has_failed = |it: Status| matches!(it, Status::Cancelled | Status::Failed);
        self.now() == End::OutOfTime
            && (tasks.any(Self::runs_out_of_time) || nodes.any(|it| has_failed(it.status())))
    }

    /// Whether it has ended because its time was up, or is about to.
    fn runs_out_of_time(&self) -> bool {
        match self.now() {
            End::Running => is_out_of_time(&self.cx),
            End::OutOfTime => true,
            End::Itself => false,
        }
    }

    fn now(&self) -> End {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing runs in a Context any more because its time is up.
fn is_out_of_time(cx: &Context) -> bool {
    let ended = cx.check();
    ended.is_err_and(|it| it.kind() == ErrorKind::Timeout)
}
