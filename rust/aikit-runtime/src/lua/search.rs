//! `string.find`, `match`, `gmatch` and `gsub`, which an interrupt ends: ports of the functions of
//! `lstrlib.c` (Lua 5.4) over the matcher of [`pattern`](super::pattern).
#![expect(
    unsafe_code,
    reason = "these functions replace C functions of Lua; every block says why it is sound"
)]

use std::{
    ffi::CStr,
    mem::MaybeUninit,
    os::raw::{c_char, c_int},
    slice,
};

use memchr::{memchr, memmem};
use mlua::{
    Lua, Table,
    ffi::{self, lua_Integer, lua_State, luaL_Buffer},
};

use super::{
    interrupt,
    pattern::{Captured, ESCAPE, Fault, Matcher, is_plain},
};

unsafe extern "C-unwind" {
    /// Of `lauxlib.h`; `mlua` does not declare it.
    fn luaL_typeerror(state: *mut lua_State, argument: c_int, expected: *const c_char) -> c_int;
}

/// Puts the functions into the library of strings.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let string: Table = lua.globals().get("string")?;
    let functions: [(&str, ffi::lua_CFunction); 4] = [
        ("find", find),
        ("match", find_values),
        ("gmatch", gmatch),
        ("gsub", gsub),
    ];
    for (name, function) in functions {
        // SAFETY: the functions keep to the protocol of C functions of Lua.
        let function = unsafe { lua.create_c_function(function)? };
        string.raw_set(name, function)?;
    }
    Ok(())
}

/// The text that is argument `index`; numbers become texts, as everywhere in Lua.
///
/// # Safety
///
/// Called in a C function of Lua; the answer is valid while the argument stays on the stack.
unsafe fn text<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    // SAFETY: Lua answers a valid pointer and the length of what it points to, or raises.
    unsafe {
        let mut length = 0;
        let start = ffi::luaL_checklstring(state, index, &raw mut length);
        slice::from_raw_parts(start.cast(), length)
    }
}

/// Where a search begins, from 0: argument `index`, which counts from 1, or from the end when it
/// is negative. `None` behind the end.
///
/// # Safety
///
/// Called in a C function of Lua.
unsafe fn begin(state: *mut lua_State, index: c_int, length: usize) -> Option<usize> {
    // SAFETY: as promised.
    let given = unsafe { ffi::luaL_optinteger(state, index, 1) };
    let begin = if given >= 0 {
        usize::try_from(given.max(1) - 1).unwrap_or(usize::MAX)
    } else {
        let back = usize::try_from(given.unsigned_abs()).unwrap_or(usize::MAX);
        length.saturating_sub(back)
    };
    (begin <= length).then_some(begin)
}

/// A pattern without its anchor, and whether it had one.
fn anchored(pattern: &[u8]) -> (&[u8], bool) {
    pattern
        .strip_prefix(b"^")
        .map_or((pattern, false), |rest| (rest, true))
}

/// Raises what matching ended with.
///
/// # Safety
///
/// Called in a C function of Lua that holds nothing to be dropped: it does not return.
unsafe fn raise(state: *mut lua_State, fault: Fault) -> c_int {
    // SAFETY: as promised; the message of `luaL_error` is one of ours, and its arguments fit it.
    unsafe {
        match fault {
            Fault::Malformed(reason) => ffi::luaL_error(state, c"%s".as_ptr(), reason.as_ptr()),
            Fault::NoCapture(index) => {
                ffi::luaL_error(state, c"invalid capture index %%%d".as_ptr(), index)
            }
            Fault::Stopped => interrupt::raise(state),
        }
    }
}

/// Pushes a value of a match.
///
/// # Safety
///
/// The stack has room.
unsafe fn push(state: *mut lua_State, value: Captured<'_>) {
    // SAFETY: Lua copies the bytes.
    unsafe {
        match value {
            Captured::Text(text) => {
                ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
            }
            Captured::Position(position) => ffi::lua_pushinteger(state, integer(position)),
        }
    }
}

fn integer(position: usize) -> lua_Integer {
    lua_Integer::try_from(position).unwrap_or(lua_Integer::MAX)
}

