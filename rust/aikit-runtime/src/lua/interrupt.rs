//! Stopping and preempting Lua from another thread at no cost while nothing is asked.
//!
//! No hook is set until somebody asks. Then the requester raises a flag and sends SIGURG to the
//! thread that owns Lua; the handler arms a count hook on the running coroutine; the hook raises
//! the error `interrupted` and stays armed, so that `pcall` cannot swallow it for good. Whoever
//! switches coroutines looks at the flag as well. A signal can fall between two switches, so the
//! requester signals again every few milliseconds until the run has ended.
//!
//! Tasks may run when no cell does. Then the request is for one poll only, which has a number, so
//! that it can never stop a cell that begins meanwhile.
//!
//! Each cell has a flag of its own, and several may run in turn. A task and a function that was
//! handed over have a Context of their own, which can be cancelled or pass its deadline while the
//! rest goes on. While one of these is polled, its flag is among those of [`runs`], and the hook
//! raises for as long as one of them is raised.
//!
//! While cells of several shells run, one that computes for long is preempted: the hook yields the
//! coroutine in place of raising, see [`preemption`].
//!
//! Each Lua thread has a [`Control`] of its own. They are leaked and used again, because a handler
//! may look at any of them at any time.
#![expect(
    unsafe_code,
    reason = "signals and Lua hooks exist as C interfaces only; every block says why it is sound"
)]

mod preemption;
mod runs;

use std::{
    cell::Cell,
    fmt,
    os::raw::{c_int, c_void},
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence,
        },
    },
};

use aikit_core::Result;
use mlua::{
    Lua, Value,
    ffi::{self, lua_Debug, lua_State},
};

use self::{preemption::hand_over, runs::PolledRun};
pub(super) use self::{
    preemption::{
        can_yield, forget_yielded, is_own_source, is_preempted, set_can_yield, take_preempted,
        take_yielded,
    },
    runs::{within_cell, within_run},
};
use super::signal;

/// What the hook raises.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// What the handler, the hook and the requester share about one Lua thread.
#[derive(Debug)]
pub(super) struct Control {
    /// The process that made it. One that forks leaves its controls to the child, whose threads
    /// may have the names of threads that are no more.
    process: u32,
    /// The thread that owns Lua, as `pthread_self` names it; 0 while the control is unused.
    thread: AtomicUsize,
    /// The coroutine that runs; null while none does.
    current: AtomicPtr<lua_State>,
    /// Whether all that runs must stop, because the engine ends.
    asked: AtomicBool,
    /// Number of the poll that runs when odd; even between two polls.
    poll: AtomicU64,
    /// Number of the poll that must stop; even when none must.
    stopped_poll: AtomicU64,
    /// Number of the poll that must stop if what it runs is left over from a cell that has ended;
    /// even when none must.
    stopped_leftover: AtomicU64,
    /// Number of the poll that must let others run; even when none must.
    preempted_poll: AtomicU64,
    /// Whether the coroutine that runs can be preempted, and with it all that have resumed it.
    /// Read and written on the thread itself only.
    can_yield: AtomicBool,
    /// The coroutine that the hook has yielded; null when that was taken notice of.
    yielded: AtomicPtr<lua_State>,
    /// Whether something was preempted in this poll.
    is_preempted: AtomicBool,
    /// The innermost run that is polled; null between polls. Read on the thread itself only.
    run: AtomicPtr<PolledRun>,
    /// How often the hook has raised. Read and written on the thread itself only.
    raised: AtomicU64,
    /// Where the registry keeps the prebuilt error.
    error: AtomicI32,
    /// Held while a signal is sent, so that the thread cannot end meanwhile.
    sending: Mutex<()>,
    /// Whether a signal of ours is on its way.
    sent: AtomicBool,
    next: AtomicPtr<Self>,
}

/// Every control ever made.
static CONTROLS: AtomicPtr<Control> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    static OWN: Cell<Option<&'static Control>> = const { Cell::new(None) };
}

