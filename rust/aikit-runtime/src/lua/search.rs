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
        let replacement = match ffi::lua_type(state, 3) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => Replacement::Text(text(state, 3)),
            ffi::LUA_TFUNCTION => Replacement::Function,
            ffi::LUA_TTABLE => Replacement::Table,
            _ => return luaL_typeerror(state, 3, c"string/function/table".as_ptr()),
        };
        let most = ffi::luaL_optinteger(state, 4, integer(subject.len() + 1));
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
mod tests {
    use aikit_core::clock::{Clock as _, SystemClock};
    use mlua::{MultiValue, Value};

    use super::*;

    /// Pieces of patterns and of subjects, few so that they meet.
    const PIECES: &[&str] = &[
        "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%x", "%p", "%A", "%D", "%.", "%%", "[ab]",
        "[^a]", "[a-c]", "[%a_]", "[]]", "[^]a]", "[a-]", "[%]]", "(", ")", "()", "*", "+", "-",
        "?", "^", "$", "%b()", "%bab", "%f[a]", "%f[^a]", "%f[%w]", "%1", "%2", "%0", "%", "[",
        "[a", "[%", "%b", "%bx", "%f", "\0", "\u{e9}",
    ];
    const BYTES: &[u8] = b"abcab()123 _.%]-\0\xc3\xa9AB\t\x0b";
    const REPLACEMENTS: &[&str] = &["x", "<%0>", "%1%2", "%%", "%1", "", "%", "%z", "%9"];

    /// Numbers that follow from a seed (splitmix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
        }

        fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
            &from[self.below(from.len())]
        }

        fn pattern(&mut self) -> String {
            (0..self.below(8)).map(|_| *self.pick(PIECES)).collect()
        }

        fn subject(&mut self) -> Vec<u8> {
            (0..self.below(24)).map(|_| *self.pick(BYTES)).collect()
        }
    }

    /// What each function answers or raises, as one line.
    const OBSERVE: &str = r#"
        local s, p, init, repl, most = ...
        local lines = {}
        local function note(...)
            local all = table.pack(...)
            for i = 1, all.n do all[i] = math.type(all[i]) or type(all[i]) .. ":" .. tostring(all[i]) end
            lines[#lines + 1] = table.concat(all, ",")
        end
        note(pcall(string.find, s, p, init))
        note(pcall(string.find, s, p, init, true))
        note(pcall(string.match, s, p, init))
        note(pcall(function()
            local all = {}
            for a, b in string.gmatch(s, p, init) do
                all[#all + 1] = tostring(a) .. "=" .. tostring(b)
                if #all > 50 then break end
            end
            return table.concat(all, ";")
        end))
        note(pcall(string.gsub, s, p, repl, most))
        note(pcall(string.gsub, s, p, {a = "A", b = false, c = 5, [1] = "one", ["ab"] = true}))
        note(pcall(string.gsub, s, p, function(x, y) if x == "a" then return nil end return y end))
        return table.concat(lines, "\n")
    "#;

    fn ours() -> Lua {
        let lua = Lua::new();
        install(&lua).unwrap();
        lua
    }

    /// Observes the same in plain Lua and here; how many of the patterns were right.
    fn compare(seed: u64, count: usize) -> usize {
        let (plain, ours) = (Lua::new(), ours());
        let load = |lua: &Lua| lua.load(OBSERVE).set_name("=o").into_function().unwrap();
        let (expected, observed) = (load(&plain), load(&ours));
        let (mut dice, mut right) = (Dice(seed), 0);
        for _ in 0..count {
            let (subject, pattern) = (dice.subject(), dice.pattern());
            let (replacement, most) = (*dice.pick(REPLACEMENTS), dice.below(4) as i64 * 2);
            let begin = dice.below(12) as i64 - 5;
            let run = |lua: &Lua, function: &mlua::Function| -> String {
                let text = |bytes: &[u8]| Value::String(lua.create_string(bytes).unwrap());
                let args = MultiValue::from_iter([
                    text(&subject),
                    text(pattern.as_bytes()),
                    Value::Integer(begin),
                    text(replacement.as_bytes()),
                    Value::Integer(most),
                ]);
                let line: mlua::LuaString = function.call(args).unwrap();
                String::from_utf8_lossy(&line.as_bytes()).into_owned()
            };
            let expected = run(&plain, &expected);
            right += usize::from(expected.starts_with("boolean:true"));
            assert_eq!(
                run(&ours, &observed),
                expected,
                "seed {seed}: {:?} {pattern:?} {begin} {replacement:?} {most}",
                String::from_utf8_lossy(&subject),
            );
        }
        right
    }

    #[test]
    fn patterns_mean_what_they_mean_in_plain_lua() {
        let right = compare(20_261_127, 20_000);
        assert!(right > 5_000, "{right}");
    }

    #[test]
    #[ignore = "takes a minute; the same with another seed each time"]
    fn a_million_patterns_mean_what_they_mean_in_plain_lua() {
        let seed = SystemClock.now().unsigned_abs();
        compare(seed, 1_000_000);
    }

    #[test]
    fn arguments_are_checked_as_in_plain_lua() {
        let (plain, ours) = (Lua::new(), ours());
        for code in [
            "string.find()",
            "string.find('a')",
            "string.find({}, 'a')",
            "string.match('a', 'a', 'x')",
            "string.match('a', 'a', 1.5)",
            "string.gsub('a', 'a')",
            "string.gsub('a', 'a', nil)",
            "string.gsub('a', 'a', true)",
            "string.gsub('a', 'a', function() return {} end)",
            "string.gsub('a', 'a', setmetatable({}, {__index = function() error('e') end}))",
            "string.gsub('a', 'a', function() error({}) end)",
            "string.gmatch('a')",
            "('x'):rep(300):match(('(.-)'):rep(40))",
            "('x'):rep(300):match(('.?'):rep(300))",
            "(12):find('1')",
            "string.find(121, 2)",
            "string.gsub(121, 1, 3)",
            "string.gsub('abc', '', '-')",
            "string.gsub('abc', 'b*', 'X')",
            "string.find('abc', 'b', -1)",
            "string.find('', '')",
            "string.find('', '', 2)",
            "string.find('abc', '', 10)",
            "string.find('abc', '', math.mininteger)",
            "string.find('abc', '', math.maxinteger)",
            "string.gmatch('abc', 'b', 5)()",
            "string.match('key = value', '^(%w+)%s*=%s*(%w+)$')",
        ] {
            let observe = |lua: &Lua| -> String {
                let code = format!(
                    "local all = table.pack(pcall(function() return {code} end)) \
                     for i = 1, all.n do local v = all[i] \
                     all[i] = type(v) == 'table' and 'table' or tostring(v) end \
                     return table.concat(all, ' ')"
                );
                lua.load(code).set_name("=o").eval().unwrap()
            };
            assert_eq!(observe(&ours), observe(&plain), "{code}");
        }
    }

    #[test]
    fn matching_asks_whether_it_must_stop() {
        let subject = vec![b'a'; 60];
        let mut asked = 0;
        let mut matcher = Matcher::new(&subject, b"a*a*a*a*a*a*a*a*b", || {
            asked += 1;
            asked == 3
        });
        assert_eq!(matcher.match_at(0), Err(Fault::Stopped));
        assert_eq!(asked, 3);
    }
}
