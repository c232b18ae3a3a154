//! What the engine needs of Lua that `mlua` does not offer: the error value with its traceback,
//! shared upvalues, fields of errors, and a question that costs little.
#![expect(
    unsafe_code,
    reason = "these parts of Lua exist as C functions only; every block says why it is sound"
)]

use std::{hash::Hasher as _, os::raw::c_int, ptr, sync::Arc};

use mlua::{
    Function, LightUserData, Lua, Value,
    ffi::{self, lua_State},
};
use rustc_hash::FxHasher;

use super::{
    coroutine::{finish_pcall, weak_table},
    run::Run,
};

/// Lets the collector work as if Lua itself had taken so many bytes: it sees the handle of an
/// object only, and would let thousands wait that hold megabytes each.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn count_for_collector(lua: &Lua, bytes: usize) -> mlua::Result<()> {
    // A step of no size would be one of the usual size.
    let kibibytes = c_int::try_from(bytes.div_ceil(1 << 10)).unwrap_or(c_int::MAX);
    // SAFETY: a step of the collector takes the number of kibibytes, and leaves the stack as it is.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            ffi::lua_gc(state, ffi::LUA_GCSTEP, kibibytes);
        })
    }
}

/// A function that calls its first argument under a message handler which keeps the error value
/// and the traceback: answers `true, results…` or `false, {value, traceback}`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn protected_call(lua: &Lua) -> mlua::Result<Function> {
    let tracebacks = weak_table(lua)?;
    // SAFETY: the table is on the stack; the function keeps to the protocol of C functions of Lua.
    unsafe {
        lua.exec_raw::<()>(tracebacks, |state| {
            ffi::lua_rawsetp(
                state,
                ffi::LUA_REGISTRYINDEX,
                (&raw const TRACEBACKS).cast(),
            );
        })?;
        lua.create_c_function(call_with_traceback)
    }
}

/// Address that names the table of the tracebacks by coroutine in the registry.
static TRACEBACKS: u8 = 0;

/// Keeps the traceback beside the error value, which variables to be closed are given on the way.
/// Calls nothing that needs much stack, because it also runs when the stack is full. A collection
/// would take away the room that Lua has added for that.
unsafe extern "C-unwind" fn trace_message(state: *mut lua_State) -> c_int {
    // SAFETY: the message is at index 1; C functions may use twenty slots.
    unsafe {
        ffi::lua_gc(state, ffi::LUA_GCSTOP);
        ffi::lua_rawgetp(
            state,
            ffi::LUA_REGISTRYINDEX,
            (&raw const TRACEBACKS).cast(),
        );
        ffi::lua_pushthread(state);
        ffi::luaL_traceback(state, state, ptr::null(), 1);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn call_with_traceback(state: *mut lua_State) -> c_int {
    // SAFETY: as `xpcall`, with a handler of our own below the function.
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::lua_pushcfunction(state, trace_message);
        ffi::lua_insert(state, 1);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 2);
        let status = ffi::lua_pcallk(
            state,
            count - 1,
            ffi::LUA_MULTRET,
            1,
            1,
            Some(finish_traced),
        );
        finish_traced(state, status, 1)
    }
}

unsafe extern "C-unwind" fn finish_traced(
    state: *mut lua_State,
    status: c_int,
    extra: ffi::lua_KContext,
) -> c_int {
    // SAFETY: as `finish_pcall`; whatever became of the handler, collections go on.
    unsafe {
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            join_traceback(state);
            ffi::lua_gc(state, ffi::LUA_GCRESTART);
        }
        finish_pcall(state, status, extra)
    }
}

/// Puts `{value, traceback}` above the error value on top.
unsafe fn join_traceback(state: *mut lua_State) {
    // SAFETY: six values at most are added; C functions may use twenty slots.
    unsafe {
        ffi::lua_createtable(state, 2, 0);
        ffi::lua_pushvalue(state, -2);
        ffi::lua_rawseti(state, -2, 1);
        ffi::lua_rawgetp(
            state,
            ffi::LUA_REGISTRYINDEX,
            (&raw const TRACEBACKS).cast(),
        );
        ffi::lua_pushthread(state);
        ffi::lua_rawget(state, -2);
        ffi::lua_rawseti(state, -3, 2);
        ffi::lua_pushthread(state);
        ffi::lua_pushnil(state);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
    }
}

