//! `coroutine.yield`: it refuses to hand out what nobody takes, in a generator also what is no item,
//! and to wait where nothing can; `isyieldable` says where it hands something out.
#![expect(
    unsafe_code,
    reason = "these functions replace C functions of Lua; every block says why it is sound"
)]

use std::{ffi::CStr, os::raw::c_int};

use aikit_core::Error;
use mlua::{
    Function, Lua, Table,
    ffi::{self, lua_State},
};

use super::{coroutine::weak_table, error, polled::is_polled};

/// Addresses that name what is kept in the registry: the table of [`generates`], and the function
/// that raises [`no_wait`].
static GENERATORS: u8 = 0;
static NO_WAIT: u8 = 1;

/// Puts the functions into the library of coroutines.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua, coroutine: &Table) -> mlua::Result<()> {
    let generators = weak_table(lua)?;
    let refuse_wait = lua.create_function(|_, ()| Err::<(), _>(error::to_lua(no_wait())))?;
    // SAFETY: the functions keep to the protocol of C functions of Lua; what is kept is on the
    // stack, the last on top.
    unsafe {
        lua.exec_raw::<()>((refuse_wait, generators), |state| {
            for key in [&raw const GENERATORS, &raw const NO_WAIT] {
                ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key.cast());
            }
        })?;
        let refuse = lua.create_function(|_, count: Option<usize>| {
            Err::<(), _>(error::to_lua(count.map_or_else(untaken, no_item)))
        })?;
        let hand_out: Function = lua.exec_raw(refuse, |state| {
            ffi::lua_pushcclosure(state, hand_out, 1);
        })?;
        coroutine.raw_set("yield", hand_out)?;
        coroutine.raw_set("isyieldable", lua.create_c_function(is_yieldable)?)?;
    }
    Ok(())
}

fn untaken() -> Error {
    let message = "`coroutine.yield` was called outside of a coroutine: nobody takes the values";
    let hint = "make the procedure with `generator = true`, or run the function in a coroutine";
    Error::invalid_args(message).with_hint(hint)
}

/// The error of what is no item, of so many values.
fn no_item(count: usize) -> Error {
    if count > 1 {
        let message = format!("`coroutine.yield` was given {count} values, but an item is one");
        let hint = "yield one value, a table for several; parentheses keep the first of a call: \
                    `coroutine.yield((text:gsub(…)))`";
        return Error::invalid_args(message).with_hint(hint);
    }
    let given = if count == 0 { "nothing" } else { "`nil`" };
    let message = format!("`coroutine.yield` was given {given}, which would end the iteration");
    Error::invalid_args(message).with_hint("yield `JSON.null` or `false` for nothing")
}

fn no_wait() -> Error {
    let message = "a function that waits was called where nothing can wait";
    let hint = "wait before or after: metamethods, functions given to `table.sort` or \
                `string.gsub`, and the `__close` of a coroutine or generator that is left early \
                cannot; `async` starts something beside";
    Error::invalid_args(message).with_hint(hint)
}

/// A function that marks a coroutine as the code of a generator, and gives it back: what that
/// hands out are items.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn generates(lua: &Lua) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn mark(state: *mut lua_State) -> c_int {
        // SAFETY: argument 1 is checked to be a coroutine; the table is made in `install`.
        unsafe {
            ffi::luaL_checktype(state, 1, ffi::LUA_TTHREAD);
            ffi::lua_settop(state, 1);
            ffi::lua_rawgetp(
                state,
                ffi::LUA_REGISTRYINDEX,
                (&raw const GENERATORS).cast(),
            );
            ffi::lua_pushvalue(state, 1);
            ffi::lua_pushboolean(state, 1);
            ffi::lua_rawset(state, 2);
            ffi::lua_settop(state, 1);
            1
        }
    }
    // SAFETY: it keeps to the protocol of C functions of Lua.
    unsafe { lua.create_c_function(mark) }
}