/// Pushes `count` values of the match from `start` to `end`.
///
/// # Safety
///
/// Called in a C function of Lua that holds nothing to be dropped.
unsafe fn push_values<F: FnMut() -> bool>(
    state: *mut lua_State,
    matcher: &Matcher<'_, F>,
    count: usize,
    (start, end): (usize, usize),
) -> c_int {
    let needed = c_int::try_from(count).unwrap_or(c_int::MAX);
    // SAFETY: room is asked for first.
    unsafe {
        ffi::luaL_checkstack(state, needed, c"too many captures".as_ptr());
        for index in 0..count {
            match matcher.value(index, start, end) {
                Ok(value) => push(state, value),
                Err(fault) => return raise(state, fault),
            }
        }
    }
    needed
}

unsafe extern "C-unwind" fn find(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { search(state, true) }
}

unsafe extern "C-unwind" fn find_values(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { search(state, false) }
}

/// `find` says where the first match is, `match` gives its values.
unsafe fn search(state: *mut lua_State, says_where: bool) -> c_int {
    // SAFETY: both texts are arguments, which stay on the stack; nothing is to be dropped.
    unsafe {
        let (subject, pattern) = (text(state, 1), text(state, 2));
        let Some(start) = begin(state, 3, subject.len()) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        if says_where && (ffi::lua_toboolean(state, 4) != 0 || is_plain(pattern)) {
            let Some(at) = memmem::find(&subject[start..], pattern) else {
                ffi::lua_pushnil(state);
                return 1;
            };
            ffi::lua_pushinteger(state, integer(start + at + 1));
            ffi::lua_pushinteger(state, integer(start + at + pattern.len()));
            return 2;
        }
        let (pattern, is_anchored) = anchored(pattern);
        let mut matcher = Matcher::new(subject, pattern, interrupt::is_asked);
        let last = if is_anchored { start } else { subject.len() };
        for at in start..=last {
            let end = match matcher.match_at(at) {
                Ok(Some(end)) => end,
                Ok(None) => continue,
                Err(fault) => return raise(state, fault),
            };
            if !says_where {
                return push_values(state, &matcher, matcher.values(), (at, end));
            }
            ffi::lua_pushinteger(state, integer(at + 1));
            ffi::lua_pushinteger(state, integer(end));
            return 2 + push_values(state, &matcher, matcher.captures(), (at, end));
        }
        ffi::lua_pushnil(state);
        1
    }
}

/// The function of a loop. Upvalues: subject, pattern, where it goes on, where the last match
/// ended; both count from 0, and the last is -1 before the first match.
unsafe extern "C-unwind" fn gmatch(state: *mut lua_State) -> c_int {
    // SAFETY: both texts are arguments; the closure takes what is on the stack.
    unsafe {
        let (subject, _) = (text(state, 1), text(state, 2));
        let start = begin(state, 3, subject.len()).unwrap_or(subject.len() + 1);
        ffi::lua_settop(state, 2);
        ffi::lua_pushinteger(state, integer(start));
        ffi::lua_pushinteger(state, -1);
        ffi::lua_pushcclosure(state, next_match, 4);
        1
    }
}

unsafe extern "C-unwind" fn next_match(state: *mut lua_State) -> c_int {
    // SAFETY: the upvalues are those of `gmatch`, the texts among them live as long as the closure,
    // which is running; nothing is to be dropped.
    unsafe {
        let upvalue = ffi::lua_upvalueindex;
        let (subject, pattern) = (text(state, upvalue(1)), text(state, upvalue(2)));
        let start = usize::try_from(ffi::lua_tointeger(state, upvalue(3))).unwrap_or(usize::MAX);
        let last = ffi::lua_tointeger(state, upvalue(4));
        let mut matcher = Matcher::new(subject, pattern, interrupt::is_asked);
        for at in start..=subject.len() {
            let end = match matcher.match_at(at) {
                Ok(Some(end)) if integer(end) != last => end,
                Ok(_) => continue,
                Err(fault) => return raise(state, fault),
            };
            for index in [3, 4] {
                ffi::lua_pushinteger(state, integer(end));
                ffi::lua_replace(state, upvalue(index));
            }
            return push_values(state, &matcher, matcher.values(), (at, end));
        }
        0
    }
}

/// What matches are replaced with.
#[derive(Clone, Copy)]
enum Replacement<'a> {
    Text(&'a [u8]),
    Function,
    Table,
}

