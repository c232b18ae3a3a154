//! `string.rep`, `table.move`, `insert` and `remove`: ports of the functions of Lua 5.4, whose loops
//! may have no end (a length is what `__len` says, and `nil` takes no memory), and are ended here.
#![expect(
    unsafe_code,
    reason = "these functions replace C functions of Lua; every block says why it is sound"
)]

use std::{ffi::CStr, os::raw::c_int};

use mlua::{
    Function, Lua, Table,
    ffi::{self, lua_Integer, lua_State},
};

use super::interrupt;

/// So many values are moved between two questions whether to stop.
const MOVES_BETWEEN_LOOKS: lua_Integer = 4096;
/// What a table that is none must have.
const READS: &CStr = c"__index";
const WRITES: &CStr = c"__newindex";
const HAS_LENGTH: &CStr = c"__len";

/// Puts the functions into their libraries.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let table: Table = lua.globals().get("table")?;
    let functions: [(&str, ffi::lua_CFunction); 3] =
        [("move", move_all), ("insert", insert), ("remove", remove)];
    for (name, function) in functions {
        // SAFETY: the functions keep to the protocol of C functions of Lua.
        let function = unsafe { lua.create_c_function(function)? };
        table.raw_set(name, function)?;
    }
    let string: Table = lua.globals().get("string")?;
    let original: Function = string.raw_get("rep")?;
    // SAFETY: the original is on the stack and becomes the upvalue.
    let rep: Function = unsafe {
        lua.exec_raw(original, |state| {
            ffi::lua_pushcclosure(state, rep, 1);
        })?
    };
    string.raw_set("rep", rep)
}

/// Upvalue 1 is the original, which has an end for all but nothing, many times.
unsafe extern "C-unwind" fn rep(state: *mut lua_State) -> c_int {
    // SAFETY: the original checks all arguments; a text that is none has no length here.
    unsafe {
        let is_nothing = |index: c_int| {
            ffi::lua_type(state, index) == ffi::LUA_TSTRING && ffi::lua_rawlen(state, index) == 0
        };
        let is_joined_by_nothing = ffi::lua_type(state, 3) <= ffi::LUA_TNIL || is_nothing(3);
        if is_nothing(1) && is_joined_by_nothing {
            ffi::luaL_checkinteger(state, 2);
            ffi::lua_pushvalue(state, 1);
            return 1;
        }
        let Some(original) = ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) else {
            return 0;
        };
        original(state)
    }
}

/// Raises unless argument `index` is a table, or something that says how it does what is `needed`.
unsafe fn check_table(state: *mut lua_State, index: c_int, needed: &[&CStr]) {
    // SAFETY: what is pushed is taken off again; room for it is what every C function has.
    unsafe {
        if ffi::lua_type(state, index) == ffi::LUA_TTABLE {
            return;
        }
        let has = |field: &&CStr| {
            let kind = ffi::luaL_getmetafield(state, index, field.as_ptr());
            if kind != ffi::LUA_TNIL {
                ffi::lua_settop(state, -2);
            }
            kind != ffi::LUA_TNIL
        };
        if !needed.iter().all(has) {
            ffi::luaL_checktype(state, index, ffi::LUA_TTABLE);
        }
    }
}

/// Copies one value, and raises once in a while when the code was asked to stop.
unsafe fn copy(
    state: *mut lua_State,
    count: lua_Integer,
    (from, source): (c_int, lua_Integer),
    (to, target): (c_int, lua_Integer),
) {
    // SAFETY: the value is taken off the stack again; nothing is to be dropped.
    unsafe {
        if count % MOVES_BETWEEN_LOOKS == 0 && interrupt::is_asked() {
            interrupt::raise(state);
        }
        ffi::lua_geti(state, from, source);
        ffi::lua_seti(state, to, target);
    }
}

unsafe extern "C-unwind" fn move_all(state: *mut lua_State) -> c_int {
    // SAFETY: the arguments are checked; the rest is `tmove` of ltablib.c.
    unsafe {
        let first = ffi::luaL_checkinteger(state, 2);
        let last = ffi::luaL_checkinteger(state, 3);
        let target = ffi::luaL_checkinteger(state, 4);
        let to = if ffi::lua_type(state, 5) > ffi::LUA_TNIL {
            5
        } else {
            1
        };
        check_table(state, 1, &[READS]);
        check_table(state, to, &[WRITES]);
        if last >= first {
            let is_countable = first > 0 || last < lua_Integer::MAX.wrapping_add(first);
            if !is_countable {
                return ffi::luaL_argerror(state, 3, c"too many elements to move".as_ptr());
            }
            let count = last - first + 1;
            if target > lua_Integer::MAX - count + 1 {
                return ffi::luaL_argerror(state, 4, c"destination wrap around".as_ptr());
            }
            let is_apart = target > last
                || target <= first
                || (to != 1 && ffi::lua_compare(state, 1, to, ffi::LUA_OPEQ) == 0);
            for moved in 0..count {
                let offset = if is_apart { moved } else { count - 1 - moved };
                copy(state, moved, (1, first + offset), (to, target + offset));
            }
        }
        ffi::lua_pushvalue(state, to);
        1
    }
}

/// The length of argument 1, which is read and written.
unsafe fn length(state: *mut lua_State) -> lua_Integer {
    // SAFETY: as for `check_table`.
    unsafe {
        check_table(state, 1, &[READS, WRITES, HAS_LENGTH]);
        ffi::luaL_len(state, 1)
    }
}

/// Raises that a position is outside of a list.
unsafe fn out_of_bounds(state: *mut lua_State) -> c_int {
    // SAFETY: nothing is to be dropped.
    unsafe { ffi::luaL_argerror(state, 2, c"position out of bounds".as_ptr()) }
}

