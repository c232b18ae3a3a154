//! Replacements of functions of Lua's base and coroutine libraries that must know about
//! interrupts and about waiting.
//!
//! `coroutine.create` and `wrap` put a protected call around the body: one that the hook has
//! stopped would otherwise run its `__close` functions with hooks off, where nothing stops them.
//! `coroutine.resume`, `wrap` and `close` tell the handler of [`interrupt`](super::interrupt) which
//! coroutine runs, and pass on the waiting of an asynchronous function inside a coroutine of the
//! script; for `yield` see [`yields`](super::yields). Until whoever has resumed a coroutine goes on
//! with it, they and `status` treat it as one that runs, see [`resumed`](super::resumed).
//! `xpcall` leaves its handler out of an interrupted run, because hooks are off in there.
//! `setmetatable` refuses `__gc`, whose functions would run with hooks off. Each is a port of the
//! function of the same name in Lua 5.4.
#![expect(
    unsafe_code,
    reason = "these functions replace C functions of Lua; every block says why it is sound"
)]

use std::os::raw::c_int;

use mlua::{
    Function, Lua, Table,
    ffi::{self, lua_KContext, lua_State},
};

use super::{
    interrupt::{self, switch},
    polled::is_driven,
    resumed, state as runs,
    yields::{self, is_pending, refuse_wait},
};

/// Puts the replacements in place.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    let coroutine: Table = globals.get("coroutine")?;
    yields::install(lua, &coroutine)?;
    let waiting = weak_table(lua)?;
    // SAFETY: the functions keep to the protocol of C functions of Lua; the table is on the stack.
    unsafe {
        lua.exec_raw::<()>(waiting, |state| {
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, (&raw const WAITING).cast());
        })?;
        coroutine.raw_set("create", lua.create_c_function(create)?)?;
        coroutine.raw_set("resume", lua.create_c_function(resume)?)?;
        coroutine.raw_set("wrap", lua.create_c_function(wrap)?)?;
        let around: [(&str, ffi::lua_CFunction); 2] = [("close", close), ("status", status)];
        for (name, function) in around {
            let original: Function = coroutine.raw_get(name)?;
            let function: Function = lua.exec_raw(original, |state| {
                ffi::lua_pushcclosure(state, function, 1);
            })?;
            coroutine.raw_set(name, function)?;
        }
        globals.raw_set("xpcall", lua.create_c_function(xpcall)?)?;
        globals.raw_set("setmetatable", lua.create_c_function(setmetatable)?)?;
    }
    Ok(())
}

/// A table that keeps none of its keys alive.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn weak_table(lua: &Lua) -> mlua::Result<Table> {
    let (table, metatable) = (lua.create_table()?, lua.create_table()?);
    metatable.raw_set("__mode", "k")?;
    table.set_metatable(Some(metatable))?;
    Ok(table)
}

/// What a resumed coroutine did.
enum Resumed {
    /// It gave this many values, which are on the stack.
    Values(c_int),
    /// It waits for an asynchronous function, or was preempted.
    Waits,
    /// It failed; the error is on the stack.
    Failed,
}

