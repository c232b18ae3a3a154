//! The functions of the API table that work on Lua values themselves, and Lua's own functions
//! that print.

use std::sync::Arc;

use aikit_core::{
    Error, Value as Data,
    engine::{Output, StreamName},
};
use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};

use super::{
    cell, context, convert, display,
    error::{self, IntoLua as _},
    interrupt, log,
    pending::held,
    procedure, progress,
    state::State,
    stream, task, text,
};
use crate::api::{Return, Target, with_article};

type Constructor = fn(&Lua) -> mlua::Result<Function>;

/// Which function implements which row: module, row, constructor.
const IMPLEMENTATIONS: &[(&str, &str, Constructor)] = &[
    ("", "async", task::start),
    ("", "await", task::wait),
    ("", "gather", task::gather),
    ("", "race", task::race),
    ("", "timeout", task::timeout),
    ("", "sleep", task::sleep),
    ("", "help", cell::help),
    ("", "exit", end),
    ("", "quit", end),
    ("", "update_display", display::update),
    ("", "clear_output", display::clear),
    ("display", "display", display::show),
    ("display", "html", |lua| display::shortcut(lua, "text/html")),
    ("display", "markdown", |lua| {
        display::shortcut(lua, "text/markdown")
    }),
    ("display", "latex", |lua| {
        display::shortcut(lua, "text/latex")
    }),
    ("display", "svg", |lua| {
        display::shortcut(lua, "image/svg+xml")
    }),
    ("display", "json", display::json),
    ("display", "png", display::png),
    ("display", "table", display::table),
    ("progress", "progress", progress::function),
    ("Context", "create", context::create),
    ("Context", "get", context::get),
    ("Context", "child", context::child),
    ("Context", "run", context::run),
    ("Context", "fork", context::fork),
    ("Context", "is_context", context::is_context),
    ("Context", "emit", context::emit),
    ("Context", "add_metric", context::add_metric),
    ("Context", "set_metric", context::set_metric),
    ("Context", "get_metric", context::get_metric),
    ("Context", "metrics", context::metrics),
    ("Context", "add_usage", context::add_usage),
    ("Context", "usage", context::usage),
    ("Context", "is_standalone", context::is_standalone),
    ("Context", "is_within", context::is_within),
    ("Context", "has_ancestor_named", context::has_ancestor_named),
    ("Context", "origin_name", context::origin_name),
    ("Context", "execution_info", context::execution_info),
    ("Context", "node", context::node),
    ("Context", "origin", context::origin),
    ("Context", "graph", context::graph),
    ("Context", "root", context::root),
    ("Context", "nodes", context::nodes),
    ("Context", "recent", context::recent),
    ("Context", "find_node", context::find_node),
    ("Context", "count", context::count),
    ("Context", "clear", context::clear),
    ("Context", "check", context::check),
    ("Context", "try_get", context::get),
    ("Procedure", "create", |lua| {
        procedure::member(lua, "create")
    }),
    ("Procedure", "pipe", |lua| procedure::member(lua, "pipe")),
    ("Procedure", "pipeline", |lua| {
        procedure::member(lua, "pipeline")
    }),
    ("Procedure", "factory", |lua| {
        procedure::member(lua, "factory")
    }),
    ("Procedure", "guard", |lua| procedure::member(lua, "guard")),
    ("Procedure", "track", |lua| procedure::member(lua, "track")),
    ("Procedure", "is_procedure", |lua| {
        procedure::member(lua, "is_procedure")
    }),
    ("Procedure", "double", |lua| {
        procedure::member(lua, "double")
    }),
    ("Log", "compose_context_fields", log::compose),
    ("Stream", "map", stream::map),
    ("Stream", "tap", stream::tap),
    ("Stream", "merge", stream::merge),
    ("Stream", "is_async_iterable", stream::is_async_iterable),
];

/// The function of a row that each engine implements.
///
/// # Errors
///
/// When there is none.
pub(super) fn implementation(lua: &Lua, module: &str, name: &str) -> mlua::Result<Function> {
    let found = IMPLEMENTATIONS
        .iter()
        .find(|(owner, row, _)| *owner == module && *row == name);
    let Some((_, _, make)) = found else {
        let message = format!("Lua does not implement `{module}.{name}`");
        return Err(error::to_lua(Error::internal(message)));
    };
    make(lua)
}

