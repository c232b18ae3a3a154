//! What a coroutine waits for ends with it.
//!
//! `mlua` keeps the future of an asynchronous function until Lua collects the coroutine that has
//! called it. Until then a wait that was given up would take what others wait for, and a call would
//! go on at the other end of a pipe. So a future that has to wait is listed with the function that
//! the engine drives, and dropped together with it.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context as TaskContext, Poll},
};

use aikit_core::{Error, ErrorKind};

use super::{error, state::State};

/// The futures that the coroutines of one driven function wait for.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<usize, Weak<dyn Dropped>>>);

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// A future that can be dropped by another than its owner.
trait Dropped: Send + Sync {
    fn give_up(&self);
}

struct Slot<F>(Mutex<Option<Pin<Box<F>>>>);

impl<F: Send> Dropped for Slot<F> {
    fn give_up(&self) {
        let left = lock(&self.0).take();
        drop(left);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pending {
    /// Drops them all; whoever asks for what they give gets an error.
    pub(super) fn give_up(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for future in all.into_values() {
            if let Some(future) = future.upgrade() {
                future.give_up();
            }
        }
    }
}

/// A future of an asynchronous function that ends with whoever waits for it.
pub(super) struct Held<F> {
    slot: Arc<Slot<F>>,
    /// Where it is listed, once it had to wait.
    listed: Option<Arc<Pending>>,
}

/// Makes a future end with whoever waits for it.
pub(super) fn held<F>(future: F) -> Held<F> {
    let slot = Arc::new(Slot(Mutex::new(Some(Box::pin(future)))));
    Held { slot, listed: None }
}

impl<F> Held<F> {
    fn key(&self) -> usize {
        Arc::as_ptr(&self.slot).addr()
    }
}

impl<T, F> Future for Held<F>
where
    F: Future<Output = mlua::Result<T>> + Send + 'static,
{
    type Output = mlua::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let polled = match lock(&self.slot.0).as_mut() {
            Some(future) => future.as_mut().poll(cx),
            None => return Poll::Ready(Err(error::to_lua(given_up()))),
        };
        if polled.is_pending() && self.listed.is_none() {
            let pending = State::current().ok().and_then(|state| state.pending());
            if let Some(pending) = pending {
                let slot: Weak<dyn Dropped> = Arc::downgrade(&self.slot) as _;
                lock(&pending.0).insert(self.key(), slot);
                self.listed = Some(pending);
            }
        }
        polled
    }
}

impl<F> Drop for Held<F> {
    fn drop(&mut self) {
        if let Some(pending) = &self.listed {
            lock(&pending.0).remove(&self.key());
        }
    }
}

fn given_up() -> Error {
    let message = "what this coroutine waited for was given up";
    let hint = "the task that had resumed it was stopped; make a new coroutine";
    Error::new(ErrorKind::Cancelled, message).with_hint(hint)
}