/// Resumes `co` with the top `count` values of `state`.
unsafe fn resume_once(state: *mut lua_State, co: *mut lua_State, count: c_int) -> Resumed {
    // SAFETY: the stack discipline is that of `auxresume` in lcorolib.c.
    unsafe {
        if resumed::is_waited_for(co.addr()) {
            ffi::lua_pushstring(state, c"cannot resume non-suspended coroutine".as_ptr());
            return Resumed::Failed;
        }
        if ffi::lua_checkstack(co, count) == 0 {
            ffi::lua_pushstring(state, c"too many arguments to resume".as_ptr());
            return Resumed::Failed;
        }
        ffi::lua_xmove(state, co, count);
        let mut results = 0;
        let resumer = runs::resume(co.addr());
        let previous = switch(co);
        // Who cannot wait itself cannot let it wait.
        let could_yield = interrupt::can_yield();
        interrupt::set_can_yield(could_yield && ffi::lua_isyieldable(state) != 0);
        let status = ffi::lua_resume(co, state, count, &raw mut results);
        interrupt::set_can_yield(could_yield);
        switch(previous);
        runs::suspend(co.addr(), resumer, status == ffi::LUA_YIELD);
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            ffi::lua_xmove(co, state, 1);
            return Resumed::Failed;
        }
        if status == ffi::LUA_YIELD && results == 0 && interrupt::take_yielded(co) {
            return Resumed::Waits;
        }
        if status == ffi::LUA_YIELD && results == 1 && is_pending(co) {
            ffi::lua_settop(co, -2);
            return Resumed::Waits;
        }
        if ffi::lua_checkstack(state, results + 1) == 0 {
            ffi::lua_settop(co, -results - 1);
            ffi::lua_pushstring(state, c"too many results to resume".as_ptr());
            return Resumed::Failed;
        }
        ffi::lua_xmove(co, state, results);
        Resumed::Values(results)
    }
}

/// Lets the coroutine `state`, which has resumed `co`, wait for it, and goes on with `then` when it
/// is resumed itself.
unsafe fn wait(state: *mut lua_State, co: *mut lua_State, then: ffi::lua_KFunction) -> c_int {
    // SAFETY: called in tail position of a C function, as `lua_yieldk` asks.
    unsafe {
        if ffi::lua_isyieldable(state) == 0 {
            refuse_wait(state);
        }
        if let Some(driven) = runs::driven() {
            resumed::wait_for(co.addr(), driven);
        }
        ffi::lua_pushlightuserdata(state, Lua::poll_pending().0);
        ffi::lua_yieldk(state, 1, 0, Some(then))
    }
}

unsafe extern "C-unwind" fn resume(state: *mut lua_State) -> c_int {
    // SAFETY: argument 1 is checked to be a coroutine.
    unsafe {
        if ffi::lua_tothread(state, 1).is_null() {
            ffi::luaL_checktype(state, 1, ffi::LUA_TTHREAD);
        }
        let co = ffi::lua_tothread(state, 1);
        if co != state && is_driven(co) {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_pushstring(
                state,
                c"cannot resume the coroutine of a cell or a task".as_ptr(),
            );
            return 2;
        }
        let count = ffi::lua_gettop(state) - 1;
        resume_with(state, count)
    }
}

/// Address that names the table of [`remember`] in the registry.
static WAITING: u8 = 0;

/// Keeps the coroutine at index 1 while `state` waits for it: `mlua` clears the stack of whatever
/// waits. The table holds `state` weakly, so a coroutine that is dropped meanwhile leaves nothing.
unsafe fn remember(state: *mut lua_State) {
    // SAFETY: the table is made in `install`; the stack has room for a C function's twenty values.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, (&raw const WAITING).cast());
        ffi::lua_pushthread(state);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
    }
}

/// Puts back at index 1 what [`remember`] kept, and nothing else.
unsafe fn recall(state: *mut lua_State) {
    // SAFETY: as for `remember`.
    unsafe {
        ffi::lua_settop(state, 0);
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, (&raw const WAITING).cast());
        ffi::lua_pushthread(state);
        ffi::lua_rawget(state, 1);
        ffi::lua_pushthread(state);
        ffi::lua_pushnil(state);
        ffi::lua_rawset(state, 1);
        ffi::lua_replace(state, 1);
    }
}

unsafe extern "C-unwind" fn resume_again(
    state: *mut lua_State,
    _: c_int,
    _: lua_KContext,
) -> c_int {
    // SAFETY: `resume_with` has remembered the coroutine.
    unsafe {
        recall(state);
        resumed::go_on(ffi::lua_tothread(state, 1).addr());
        resume_with(state, 0)
    }
}