/// Longest name of a member that is looked at, in bytes. Nobody types a longer one, and to compare
/// those of a table takes as long as they are, in code that no interrupt stops.
pub(super) const MEMBER_BYTES_MAX: usize = 256;

/// A function that tells what a table looks like in one number: its length, and the names of its
/// members with what these are (functions, tables, others), of so many members at most as its second
/// argument says; with a third one that is true also which values they are. Of a long name only its
/// length counts. How many names there are comes second. No metamethod is called. Every cell asks it
/// of every global table, so it does without a step of Lua for each member.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn shape(lua: &Lua) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn answer(state: *mut lua_State) -> c_int {
        // SAFETY: only `names.rs` has this function, and gives it a table and a number. The table
        // does not change meanwhile; a key and a member are on the stack in each step.
        unsafe {
            let mut left = ffi::lua_tointeger(state, 2);
            let is_exact = ffi::lua_toboolean(state, 3) != 0;
            let (mut sum, mut named) = (0_u64, 0);
            ffi::lua_settop(state, 1);
            ffi::lua_pushnil(state);
            while left > 0 && ffi::lua_next(state, 1) != 0 {
                left -= 1;
                if ffi::lua_type(state, -2) == ffi::LUA_TSTRING {
                    let mut length = 0;
                    let name = ffi::lua_tolstring(state, -2, &raw mut length).cast::<u8>();
                    let mut hasher = FxHasher::default();
                    hasher.write_usize(length);
                    // Of a longer one the picture of the table has only that it is there: what it
                    // is may change unseen, and a table of long ones costs no more than another.
                    if length <= MEMBER_BYTES_MAX {
                        hasher.write(std::slice::from_raw_parts(name, length));
                    }
                    hasher.write_u8(match ffi::lua_type(state, -1) {
                        ffi::LUA_TFUNCTION => 0,
                        ffi::LUA_TTABLE => 1,
                        _ => 2,
                    });
                    if is_exact {
                        hash_value(state, &mut hasher);
                    }
                    // The order of members says nothing.
                    sum = sum.wrapping_add(hasher.finish());
                    named += 1;
                }
                ffi::lua_settop(state, 2);
            }
            let mut hasher = FxHasher::default();
            hasher.write_u64(sum);
            hasher.write_u64(ffi::lua_rawlen(state, 1) as u64);
            ffi::lua_settop(state, 0);
            ffi::lua_pushinteger(state, hasher.finish().cast_signed());
            ffi::lua_pushinteger(state, named);
            2
        }
    }
    // SAFETY: it keeps to the protocol of C functions of Lua.
    unsafe { lua.create_c_function(answer) }
}

/// Adds which value is on top of the stack; a long text by its address.
///
/// # Safety
///
/// There must be one.
unsafe fn hash_value(state: *mut lua_State, hasher: &mut FxHasher) {
    // SAFETY: each function takes any value, and changes none; a number is not made a text.
    unsafe {
        let kind = ffi::lua_type(state, -1);
        hasher.write_i32(kind);
        hasher.write_i32(ffi::lua_isinteger(state, -1));
        match kind {
            ffi::LUA_TBOOLEAN => hasher.write_i32(ffi::lua_toboolean(state, -1)),
            ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                hasher.write_i64(ffi::lua_tointeger(state, -1));
            }
            ffi::LUA_TNUMBER => hasher.write_u64(ffi::lua_tonumber(state, -1).to_bits()),
            _ => hasher.write_usize(ffi::lua_topointer(state, -1).addr()),
        }
    }
}

/// A run as [`runs`] takes it.
pub(super) fn run_of(run: &Arc<Run>) -> LightUserData {
    LightUserData(Arc::as_ptr(run).cast_mut().cast())
}

/// A function that says whether the Context of a run has not ended; it takes what [`run_of`] gives,
/// from code that keeps the run meanwhile. Middleware asks between each and the next, so this does
/// without what a function of `mlua` costs.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn runs(lua: &Lua) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn answer(state: *mut lua_State) -> c_int {
        // SAFETY: only `procedure.lua` has this function. It gives the address of a run that the
        // execution beside it holds, and hands neither to the script.
        unsafe {
            let run = ffi::lua_touserdata(state, 1).cast::<Run>();
            let is_so = run.as_ref().is_some_and(|run| run.cx.check().is_ok());
            ffi::lua_pushboolean(state, c_int::from(is_so));
            1
        }
    }
    // SAFETY: it keeps to the protocol of C functions of Lua.
    unsafe { lua.create_c_function(answer) }
}