/// Sets `print` and `io`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    globals.raw_set(
        "print",
        lua.create_function(|_, values: MultiValue| {
            emit(StreamName::Stdout, &values, ("\t", "\n"))
        })?,
    )?;
    let io = lua.create_table()?;
    let stdout = output_stream(lua, StreamName::Stdout)?;
    io.raw_set(
        "write",
        lua.create_function({
            let stdout = stdout.clone();
            move |_, values: MultiValue| {
                emit(StreamName::Stdout, &values, ("", ""))?;
                Ok(stdout.clone())
            }
        })?,
    )?;
    io.raw_set("stdout", stdout)?;
    io.raw_set("stderr", output_stream(lua, StreamName::Stderr)?)?;
    io.raw_set("flush", lua.create_function(|_, ()| Ok(()))?)?;
    install_reading(lua, &io)?;
    globals.raw_set("io", io)?;
    let os: Table = globals.raw_get("os")?;
    os.raw_set("exit", end(lua)?)
}

fn end(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, status: Value| exit(&status))
}

/// `os.exit(status)`: nothing that the script does afterwards happens.
fn exit(status: &Value) -> mlua::Result<()> {
    let status = match status {
        Value::Nil | Value::Boolean(true) => 0,
        Value::Boolean(false) => 1,
        // What the system keeps of a status.
        other => other.as_integer().map(|it| it & 0xff).ok_or_else(|| {
            let found = with_article(other.type_name());
            let message = format!("`os.exit`: {found} is no exit status");
            let hint = "give a number from 0 to 255, `true` or `false`";
            error::to_lua(Error::invalid_args(message).with_hint(hint))
        })?,
    };
    let run = State::current()?.run()?;
    run.sink
        .exit(u8::try_from(status).unwrap_or(1))
        .into_lua()?;
    Err(interrupt::stop_here(&run.cell.asked))
}

/// A table that stands for one of the cell's streams.
fn output_stream(lua: &Lua, name: StreamName) -> mlua::Result<Table> {
    let shown = match name {
        StreamName::Stdout => "stdout",
        StreamName::Stderr => "stderr",
    };
    let stream = stream_table(lua, shown)?;
    let write = lua.create_function(move |_, mut values: MultiValue| {
        let this = values.pop_front().unwrap_or(Value::Nil);
        emit(name, &values, ("", ""))?;
        Ok(this)
    })?;
    stream.raw_set("write", write)?;
    stream.raw_set("flush", lua.create_function(|_, ()| Ok(()))?)?;
    Ok(stream)
}

/// What the metatable of a stream calls it.
const STREAM: &str = "file";

/// Whether a table stands for a stream.
pub(super) fn is_stream(table: &Table) -> bool {
    let metatable = table.metatable();
    let name = metatable.and_then(|metatable| metatable.raw_get::<String>("__name").ok());
    name.is_some_and(|name| name == STREAM) && table.contains_key("write").unwrap_or(false)
}

fn stream_table(lua: &Lua, name: &str) -> mlua::Result<Table> {
    let stream = lua.create_table()?;
    let metatable = lua.create_table()?;
    let shown = format!("file ({name})");
    let to_text = lua.create_function(move |_, _: MultiValue| Ok(shown.clone()))?;
    metatable.raw_set("__tostring", to_text)?;
    metatable.raw_set("__name", STREAM)?;
    metatable.raw_set("__metatable", false)?;
    stream.set_metatable(Some(metatable))?;
    Ok(stream)
}