unsafe extern "C-unwind" fn insert(state: *mut lua_State) -> c_int {
    // SAFETY: the arguments are checked; the rest is `tinsert` of ltablib.c.
    unsafe {
        let empty = length(state).wrapping_add(1);
        let position = match ffi::lua_gettop(state) {
            2 => empty,
            3 => {
                let position = ffi::luaL_checkinteger(state, 2);
                // Compared without signs, as in the original.
                if position.wrapping_sub(1).cast_unsigned() >= empty.cast_unsigned() {
                    return out_of_bounds(state);
                }
                for (moved, at) in (position.saturating_add(1)..=empty).rev().enumerate() {
                    copy(state, counted(moved), (1, at - 1), (1, at));
                }
                position
            }
            _ => {
                let message = c"wrong number of arguments to 'insert'";
                return ffi::luaL_error(state, c"%s".as_ptr(), message.as_ptr());
            }
        };
        ffi::lua_seti(state, 1, position);
        0
    }
}

unsafe extern "C-unwind" fn remove(state: *mut lua_State) -> c_int {
    // SAFETY: the arguments are checked; the rest is `tremove` of ltablib.c.
    unsafe {
        let size = length(state);
        let position = ffi::luaL_optinteger(state, 2, size);
        let is_inside = position.wrapping_sub(1).cast_unsigned() <= size.cast_unsigned();
        if position != size && !is_inside {
            return out_of_bounds(state);
        }
        ffi::lua_geti(state, 1, position);
        for (moved, at) in (position..size).enumerate() {
            copy(state, counted(moved), (1, at + 1), (1, at));
        }
        ffi::lua_pushnil(state);
        ffi::lua_seti(state, 1, position.max(size));
        1
    }
}

fn counted(moved: usize) -> lua_Integer {
    lua_Integer::try_from(moved).unwrap_or(lua_Integer::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are moved, inserted and removed at every place of short lists, with what is seen and
    /// raised noted.
    const OBSERVE: &str = r#"
        local lines = {}
        local function note(list, ...)
            local all = table.pack(...)
            for i = 1, all.n do all[i] = type(all[i]) == "table" and "table" or tostring(all[i]) end
            local seen = {}
            for i = -2, 9 do seen[#seen + 1] = tostring(rawget(list, i)) end
            lines[#lines + 1] = table.concat(all, ",") .. ";" .. table.concat(seen, ",")
        end
        local function list(n) local t = {} for i = 1, n do t[i] = "v" .. i end return t end
        local odd = {1.5, "x", "2", 3.0, math.maxinteger, math.mininteger}
        for n = 0, 4 do
            local t = list(n) note(t, pcall(table.insert, t, "new"))
            t = list(n) note(t, pcall(table.insert, t))
            t = list(n) note(t, pcall(table.insert, t, 1, "new", 3))
            t = list(n) note(t, pcall(table.remove, t))
            local places = {table.unpack(odd)}
            for p = -1, n + 2 do places[#places + 1] = p end
            for _, p in ipairs(places) do
                t = list(n) note(t, pcall(table.insert, t, p, "new"))
                t = list(n) note(t, pcall(table.remove, t, p))
            end
            for f = 0, n + 1 do for e = 0, n + 1 do for to = -1, 5 do
                t = list(n) note(t, pcall(table.move, t, f, e, to))
                local other = {} note(other, pcall(table.move, list(n), f, e, to, other))
            end end end
        end
        for _, p in ipairs(odd) do
            note({}, pcall(table.move, {}, p, p, p))
            note({}, pcall(table.move, {}, 1, p, p))
            note({}, pcall(string.rep, "", 2, p))
            note({}, pcall(string.rep, p, 2))
        end
        local proxy = setmetatable({}, {
            __len = function() return 3 end,
            __index = function(_, k) return "i" .. k end,
            __newindex = function(t, k, v) rawset(t, k, tostring(v) .. "!") end,
        })
        note(proxy, pcall(table.insert, proxy, 2, "new"))
        note(proxy, pcall(table.remove, proxy, 1))
        for _, bad in ipairs({1, "text", print, io and 1 or 2}) do
            note({}, pcall(table.insert, bad, 1))
            note({}, pcall(table.remove, bad))
            note({}, pcall(table.move, bad, 1, 2, 3))
            note({}, pcall(table.move, {}, 1, 2, 3, bad))
        end
        for _, args in ipairs({{"", 5}, {"", 5, ""}, {"", 0, "x"}, {"ab", 3, ","}, {"", -1}, {"", "3"},
            {"", 1.5}, {"", {}}, {"", 3, {}}, {"", 3, 7}, {}, {""}, {5, 2}}) do
            note({}, pcall(string.rep, table.unpack(args)))
        end
        return table.concat(lines, "\n")
    "#;

    #[test]
    fn values_are_moved_as_in_plain_lua() {
        let observe = |lua: &Lua| lua.load(OBSERVE).set_name("=o").eval::<String>().unwrap();
        let (plain, ours) = (Lua::new(), Lua::new());
        install(&ours).unwrap();
        let (expected, observed) = (observe(&plain), observe(&ours));
        assert!(expected.lines().count() > 500);
        for (expected, observed) in expected.lines().zip(observed.lines()) {
            assert_eq!(observed, expected);
        }
        assert_eq!(observed.lines().count(), expected.lines().count());
    }

    #[test]
    fn nothing_many_times_is_nothing_at_once() {
        let lua = Lua::new();
        install(&lua).unwrap();
        let code = "return string.rep('', 1 << 62) .. string.rep('', 1 << 62, '')";
        assert_eq!(lua.load(code).eval::<String>().unwrap(), "");
    }
}
