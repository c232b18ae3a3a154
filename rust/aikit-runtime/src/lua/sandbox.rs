//! The environment of scripts, built from a list of what is allowed.

use mlua::{Function, Lua, LuaOptions, LuaString, StdLib, Table, Value};

use super::{coroutine, error, interrupt, moves, raw, search};

/// What a script finds of Lua's own libraries: the globals, then each library's functions.
/// `xpcall`, `setmetatable`, most of `coroutine` and the patterns of `string` are our own.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "_G",
            "_VERSION",
            "assert",
            "error",
            "getmetatable",
            "ipairs",
            "next",
            "pairs",
            "pcall",
            "rawequal",
            "rawget",
            "rawlen",
            "rawset",
            "select",
            "setmetatable",
            "tonumber",
            "tostring",
            "type",
            "xpcall",
        ],
    ),
    (
        "coroutine",
        &[
            "close",
            "create",
            "isyieldable",
            "resume",
            "running",
            "status",
            "wrap",
            "yield",
        ],
    ),
    (
        "math",
        &[
            "abs",
            "acos",
            "asin",
            "atan",
            "ceil",
            "cos",
            "deg",
            "exp",
            "floor",
            "fmod",
            "huge",
            "log",
            "max",
            "maxinteger",
            "min",
            "mininteger",
            "modf",
            "pi",
            "rad",
            "random",
            "randomseed",
            "sin",
            "sqrt",
            "tan",
            "tointeger",
            "type",
            "ult",
        ],
    ),
    ("os", &["clock", "date", "difftime", "time"]),
    (
        "string",
        &[
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack",
            "packsize", "rep", "reverse", "sub", "unpack", "upper",
        ],
    ),
    (
        "table",
        &[
            "concat", "insert", "move", "pack", "remove", "sort", "unpack",
        ],
    ),
    (
        "utf8",
        &["char", "charpattern", "codepoint", "codes", "len", "offset"],
    ),
];

/// Most memory that the values of a script may take, in bytes.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Memory that each cell can use, even when earlier ones have used all there is, in bytes.
const ROOM_BYTES: usize = 1 << 20;

/// Gives a cell room to release what earlier ones have filled the memory with.
///
/// # Errors
///
/// Only when the state does not count its memory.
pub(super) fn make_room(lua: &Lua) -> mlua::Result<()> {
    if lua.used_memory() + ROOM_BYTES > MEMORY_BYTES_MAX {
        // Lua's string functions do not collect by themselves when they find no memory.
        lua.gc_collect()?;
    }
    let limit = MEMORY_BYTES_MAX.max(lua.used_memory() + ROOM_BYTES);
    lua.set_memory_limit(limit).map(drop)
}

/// Makes a Lua state in which a script finds only what is allowed.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn new_lua() -> mlua::Result<Lua> {
    let libraries = StdLib::COROUTINE
        | StdLib::MATH
        | StdLib::OS
        | StdLib::STRING
        | StdLib::TABLE
        | StdLib::UTF8;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    lua.set_memory_limit(MEMORY_BYTES_MAX)?;
    coroutine::install(&lua)?;
    search::install(&lua)?;
    moves::install(&lua)?;
    error::install(&lua)?;
    raw::lock_strings(&lua)?;
    let globals = lua.globals();
    let load: Function = globals.raw_get("load")?;
    let collect: Function = globals.raw_get("collectgarbage")?;
    keep_allowed(&globals)?;
    // `string.dump` is not in the list, and bytecode is refused: it can break the interpreter.
    let prelude = lua.load(PRELUDE).set_name("=[aikit]");
    let is_ours = lua.create_function(|_, name: Value| {
        let is_ours = |name: &LuaString| interrupt::is_own_source(&name.as_bytes());
        Ok(name.as_string().is_some_and(is_ours))
    })?;
    prelude.call::<()>((load, collect, is_ours))?;
    Ok(lua)
}

const PRELUDE: &str = r#"
local load0, collect0, is_ours = ...
function load(chunk, name, mode, ...)
  if is_ours(name) then
    error("`=[aikit]` and `=__mlua` begin the names of aikit's own code: name the chunk otherwise", 2)
  end
  if mode ~= nil and mode ~= "t" and mode ~= "bt" then
    error("only text can be loaded, not bytecode", 2)
  end
  return load0(chunk, name, "t", ...)
end
local allowed = {collect = true, count = true, step = true}
function collectgarbage(option, size)
  if option == nil then option = "collect" end
  if not allowed[option] then
    error("only `collect`, `count` and `step` are allowed in `collectgarbage`", 2)
  end
  return collect0(option, size)
end
"#;

fn keep_allowed(globals: &Table) -> mlua::Result<()> {
    for (library, allowed) in ALLOWED {
        let table: Table = if library.is_empty() {
            globals.clone()
        } else {
            globals.raw_get(*library)?
        };
        let is_library =
            |name: &str| library.is_empty() && ALLOWED.iter().any(|(library, _)| *library == name);
        let names: Vec<String> = table
            .pairs::<String, Value>()
            .map(|pair| pair.map(|(name, _)| name))
            .collect::<mlua::Result<_>>()?;
        for name in names {
            if !allowed.contains(&name.as_str()) && !is_library(&name) {
                table.raw_set(name, Value::Nil)?;
            }
        }
    }
    Ok(())
}