unsafe extern "C-unwind" fn gsub(state: *mut lua_State) -> c_int {
    // SAFETY: both texts are arguments, which stay on the stack; what must be dropped is Lua's.
    unsafe {
        let (subject, pattern) = (text(state, 1), text(state, 2));
        // Looked at first, as in `str_gsub`: of several wrong arguments this one is named.
        let most = ffi::luaL_optinteger(state, 4, integer(subject.len() + 1));
        let replacement = match ffi::lua_type(state, 3) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => Replacement::Text(text(state, 3)),
            ffi::LUA_TFUNCTION => Replacement::Function,
            ffi::LUA_TTABLE => Replacement::Table,
            _ => return luaL_typeerror(state, 3, c"string/function/table".as_ptr()),
        };
        let (pattern, is_anchored) = anchored(pattern);
        let mut buffer = MaybeUninit::<luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        let mut matcher = Matcher::new(subject, pattern, interrupt::is_asked);
        let (mut at, mut last, mut count, mut is_changed) = (0, None, 0, false);
        while count < most {
            match matcher.match_at(at) {
                Ok(Some(end)) if last != Some(end) => {
                    count += 1;
                    is_changed |= replace(state, buffer, &matcher, (at, end), replacement);
                    (at, last) = (end, Some(end));
                }
                Err(fault) => return raise(state, fault),
                Ok(_) if at < subject.len() => {
                    add(buffer, &subject[at..=at]);
                    at += 1;
                }
                Ok(_) => break,
            }
            if is_anchored {
                break;
            }
        }
        if is_changed {
            add(buffer, &subject[at..]);
            ffi::luaL_pushresult(buffer);
        } else {
            ffi::lua_pushvalue(state, 1);
        }
        ffi::lua_pushinteger(state, count);
        2
    }
}

/// Adds bytes to a buffer.
unsafe fn add(buffer: *mut luaL_Buffer, bytes: &[u8]) {
    // SAFETY: the buffer is initialised, and Lua copies the bytes.
    unsafe { ffi::luaL_addlstring(buffer, bytes.as_ptr().cast(), bytes.len()) }
}

/// Adds what a match is replaced with; answers whether that is something else.
unsafe fn replace<F: FnMut() -> bool>(
    state: *mut lua_State,
    buffer: *mut luaL_Buffer,
    matcher: &Matcher<'_, F>,
    (start, end): (usize, usize),
    replacement: Replacement<'_>,
) -> bool {
    // SAFETY: the stack is as a buffer wants it: what is pushed is taken off again before the
    // buffer is used; nothing is to be dropped.
    unsafe {
        match replacement {
            Replacement::Text(text) => {
                fill(state, buffer, matcher, (start, end), text);
                return true;
            }
            Replacement::Function => {
                ffi::lua_pushvalue(state, 3);
                let count = push_values(state, matcher, matcher.values(), (start, end));
                ffi::lua_call(state, count, 1);
            }
            Replacement::Table => {
                push_values(state, matcher, 1, (start, end));
                ffi::lua_gettable(state, 3);
            }
        }
        if ffi::lua_toboolean(state, -1) == 0 {
            ffi::lua_settop(state, -2);
            if let Captured::Text(text) = matcher.whole(start, end) {
                add(buffer, text);
            }
            return false;
        }
        if ffi::lua_isstring(state, -1) == 0 {
            let found = ffi::luaL_typename(state, -1);
            ffi::luaL_error(state, c"invalid replacement value (a %s)".as_ptr(), found);
        }
        ffi::luaL_addvalue(buffer);
        true
    }
}

/// Adds a text in which `%1` and the like stand for values of the match.
unsafe fn fill<F: FnMut() -> bool>(
    state: *mut lua_State,
    buffer: *mut luaL_Buffer,
    matcher: &Matcher<'_, F>,
    (start, end): (usize, usize),
    mut text: &[u8],
) {
    const WRONG: &CStr = c"invalid use of '%c' in replacement string";
    // SAFETY: as for `replace`.
    unsafe {
        while let Some(at) = memchr(ESCAPE, text) {
            add(buffer, &text[..at]);
            let value = match text.get(at + 1) {
                Some(&ESCAPE) => Ok(Captured::Text(b"%")),
                Some(b'0') => Ok(matcher.whole(start, end)),
                Some(digit @ b'1'..=b'9') => matcher.value(usize::from(digit - b'1'), start, end),
                _ => {
                    ffi::luaL_error(state, WRONG.as_ptr(), c_int::from(ESCAPE));
                    return;
                }
            };
            match value {
                Ok(Captured::Text(text)) => add(buffer, text),
                Ok(position @ Captured::Position(_)) => {
                    push(state, position);
                    ffi::luaL_addvalue(buffer);
                }
                Err(fault) => {
                    raise(state, fault);
                }
            }
            text = &text[at + 2..];
        }
        add(buffer, text);
    }
}

#[cfg(test)]
mod tests;