/// Longest text that is put together before it is printed; longer ones go out in pieces, so that
/// a large text is not copied whole.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// Prints values with `separator` between and `end` after them.
fn emit(name: StreamName, values: &MultiValue, (separator, end): (&str, &str)) -> mlua::Result<()> {
    let run = State::current()?.run()?;
    let print = |text: &mut String| {
        let text = std::mem::take(text);
        run.sink.emit(Output::Stream { name, text });
    };
    // All texts before the first output: a `__tostring` may fail, and may print itself.
    let texts: mlua::Result<Vec<Printed>> = values.iter().map(Printed::new).collect();
    let mut pending = String::new();
    for (position, text) in texts?.iter().enumerate() {
        if position > 0 {
            pending.push_str(separator);
        }
        match text {
            Printed::Text(text) => pending.push_str(text),
            Printed::Long(text) => {
                let bytes = text.as_bytes();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(boundary(rest));
                    pending.push_str(&String::from_utf8_lossy(piece));
                    print(&mut pending);
                    rest = after;
                }
            }
        }
    }
    pending.push_str(end);
    if !pending.is_empty() || values.is_empty() {
        print(&mut pending);
    }
    Ok(())
}

/// What is printed of one value.
enum Printed {
    Text(String),
    Long(LuaString),
}

impl Printed {
    fn new(value: &Value) -> mlua::Result<Self> {
        match value {
            Value::String(text) if text.as_bytes().len() > PIECE_BYTES_MAX => {
                Ok(Self::Long(text.clone()))
            }
            other => text::plain(other).map(Self::Text),
        }
    }
}

/// Where the first piece of a text ends, not within a character.
fn boundary(bytes: &[u8]) -> usize {
    let is_inside = |at: &usize| {
        bytes
            .get(*at)
            .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    };
    let end = bytes.len().min(PIECE_BYTES_MAX);
    // A character has at most four bytes; what is none is cut anywhere.
    (end.saturating_sub(3)..=end)
        .rev()
        .find(|at| !is_inside(at))
        .unwrap_or(end)
        .max(1)
}

/// Sets `io.read`, `io.lines` and `io.stdin`.
fn install_reading(lua: &Lua, io: &Table) -> mlua::Result<()> {
    let stdin = stream_table(lua, "stdin")?;
    lua.load(READING)
        .set_name("=[aikit]")
        .call((io, stdin, read(lua)?))
}

const READING: &str = r#"
local io, stdin, read = ...
local pack, unpack, error = table.pack, table.unpack, error
local function read_all(...)
  local formats, values = pack(...), {}
  if formats.n == 0 then return read("l") end
  for i = 1, formats.n do
    values[i] = read(formats[i])
    if values[i] == nil then return unpack(values, 1, i) end
  end
  return unpack(values, 1, formats.n)
end
local function lines(...)
  local formats = pack(...)
  return function() return read_all(unpack(formats, 1, formats.n)) end
end
io.read, io.stdin = read_all, stdin
function io.lines(name, ...)
  if name ~= nil then
    error("`io.lines` reads standard input only: read a file with `Tool.read_file{path = …}`", 2)
  end
  return lines(...)
end
function stdin:read(...) return read_all(...) end
function stdin:lines(...) return lines(...) end
"#;

/// Reads one thing from the input of the script; `nil` at its end.
fn read(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|lua, format: Value| {
        held(async move {
            let (host, run, format) = {
                let state = State::current()?;
                let format = convert::to_value(&format).into_lua()?;
                (Arc::clone(&state.host), state.run()?, format)
            };
            let is_number = format
                .as_str()
                .is_some_and(|format| format.trim_start_matches('*').starts_with('n'));
            let target = Target::Function {
                module: String::new(),
                function: "input".to_owned(),
            };
            let args = vec![Data::Null.into(), format.into()];
            let answer = host.call(&run.cx, target, args).await.into_lua()?;
            match answer {
                Return::Value(Data::String(text)) if is_number => number(&lua, &text),
                Return::Value(value) => convert::to_lua(&lua, &value),
                _ => Ok(Value::Nil),
            }
        })
    })
}

/// The number that a text stands for in Lua, or `nil`.
fn number(lua: &Lua, text: &str) -> mlua::Result<Value> {
    let is_hexadecimal = text.contains(['x', 'X']);
    let is_float = text.contains('.')
        || text.contains(if is_hexadecimal {
            ['p', 'P']
        } else {
            ['e', 'E']
        });
    let text = Value::String(lua.create_string(text)?);
    Ok(if is_float {
        lua.coerce_number(text)?.map_or(Value::Nil, Value::Number)
    } else {
        lua.coerce_integer(text)?.map_or(Value::Nil, Value::Integer)
    })
}