/// The control of this thread for as long as it owns a Lua state.
#[derive(Debug)]
pub(super) struct Ownership(pub(super) &'static Control);

impl Ownership {
    /// Claims a control for this thread.
    ///
    /// # Errors
    ///
    /// `internal` when the system refuses the signal handler.
    pub(super) fn claim() -> Result<Self> {
        signal::keep(handler)?;
        let control = Control::unused().unwrap_or_else(Control::leak);
        control.reset();
        OWN.set(Some(control));
        Ok(Self(control))
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        let _sending = self
            .0
            .sending
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        OWN.set(None);
        self.0.current.store(ptr::null_mut(), Ordering::SeqCst);
        self.0.thread.store(0, Ordering::SeqCst);
    }
}

impl Control {
    fn unused() -> Option<&'static Self> {
        let own = this_thread();
        controls()
            .filter(|control| control.is_of_this_process())
            .find(|control| {
                let claimed =
                    control
                        .thread
                        .compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst);
                claimed.is_ok()
            })
    }

    fn leak() -> &'static Self {
        let control: &'static Self = Box::leak(Box::new(Self {
            process: std::process::id(),
            thread: AtomicUsize::new(this_thread()),
            current: AtomicPtr::default(),
            asked: AtomicBool::new(false),
            poll: AtomicU64::new(NO_POLL),
            stopped_poll: AtomicU64::new(NO_POLL),
            stopped_leftover: AtomicU64::new(NO_POLL),
            preempted_poll: AtomicU64::new(NO_POLL),
            can_yield: AtomicBool::new(false),
            yielded: AtomicPtr::default(),
            is_preempted: AtomicBool::new(false),
            run: AtomicPtr::default(),
            raised: AtomicU64::new(0),
            error: AtomicI32::new(0),
            sending: Mutex::new(()),
            sent: AtomicBool::new(false),
            next: AtomicPtr::default(),
        }));
        let mut head = CONTROLS.load(Ordering::SeqCst);
        loop {
            control.next.store(head, Ordering::SeqCst);
            let own = ptr::from_ref(control).cast_mut();
            match CONTROLS.compare_exchange(head, own, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return control,
                Err(now) => head = now,
            }
        }
    }

    /// Makes a control that was used before like a new one. Polls are counted on, because whoever
    /// stopped one may still ask whether it runs.
    fn reset(&self) {
        self.asked.store(false, Ordering::SeqCst);
        self.sent.store(false, Ordering::SeqCst);
        self.current.store(ptr::null_mut(), Ordering::SeqCst);
        self.run.store(ptr::null_mut(), Ordering::SeqCst);
        self.stopped_poll.store(NO_POLL, Ordering::SeqCst);
        self.stopped_leftover.store(NO_POLL, Ordering::SeqCst);
        self.preempted_poll.store(NO_POLL, Ordering::SeqCst);
        self.can_yield.store(false, Ordering::SeqCst);
        self.yielded.store(ptr::null_mut(), Ordering::SeqCst);
        self.is_preempted.store(false, Ordering::SeqCst);
        if self.poll.load(Ordering::SeqCst) % 2 == 1 {
            self.poll.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether it belongs to a thread of this process.
    fn is_of(&self, thread: usize) -> bool {
        self.thread.load(Ordering::SeqCst) == thread && self.is_of_this_process()
    }

    /// A poll begins or ends.
    pub(super) fn count_poll(&self) {
        self.poll.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks all that runs, and what begins later, to stop. [`Control::signal_unless`] must follow
    /// until it has.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Asks the poll that runs to stop; answers its number. `None` when Lua does not run.
    /// [`Control::signal_unless`] must follow while [`Control::is_in`] it.
    pub(super) fn ask_poll(&self) -> Option<u64> {
        let poll = self.poll.load(Ordering::SeqCst);
        let runs = poll % 2 == 1;
        runs.then(|| {
            self.stopped_poll.store(poll, Ordering::SeqCst);
            poll
        })
    }

    /// Whether the poll of that number still runs.
    pub(super) fn is_in(&self, poll: u64) -> bool {
        self.poll.load(Ordering::SeqCst) == poll
    }

    /// Whether what runs was asked to stop. Called on the thread that owns Lua only.
    fn is_asked(&self) -> bool {
        let poll = self.poll.load(Ordering::SeqCst);
        let is_stopped = poll % 2 == 1 && poll == self.stopped_poll.load(Ordering::SeqCst);
        is_stopped || self.asked.load(Ordering::SeqCst) || self.is_run_asked()
    }

    /// Makes the Lua thread look at the flag, unless what was to be stopped `is_over`. Nothing
    /// happens when the thread has ended.
    pub(super) fn signal_unless(&self, is_over: &impl Fn() -> bool) {
        // Of a parent there is neither the thread nor, perhaps, whoever holds the lock.
        if !self.is_of_this_process() {
            return;
        }
        if let Err(error) = signal::keep(handler) {
            tracing::warn!(%error, "an interrupt may not be heard");
        }
        let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = self.thread.load(Ordering::SeqCst);
        if thread != 0 && !is_over() {
            self.sent.store(true, Ordering::SeqCst);
            // SAFETY: the thread clears `thread` under the same lock before it ends.
            unsafe { libc::pthread_kill(thread as libc::pthread_t, signal::SIGNAL) };
        }
    }
}

/// The number before the first poll.
const NO_POLL: u64 = 0;

fn controls() -> impl Iterator<Item = &'static Control> {
    let at = |pointer: *mut Control| {
        // SAFETY: controls are leaked and never change their place.
        unsafe { pointer.as_ref() }
    };
    let first = at(CONTROLS.load(Ordering::SeqCst));
    std::iter::successors(first, move |control| {
        at(control.next.load(Ordering::SeqCst))
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a thread's name is a pointer, or as wide as one"
)]
fn this_thread() -> usize {
    // SAFETY: the call has no preconditions.
    unsafe { libc::pthread_self() as usize }
}

/// Arms the hook on the running coroutine. Does nothing but read atomics and set the hook, which
/// Lua allows from a handler, and leaves signals that are not ours to the handler before.
extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let own = this_thread();
    let control = controls().find(|it| it.is_of(own));
    let is_ours = control.is_some_and(|control| control.sent.swap(false, Ordering::SeqCst));
    if let Some(control) = control {
        let state = control.current.load(Ordering::SeqCst);
        if (control.is_asked() || control.is_turn_over()) && !state.is_null() {
            // SAFETY: `current` is a coroutine that this very thread is running.
            unsafe { arm(state, 1) };
        }
    }
    if !is_ours {
        signal::pass_on(own, signal, info, context);
    }
}

/// Sets the hook, to be called after so many instructions.
///
/// # Safety
///
/// `state` must be a live coroutine of the calling thread.
unsafe fn arm(state: *mut lua_State, instructions: c_int) {
    // COUNT only: CALL and RETURN would fire inside mlua's own protected calls.
    // SAFETY: `lua_sethook` may be called at any time from the thread that runs the state.
    unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, instructions) };
}

