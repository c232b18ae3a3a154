//! Letting others run: the hook yields the coroutine of a poll whose turn is over, and whoever polls
//! it polls others first.
//!
//! Code that cannot yield, because a C function stands around it, goes on until it can; so does our
//! own Lua code, which counts on not being preempted.

use std::{ffi::CStr, os::raw::c_int, ptr, sync::atomic::Ordering};

use mlua::ffi::{self, lua_Debug, lua_State};

use super::{Control, OWN, arm};

impl Control {
    /// Lets others run when the poll of the number `seen` still runs; answers the number of the one
    /// that runs now, if Lua does.
    pub(in crate::lua) fn preempt(&self, seen: Option<u64>) -> Option<u64> {
        let poll = self.poll.load(Ordering::SeqCst);
        if poll.is_multiple_of(2) {
            return None;
        }
        if seen == Some(poll) {
            self.preempted_poll.store(poll, Ordering::SeqCst);
            self.signal_unless(&|| !self.is_in(poll));
        }
        Some(poll)
    }

    /// Whether the poll that runs must let others run. Called on the thread that owns Lua only.
    pub(super) fn is_turn_over(&self) -> bool {
        let poll = self.poll.load(Ordering::SeqCst);
        poll % 2 == 1 && poll == self.preempted_poll.load(Ordering::SeqCst)
    }
}

/// After so many instructions it is looked again whether code can be preempted that could not.
const INSTRUCTIONS_BETWEEN_LOOKS: c_int = 100;

/// Yields the coroutine that runs, or looks again a little later where it cannot.
///
/// # Safety
///
/// Called in a hook of `state`, as the last thing that the hook does.
pub(super) unsafe fn hand_over(control: &Control, state: *mut lua_State) {
    // SAFETY: as promised; nothing is to be dropped.
    unsafe {
        if control.can_yield.load(Ordering::Relaxed)
            && ffi::lua_isyieldable(state) != 0
            && !is_own_code(state)
        {
            control.yielded.store(state, Ordering::Relaxed);
            control.is_preempted.store(true, Ordering::Relaxed);
            // Still set, because `mlua` knows by that why the coroutine has yielded; it removes
            // itself the next time.
            ffi::lua_yieldk(state, 0, 0, None);
        } else {
            arm(state, INSTRUCTIONS_BETWEEN_LOOKS);
        }
    }
}

/// Whether the function that runs is ours or that of `mlua`.
///
/// # Safety
///
/// Called in a hook of `state`.
unsafe fn is_own_code(state: *mut lua_State) -> bool {
    // SAFETY: the frame is read only when Lua has found it; a source lives as long as its frame.
    unsafe {
        let mut frame: lua_Debug = std::mem::zeroed();
        if ffi::lua_getstack(state, 0, &raw mut frame) == 0
            || ffi::lua_getinfo(state, c"S".as_ptr(), &raw mut frame) == 0
            || frame.source.is_null()
        {
            return true;
        }
        is_own_source(CStr::from_ptr(frame.source).to_bytes())
    }
}

/// How the names of our own Lua code and that of `mlua` begin. Cells and files have an at sign in
/// front, and code without a name is its own name: neither can begin so.
const OWN_SOURCES: [&[u8]; 2] = [b"=[aikit]", b"=__mlua"];

/// Whether that is the name of our own Lua code or that of `mlua`.
pub(in crate::lua) fn is_own_source(name: &[u8]) -> bool {
    OWN_SOURCES.iter().any(|own| name.starts_with(own))
}

/// Says whether what runs from now on can be preempted; answers what was so before.
pub(in crate::lua) fn set_can_yield(can_yield: bool) -> bool {
    OWN.get()
        .is_some_and(|control| control.can_yield.swap(can_yield, Ordering::Relaxed))
}

/// Whether what runs can be preempted.
pub(in crate::lua) fn can_yield() -> bool {
    OWN.get()
        .is_some_and(|control| control.can_yield.load(Ordering::Relaxed))
}

/// Whether the hook has yielded this coroutine; told once.
pub(in crate::lua) fn take_yielded(state: *mut lua_State) -> bool {
    OWN.get().is_some_and(|control| {
        let taken = control.yielded.compare_exchange(
            state,
            ptr::null_mut(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        taken.is_ok()
    })
}

/// Whether something was preempted in this poll.
pub(in crate::lua) fn is_preempted() -> bool {
    OWN.get()
        .is_some_and(|control| control.is_preempted.load(Ordering::Relaxed))
}

/// A coroutine that the engine polls has stopped running: nobody else asks why.
pub(in crate::lua) fn forget_yielded() {
    if let Some(control) = OWN.get() {
        control.yielded.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Whether something was preempted in this poll, which ends.
pub(in crate::lua) fn take_preempted() -> bool {
    OWN.get()
        .is_some_and(|control| control.is_preempted.swap(false, Ordering::Relaxed))
}