unsafe fn resume_with(state: *mut lua_State, count: c_int) -> c_int {
    // SAFETY: argument 1 is a coroutine, the top `count` values are its arguments.
    unsafe {
        let co = ffi::lua_tothread(state, 1);
        match resume_once(state, co, count) {
            Resumed::Waits => {
                remember(state);
                wait(state, co, resume_again)
            }
            Resumed::Failed => {
                ffi::lua_pushboolean(state, 0);
                ffi::lua_insert(state, -2);
                2
            }
            Resumed::Values(results) => {
                ffi::lua_pushboolean(state, 1);
                ffi::lua_insert(state, -(results + 1));
                results + 1
            }
        }
    }
}

unsafe extern "C-unwind" fn create(state: *mut lua_State) -> c_int {
    // SAFETY: argument 1 is checked to be a function; it becomes the upvalue of the body.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        let co = ffi::lua_newthread(state);
        runs::forget_suspended(co.addr());
        ffi::lua_pushvalue(state, 1);
        ffi::lua_pushcclosure(state, body, 1);
        ffi::lua_xmove(state, co, 1);
        1
    }
}

/// Runs the function of a coroutine, its upvalue. The protected call turns hooks on again before
/// the variables of a stopped function are closed.
unsafe extern "C-unwind" fn body(state: *mut lua_State) -> c_int {
    // SAFETY: all values on the stack are arguments.
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        let status = ffi::lua_pcallk(state, count, ffi::LUA_MULTRET, 0, 0, Some(finish_body));
        finish_body(state, status, 0)
    }
}

unsafe extern "C-unwind" fn finish_body(
    state: *mut lua_State,
    status: c_int,
    _: lua_KContext,
) -> c_int {
    // SAFETY: a failed call has left its error on top, otherwise there are results only.
    unsafe {
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            ffi::lua_error(state);
        }
        ffi::lua_gettop(state)
    }
}

unsafe extern "C-unwind" fn wrap(state: *mut lua_State) -> c_int {
    // SAFETY: `create` leaves the new coroutine on top, which becomes the upvalue.
    unsafe {
        create(state);
        ffi::lua_pushcclosure(state, call_wrapped, 1);
        1
    }
}

unsafe extern "C-unwind" fn call_wrapped(state: *mut lua_State) -> c_int {
    // SAFETY: all values on the stack are arguments.
    unsafe { call_wrapped_with(state, ffi::lua_gettop(state)) }
}

unsafe extern "C-unwind" fn call_wrapped_again(
    state: *mut lua_State,
    _: c_int,
    _: lua_KContext,
) -> c_int {
    // SAFETY: what the waiting was resumed with is dropped.
    unsafe {
        ffi::lua_settop(state, 0);
        resumed::go_on(ffi::lua_tothread(state, ffi::lua_upvalueindex(1)).addr());
        call_wrapped_with(state, 0)
    }
}

unsafe fn call_wrapped_with(state: *mut lua_State, count: c_int) -> c_int {
    // SAFETY: the upvalue is the coroutine of `wrap`; the rest is `auxwrap` of lcorolib.c.
    unsafe {
        let co = ffi::lua_tothread(state, ffi::lua_upvalueindex(1));
        match resume_once(state, co, count) {
            Resumed::Values(results) => results,
            Resumed::Waits => wait(state, co, call_wrapped_again),
            Resumed::Failed => {
                let mut status = ffi::lua_status(co);
                if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
                    let previous = switch(co);
                    status = ffi::lua_closethread(co, state);
                    switch(previous);
                    ffi::lua_xmove(co, state, 1);
                }
                let is_text = ffi::lua_type(state, -1) == ffi::LUA_TSTRING;
                if status != ffi::LUA_ERRMEM && is_text {
                    ffi::luaL_where(state, 1);
                    ffi::lua_insert(state, -2);
                    ffi::lua_concat(state, 2);
                }
                ffi::lua_error(state)
            }
        }
    }
}