/// Raises the prebuilt error while the run is asked to stop, yields when its turn is over, and
/// otherwise removes itself. Holds nothing that needs to be dropped, because `lua_error` does not
/// return.
unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut lua_Debug) {
    let Some(control) = OWN.get() else { return };
    // SAFETY: Lua calls a hook with the running state and room on its stack.
    unsafe {
        if control.is_asked() {
            control.raised.fetch_add(1, Ordering::Relaxed);
            let error = control.error.load(Ordering::Relaxed);
            ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::lua_Integer::from(error));
            ffi::lua_error(state);
        }
        if control.is_turn_over() {
            hand_over(control, state);
            return;
        }
        ffi::lua_sethook(state, None, 0, 0);
        if control.is_asked() || control.is_turn_over() {
            arm(state, 1);
        }
    }
}

/// Tells the handler which coroutine runs from now on; answers which one did.
///
/// # Safety
///
/// `state` must be null or a live coroutine of this thread, and stay so until the next switch.
pub(super) unsafe fn switch(state: *mut lua_State) -> *mut lua_State {
    let Some(control) = OWN.get() else {
        return ptr::null_mut();
    };
    // The handler runs on this thread, so a compiler fence is enough.
    let previous = control.current.load(Ordering::Relaxed);
    control.current.store(state, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    if !state.is_null() && (control.is_asked() || control.is_turn_over()) {
        // SAFETY: the caller vouches for `state`.
        unsafe { arm(state, 1) };
    }
    previous
}

/// The control of this thread, when it owns a Lua state.
pub(super) fn own() -> Option<&'static Control> {
    OWN.get()
}

/// Stops what runs on this thread, from within; `asked` is the flag of its cell.
pub(super) fn stop_here(asked: &AtomicBool) -> mlua::Error {
    if let Some(control) = OWN.get() {
        asked.store(true, Ordering::SeqCst);
        // Delivered before the call returns, because the thread sends it to itself.
        control.signal_unless(&|| false);
    }
    mlua::Error::external(Interrupted)
}

/// Raises the prebuilt error in a C function that was asked to stop.
///
/// # Safety
///
/// Called in a C function of `state` that holds nothing to be dropped: it does not return.
pub(super) unsafe fn raise(state: *mut lua_State) -> c_int {
    // SAFETY: as promised; the error was kept by `prepare`.
    unsafe {
        let error = OWN.get().map_or(0, |control| {
            control.raised.fetch_add(1, Ordering::Relaxed);
            control.error.load(Ordering::Relaxed)
        });
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::lua_Integer::from(error));
        ffi::lua_error(state)
    }
}

/// How often code of this thread was stopped so far.
pub(super) fn raised() -> u64 {
    OWN.get()
        .map_or(0, |control| control.raised.load(Ordering::Relaxed))
}

/// Whether the run on this thread was asked to stop.
pub(super) fn is_asked() -> bool {
    OWN.get().is_some_and(Control::is_asked)
}

/// Keeps the error that the hook raises where the hook finds it.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn prepare(lua: &Lua, control: &'static Control) -> mlua::Result<()> {
    let error = Value::Error(Box::new(mlua::Error::external(Interrupted)));
    // SAFETY: one value is on the stack, and `luaL_ref` takes it.
    unsafe {
        lua.exec_raw::<()>(error, |state| {
            let kept = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
            control.error.store(kept, Ordering::SeqCst);
        })
    }
}

/// Whether an error is, or was caused by, the hook's.
pub(super) fn is_interrupt(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::ExternalError(error) => error.downcast_ref::<Interrupted>().is_some(),
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => {
            is_interrupt(cause)
        }
        _ => false,
    }
}
