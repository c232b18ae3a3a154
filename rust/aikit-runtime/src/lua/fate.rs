//! How a task ended, as the tasks that it has started see it.
//!
//! A task whose time is up needs no word of its own when what has the time limit fails with it. When
//! that has ended well before, nobody else tells that the task was cut off.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{Context, Error, ErrorKind, graph::Status};

/// How a task ends.
#[derive(Debug)]
pub(super) struct Fate {
    cx: Context,
    end: Mutex<End>,
    /// That of the task which has started it, or of the next further out that may still tell
    /// something.
    around: Mutex<Option<Arc<Self>>>,
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
        if let Some(around) = &around {
            around.forget_ended();
        }
        Arc::new(Self {
            cx: cx.clone(),
            end: Mutex::new(End::Running),
            around: Mutex::new(around),
        })
    }

    /// Lets go of the tasks around that have ended by themselves, which tell nothing: of tasks that
    /// each start the next one, all would stay.
    fn forget_ended(&self) {
        let tells = |it: &Arc<Self>| it.now() != End::Itself;
        let outer = iter::successors(self.around(), |it| it.around()).find(tells);
        let before = std::mem::replace(&mut *lock(&self.around), outer);
        drop(before);
    }

    fn around(&self) -> Option<Arc<Self>> {
        lock(&self.around).clone()
    }

    /// The task has ended now. Decided now, because later the time is up in any case.
    pub(super) fn end(&self, error: Option<&Error>) {
        let is_late = error.is_some_and(|it| it.kind() == ErrorKind::Timeout);
        let end = if is_late && is_out_of_time(&self.cx) {
            End::OutOfTime
        } else {
            End::Itself
        };
        *lock(&self.end) = end;
    }

    /// Whether the time was up of what the task belongs to, and that fails with it and says so: a
    /// task around it, or a procedure.
    pub(super) fn is_that_of_owner(&self) -> bool {
        let mut tasks = iter::successors(self.around(), |it| it.around());
        let node = self.cx.node().into_iter();
        let mut nodes = node.flat_map(|it| iter::once(it).chain(it.ancestors()));
        let has_failed = |it: Status| matches!(it, Status::Cancelled | Status::Failed);
        self.now() == End::OutOfTime
            && (tasks.any(|it| it.runs_out_of_time()) || nodes.any(|it| has_failed(it.status())))
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
        *lock(&self.end)
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        // One after the other: each would drop the next inside of itself, deeper than a stack is.
        let mut above = lock(&self.around).take();
        while let Some(last) = above.and_then(Arc::into_inner) {
            above = lock(&last.around).take();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nothing runs in a Context any more because its time is up.
fn is_out_of_time(cx: &Context) -> bool {
    let ended = cx.check();
    ended.is_err_and(|it| it.kind() == ErrorKind::Timeout)
}