/// Upvalue 1 is the original, which can run Lua code (`__close`) on the coroutine only.
unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: the original checks its argument; the handler is told of the coroutine only where
    // the original will run it.
    unsafe {
        let Some(original) = ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) else {
            return 0;
        };
        let co = ffi::lua_tothread(state, 1);
        if co.is_null() || co == state {
            return original(state);
        }
        if is_driven(co) {
            let refusal = c"cannot close the coroutine of a cell or a task; cancel the task";
            return ffi::luaL_error(state, refusal.as_ptr());
        }
        if resumed::is_waited_for(co.addr()) {
            return ffi::luaL_error(state, c"cannot close a normal coroutine".as_ptr());
        }
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        let runs =
            ffi::lua_status(co) == ffi::LUA_OK && ffi::lua_getstack(co, 0, &raw mut frame) != 0;
        if runs {
            return original(state);
        }
        // Its variables are closed inside of what it had begun.
        let closer = runs::resume(co.addr());
        let previous = switch(co);
        let results = original(state);
        switch(previous);
        runs::suspend(co.addr(), closer, false);
        results
    }
}

/// Upvalue 1 is the original, which calls suspended whatever has yielded: also the coroutine of a
/// cell or a task that waits or was preempted, and those that it has resumed.
unsafe extern "C-unwind" fn status(state: *mut lua_State) -> c_int {
    // SAFETY: the original checks its argument.
    unsafe {
        let co = ffi::lua_tothread(state, 1);
        let is_active = !co.is_null()
            && co != state
            && ffi::lua_status(co) == ffi::LUA_YIELD
            && (is_driven(co) || resumed::is_waited_for(co.addr()));
        if is_active {
            ffi::lua_pushstring(state, c"normal".as_ptr());
            return 1;
        }
        let original = ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1));
        original.map_or(0, |original| original(state))
    }
}

/// Upvalue 1 is the handler of the script.
unsafe extern "C-unwind" fn handle_message(state: *mut lua_State) -> c_int {
    // SAFETY: the message is at index 1.
    unsafe {
        if interrupt::is_asked() {
            ffi::lua_settop(state, 1);
            return 1;
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
        ffi::lua_gettop(state)
    }
}

unsafe extern "C-unwind" fn xpcall(state: *mut lua_State) -> c_int {
    // SAFETY: argument 2 is checked to be a function; the rest is `luaB_xpcall` of lbaselib.c.
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        ffi::lua_pushvalue(state, 2);
        ffi::lua_pushcclosure(state, handle_message, 1);
        ffi::lua_replace(state, 2);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rotate(state, 3, 2);
        let status = ffi::lua_pcallk(state, count - 2, ffi::LUA_MULTRET, 2, 2, Some(finish_pcall));
        finish_pcall(state, status, 2)
    }
}

pub(super) unsafe extern "C-unwind" fn finish_pcall(
    state: *mut lua_State,
    status: c_int,
    extra: lua_KContext,
) -> c_int {
    // SAFETY: a failed call has left its error on top.
    unsafe {
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_pushvalue(state, -2);
            return 2;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is 1 or 2")]
        let skipped = extra as c_int;
        ffi::lua_gettop(state) - skipped
    }
}

unsafe extern "C-unwind" fn setmetatable(state: *mut lua_State) -> c_int {
    // SAFETY: the arguments are checked; the rest is `luaB_setmetatable` of lbaselib.c.
    unsafe {
        let kind = ffi::lua_type(state, 2);
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            return ffi::luaL_error(
                state,
                c"bad argument #2 to 'setmetatable' (nil or table expected)".as_ptr(),
            );
        }
        if kind == ffi::LUA_TTABLE {
            ffi::lua_pushstring(state, c"__gc".as_ptr());
            if ffi::lua_rawget(state, 2) != ffi::LUA_TNIL {
                return ffi::luaL_error(
                    state,
                    c"`__gc` is not allowed; use a variable with `<close>` to release something"
                        .as_ptr(),
                );
            }
            ffi::lua_settop(state, -2);
        }
        if ffi::luaL_getmetafield(state, 1, c"__metatable".as_ptr()) != ffi::LUA_TNIL {
            return ffi::luaL_error(state, c"cannot change a protected metatable".as_ptr());
        }
        ffi::lua_settop(state, 2);
        ffi::lua_setmetatable(state, 1);
        1
    }
}