/// Whether the coroutine is the code of a generator.
unsafe fn is_generator(state: *mut lua_State) -> bool {
    // SAFETY: three values are pushed and taken off again.
    unsafe {
        ffi::lua_rawgetp(
            state,
            ffi::LUA_REGISTRYINDEX,
            (&raw const GENERATORS).cast(),
        );
        ffi::lua_pushthread(state);
        let is_so = ffi::lua_rawget(state, -2) != ffi::LUA_TNIL;
        ffi::lua_settop(state, -3);
        is_so
    }
}

/// Raises [`no_wait`].
pub(super) unsafe fn refuse_wait(state: *mut lua_State) {
    // SAFETY: the function is kept in `install`.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, (&raw const NO_WAIT).cast());
        ffi::lua_call(state, 0, 0);
    }
}

/// Whether the value on top says that an asynchronous function is not done.
pub(super) unsafe fn is_pending(co: *mut lua_State) -> bool {
    // SAFETY: the stack has at least one value.
    unsafe { ffi::lua_tolightuserdata(co, -1) == Lua::poll_pending().0 }
}

/// What `mlua` calls the code that waits for an asynchronous function.
const WAITS: &CStr = c"=__mlua_async_poll";

/// `coroutine.yield`. The coroutines that the engine polls go on by themselves, so what they would
/// hand out were lost; they stop for what they wait for only. What is handed out by a generator is
/// one value that is not `nil`. Upvalue 1 raises the errors.
unsafe extern "C-unwind" fn hand_out(state: *mut lua_State) -> c_int {
    // SAFETY: all values on the stack are handed out; the caller's frame is looked at where there
    // is one.
    unsafe {
        let count = ffi::lua_gettop(state);
        let is_waiting = || (count == 1 && is_pending(state)) || waits(state);
        if ffi::lua_isyieldable(state) == 0 {
            if is_waiting() {
                refuse_wait(state);
            }
        } else if is_polled(state) {
            if !is_waiting() {
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
                ffi::lua_call(state, 0, 0);
            }
        } else if (count != 1 || ffi::lua_type(state, 1) == ffi::LUA_TNIL)
            && is_generator(state)
            && !is_waiting()
        {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
            ffi::lua_pushinteger(state, ffi::lua_Integer::from(count));
            ffi::lua_call(state, 1, 0);
        }
        ffi::lua_yield(state, count)
    }
}

/// `coroutine.isyieldable`: a coroutine of the engine is not, see [`hand_out`].
unsafe extern "C-unwind" fn is_yieldable(state: *mut lua_State) -> c_int {
    // SAFETY: the first argument is used only when it is a coroutine, as `luaB_yieldable` does.
    unsafe {
        let given = ffi::lua_tothread(state, 1);
        let asked = if given.is_null() { state } else { given };
        let is_so = ffi::lua_isyieldable(asked) != 0 && !is_polled(asked);
        ffi::lua_pushboolean(state, c_int::from(is_so));
        1
    }
}

/// A function that says whether whoever calls it can wait for an asynchronous function.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn can_wait(lua: &Lua) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn answer(state: *mut lua_State) -> c_int {
        // SAFETY: one value is pushed.
        unsafe {
            ffi::lua_pushboolean(state, ffi::lua_isyieldable(state));
            1
        }
    }
    // SAFETY: it keeps to the protocol of C functions of Lua.
    unsafe { lua.create_c_function(answer) }
}

/// Whether the function was called by the code that waits.
unsafe fn waits(state: *mut lua_State) -> bool {
    // SAFETY: the frame is read only when Lua has found it; a source lives as long as its frame.
    unsafe {
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        ffi::lua_getstack(state, 1, &raw mut frame) != 0
            && ffi::lua_getinfo(state, c"S".as_ptr(), &raw mut frame) != 0
            && !frame.source.is_null()
            && CStr::from_ptr(frame.source) == WAITS
    }
}
