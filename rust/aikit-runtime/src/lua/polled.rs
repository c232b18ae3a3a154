//! Coroutines that the engine polls, and no code of the script resumes.
#![expect(
    unsafe_code,
    reason = "the handler of interrupts knows coroutines by their addresses; every block says why \
              it is sound"
)]

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    pin::Pin,
    ptr,
    task::{Context as TaskContext, Poll},
};

use mlua::ffi::{self, lua_State};

use super::interrupt::{self, Control, switch};

thread_local! {
    /// The coroutine that is polled: what it hands out nobody takes.
    static POLLED: Cell<*mut lua_State> = const { Cell::new(ptr::null_mut()) };
    /// Those that have begun and not ended.
    static DRIVEN: RefCell<HashSet<*mut lua_State>> = RefCell::default();
}

/// Whether only the engine resumes a coroutine: a script that did would take what it waits for.
pub(super) fn is_driven(state: *mut lua_State) -> bool {
    DRIVEN.with_borrow(|driven| driven.contains(&state))
}

/// Whether a coroutine is one of the engine's, which no code of the script resumes.
pub(super) fn is_polled(state: *mut lua_State) -> bool {
    POLLED.get() == state
}

/// Polls a coroutine while the handler knows that it is the one that runs.
#[derive(Debug)]
pub(super) struct Tracked<F> {
    state: *mut lua_State,
    future: Pin<Box<F>>,
}

impl<R: mlua::FromLuaMulti> Tracked<mlua::thread::AsyncThread<R>> {
    /// Wraps a coroutine that is about to be started.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub(super) fn new(thread: mlua::Thread, args: impl mlua::IntoLuaMulti) -> mlua::Result<Self> {
        let state = thread.state();
        let future = Box::pin(thread.into_async(args)?);
        DRIVEN.with_borrow_mut(|driven| driven.insert(state));
        Ok(Self { state, future })
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        // Where the thread ends, its variables may be gone.
        let _ = DRIVEN.try_with(|driven| driven.borrow_mut().remove(&self.state));
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        // SAFETY: the future owns the coroutine, so it lives as long as this poll.
        let _inside = unsafe { Inside::enter(self.state) };
        self.future.as_mut().poll(cx)
    }
}

/// A coroutine is being polled, until dropped: also when the poll panics.
struct Inside {
    previous: *mut lua_State,
    polled: *mut lua_State,
    outermost: Option<&'static Control>,
    could_yield: bool,
}

impl Inside {
    /// Says that `state` runs from now on.
    ///
    /// # Safety
    ///
    /// `state` must be a live coroutine of this thread until the answer is dropped.
    unsafe fn enter(state: *mut lua_State) -> Self {
        // SAFETY: as promised.
        let previous = unsafe { switch(state) };
        let outermost = interrupt::own().filter(|_| previous.is_null());
        outermost.into_iter().for_each(Control::count_poll);
        Self {
            previous,
            polled: POLLED.replace(state),
            outermost,
            could_yield: interrupt::set_can_yield(true),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.outermost.into_iter().for_each(Control::count_poll);
        interrupt::set_can_yield(self.could_yield);
        interrupt::forget_yielded();
        let state = POLLED.replace(self.polled);
        // SAFETY: the coroutine was polled just now and is live; what ran before is on the stack
        // below this poll, or is null.
        unsafe {
            // A handler of messages stops collections; whoever waits while variables are closed
            // after it, or is dropped there, would leave it so.
            if ffi::lua_gc(state, ffi::LUA_GCISRUNNING) == 0 {
                ffi::lua_gc(state, ffi::LUA_GCRESTART);
            }
            switch(self.previous);
        }
    }
}