/// A function that calls `check` with its arguments and then `function`, which may wait, with the
/// same ones.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn checked(lua: &Lua, check: Function, function: Function) -> mlua::Result<Function> {
    // SAFETY: two values are on the stack, and become the upvalues.
    unsafe {
        lua.exec_raw((check, function), |state| {
            ffi::lua_pushcclosure(state, call_checked, 2);
        })
    }
}

unsafe extern "C-unwind" fn call_checked(state: *mut lua_State) -> c_int {
    // SAFETY: all values on the stack are arguments; they are doubled for the check.
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::luaL_checkstack(state, count + 2, c"too many arguments".as_ptr());
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        ffi::lua_insert(state, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        for index in 2..=count + 1 {
            ffi::lua_pushvalue(state, index);
        }
        ffi::lua_call(state, count, 0);
        ffi::lua_callk(state, count, ffi::LUA_MULTRET, 0, Some(finish_checked));
        ffi::lua_gettop(state)
    }
}

unsafe extern "C-unwind" fn finish_checked(
    state: *mut lua_State,
    _: c_int,
    _: ffi::lua_KContext,
) -> c_int {
    // SAFETY: the results are all there is.
    unsafe { ffi::lua_gettop(state) }
}

/// Makes the upvalue `name` of `function` one and the same variable as that of `other`.
/// Answers whether both have one of that name.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn join_upvalue(
    lua: &Lua,
    function: &Function,
    other: &Function,
    name: &str,
) -> mlua::Result<bool> {
    // SAFETY: both are Lua functions, and the positions come from Lua itself.
    unsafe {
        lua.exec_raw((function, other), |state| {
            let (own, others) = (upvalue(state, 1, name), upvalue(state, 2, name));
            let both = own.zip(others);
            if let Some((own, others)) = both {
                ffi::lua_upvaluejoin(state, 1, own, 2, others);
            }
            ffi::lua_settop(state, 0);
            ffi::lua_pushboolean(state, c_int::from(both.is_some()));
        })
    }
}

/// The position of an upvalue by its name.
unsafe fn upvalue(state: *mut lua_State, function: c_int, name: &str) -> Option<c_int> {
    for position in 1.. {
        // SAFETY: `function` is the index of a Lua function; names live as long as it does.
        let found = unsafe {
            let found = ffi::lua_getupvalue(state, function, position);
            if found.is_null() {
                return None;
            }
            ffi::lua_settop(state, -2);
            std::ffi::CStr::from_ptr(found)
        };
        if found.to_bytes() == name.as_bytes() {
            return Some(position);
        }
    }
    None
}

/// Gives the errors that Rust functions raise the fields that `index` answers, the text that
/// `to_text` answers, and locks their metatable.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn dress_errors(lua: &Lua, index: Function, to_text: Function) -> mlua::Result<()> {
    let error = Value::Error(Box::new(mlua::Error::runtime("")));
    // SAFETY: the first value is an error, which always has a metatable.
    unsafe {
        lua.exec_raw::<()>((error, index, to_text), |state| {
            ffi::lua_getmetatable(state, 1);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_setfield(state, 4, c"__index".as_ptr());
            ffi::lua_pushvalue(state, 3);
            ffi::lua_setfield(state, 4, c"__tostring".as_ptr());
            ffi::lua_pushstring(state, c"error".as_ptr());
            ffi::lua_setfield(state, 4, c"__name".as_ptr());
            ffi::lua_pushboolean(state, 0);
            ffi::lua_setfield(state, 4, c"__metatable".as_ptr());
            ffi::lua_settop(state, 0);
        })
    }
}

/// Locks the metatable of strings, so that no script can change what strings do.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn lock_strings(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: the value is a string, which has a metatable once the string library is loaded.
    unsafe {
        lua.exec_raw::<()>("", |state| {
            if ffi::lua_getmetatable(state, 1) != 0 {
                ffi::lua_pushboolean(state, 0);
                ffi::lua_setfield(state, 2, c"__metatable".as_ptr());
            }
            ffi::lua_settop(state, 0);
        })
    }
}
