//! Lua values ↔ data and arguments.

use aikit_core::{Error, ErrorKind, Result, Value, value::Map};
use bytes::Bytes;
use indexmap::IndexMap;
use mlua::{Lua, LuaSerdeExt as _, Table};

use super::{callable, interrupt, object::ObjectHandle, records, state::State};
use crate::api::{Arg, ObjectRef, with_article};

/// Deepest nesting that crosses.
const DEPTH_MAX: usize = 128;
/// Most values in one argument, lists and tables included: room for the million of a histogram,
/// whose own limit says what to do.
const NODES_MAX: usize = 1 << 21;
/// After so many the flags of interrupts and time limits are looked at.
const NODES_BETWEEN_LOOKS: usize = 1 << 10;
/// Most bytes of text in one argument.
const BYTES_MAX: usize = 64 << 20;

/// Reads a Lua value as the argument of that name; functions and objects may stand anywhere in it.
///
/// # Errors
///
/// `invalid_args` for what cannot cross, naming the place; `limit_exceeded` for what is too large.
pub(super) fn to_arg(state: &State, name: Option<&str>, value: &mlua::Value) -> Result<Arg> {
    let mut reader = Reader::new(Some(state));
    reader.path.extend(name.map(str::to_owned));
    reader.read(value)
}

/// Reads a Lua value as data.
///
/// # Errors
///
/// `invalid_args` for functions, objects, coroutines and cycles; `limit_exceeded` for what is too
/// large.
pub(super) fn to_value(value: &mlua::Value) -> Result<Value> {
    Reader::new(None).read_data(value)
}

/// Reads the argument `name` of `function` as data.
///
/// # Errors
///
/// As [`to_value`], with both names.
pub(super) fn argument(function: &str, name: &str, value: &mlua::Value) -> Result<Value> {
    let mut reader = Reader::new(None);
    reader.path.push(name.to_owned());
    named(function, reader.read_data(value))
}

/// Refuses texts that are too large to cross, before they are copied.
///
/// # Errors
///
/// `limit_exceeded`.
pub(super) fn check_size(bytes: usize) -> Result<()> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    Err(too_large(&format!("{} MiB of text", BYTES_MAX >> 20)))
}

fn too_large(limit: &str) -> Error {
    let message = format!("more than {limit} cannot be handed over at once");
    Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("hand it over in pieces, or what is computed from it")
}

struct Reader<'a> {
    state: Option<&'a State>,
    /// The tables that are being read, outermost first.
    open: Vec<*const std::ffi::c_void>,
    path: Vec<String>,
    nodes: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    const fn new(state: Option<&'a State>) -> Self {
        Self {
            state,
            open: Vec::new(),
            path: Vec::new(),
            nodes: 0,
            bytes: 0,
        }
    }

    fn read_data(mut self, value: &mlua::Value) -> Result<Value> {
        match self.read(value)? {
            Arg::Value(value) => Ok(value),
            _ => Err(Error::internal("data was read as something else")),
        }
    }

    fn read(&mut self, value: &mlua::Value) -> Result<Arg> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(too_large(&format!("{NODES_MAX} values")));
        }
        if self.nodes.is_multiple_of(NODES_BETWEEN_LOOKS) && interrupt::is_asked() {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "the reading of a value was interrupted",
            ));
        }
        let data = match value {
            mlua::Value::Nil => Value::Null,
            mlua::Value::Boolean(value) => Value::Bool(*value),
            mlua::Value::Integer(value) => Value::Int(*value),
            mlua::Value::Number(value) => Value::Float(*value),
            mlua::Value::String(text) => {
                let bytes = text.as_bytes();
                self.bytes += bytes.len();
                check_size(self.bytes)?;
                match std::str::from_utf8(&bytes) {
                    Ok(text) => Value::from(text),
                    Err(_) => Value::Bytes(Bytes::copy_from_slice(&bytes)),
                }
            }
            mlua::Value::LightUserData(pointer) if pointer.0.is_null() => Value::Null,
            mlua::Value::Table(table) => return self.read_table(table),
            mlua::Value::Function(function) => {
                let state = self.state.ok_or_else(|| self.refuse("is a function"))?;
                return callable::hand_over(state, function).map(Arg::Callable);
            }
            mlua::Value::UserData(userdata) => {
                let handle = userdata.borrow::<ObjectHandle>();
                let handle = handle.map_err(|_| self.refuse("is a handle"))?;
                if self.state.is_none() {
                    return Err(self.refuse("is an object"));
                }
                return Ok(Arg::Object(ObjectRef {
                    id: handle.id,
                    class: handle.class.name.to_owned(),
                }));
            }
            mlua::Value::Error(error) => super::error::find(error)
                .map_or_else(|| Value::from(error.to_string()), |error| error.to_value()),
            other => return Err(self.refuse(&format!("is {}", with_article(other.type_name())))),
        };
        Ok(Arg::Value(data))
    }

    fn read_table(&mut self, table: &Table) -> Result<Arg> {
        let pointer = table.to_pointer();
        if self.open.contains(&pointer) {
            return Err(self.refuse("contains itself"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(self.refuse("is nested too deeply"));
        }
        self.open.push(pointer);
        let read = if let Some(length) = list_length(table) {
            self.read_list(table, length)
        } else {
            self.read_map(table)
        };
        self.open.pop();
        read
    }

    fn read_list(&mut self, table: &Table, length: usize) -> Result<Arg> {
        // Not all of the length at once: lists inside each other would ask for it at each level.
        let mut items = Vec::with_capacity(length.min(NODES_BETWEEN_LOOKS));
        for position in 1..=length {
            let item: mlua::Value = table.raw_get(position).map_err(unreadable)?;
            self.path.push(format!("[{position}]"));
            items.push(self.read(&item)?);
            self.path.pop();
        }
        Ok(Arg::list(items))
    }

    fn read_map(&mut self, table: &Table) -> Result<Arg> {
        let mut members = IndexMap::new();
        for pair in table.pairs::<mlua::Value, mlua::Value>() {
            let (key, value) = pair.map_err(unreadable)?;
            let key = match key {
                mlua::Value::String(text) => text.to_string_lossy(),
                mlua::Value::Integer(number) => number.to_string(),
                mlua::Value::Number(number) => number.to_string(),
                other => {
                    let found = with_article(other.type_name());
                    let problem = format!("has a key that is {found}");
                    return Err(self.refuse(&problem));
                }
            };
            self.path.push(format!(".{key}"));
            let value = self.read(&value)?;
            self.path.pop();
            members.insert(key, value);
        }
        // Lua has no order of keys; the alphabet at least is the same every time.
        members.sort_keys();
        Ok(Arg::map(members))
    }

    fn refuse(&self, problem: &str) -> Error {
        let place = if self.path.is_empty() {
            "the value".to_owned()
        } else {
            format!("`{}`", self.path.concat().trim_start_matches('.'))
        };
        Error::invalid_args(format!("{place} {problem}, which cannot be handed over"))
            .with_hint("hand over numbers, texts, booleans, and tables of these")
    }
}

fn unreadable(error: mlua::Error) -> Error {
    Error::internal("a table cannot be read").with_source(error)
}

/// How many items a table has, when it is a list: marked as one, or with nothing but the keys
/// from 1 to its length.
pub(super) fn list_length(table: &Table) -> Option<usize> {
    let length = table.raw_len();
    if is_marked(table) {
        return Some(length);
    }
    if length == 0 {
        return None;
    }
    let mut count = 0;
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (key, _) = pair.ok()?;
        let in_range = key
            .as_integer()
            .and_then(|key| usize::try_from(key).ok())
            .is_some_and(|key| (1..=length).contains(&key));
        if !in_range {
            return None;
        }
        count += 1;
    }
    (count == length).then_some(length)
}

fn is_marked(table: &Table) -> bool {
    let Ok(state) = State::current() else {
        return false;
    };
    table
        .metatable()
        .is_some_and(|metatable| metatable == state.lua.array_metatable())
}

/// Makes a Lua value of data. Lists are marked, so that an empty one stays a list; null inside
/// lists and maps is `JSON.null`, so that nothing gets lost on the way back.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<mlua::Value> {
    Ok(match value {
        Value::Null => mlua::Value::Nil,
        Value::Bool(value) => mlua::Value::Boolean(*value),
        Value::Int(value) => mlua::Value::Integer(*value),
        Value::Float(value) => mlua::Value::Number(*value),
        Value::String(text) => mlua::Value::String(lua.create_string(text)?),
        Value::Bytes(bytes) => mlua::Value::String(lua.create_string(bytes)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, member_to_lua(lua, item)?)?;
            }
            table.set_metatable(Some(lua.array_metatable()))?;
            if let Some(Value::Map(first)) = items.first() {
                records::remember(&table, first.keys().map(String::as_str))?;
            }
            mlua::Value::Table(table)
        }
        Value::Map(map) => mlua::Value::Table(map_to_lua(lua, map)?),
    })
}

/// Makes a table of a map.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn map_to_lua(lua: &Lua, map: &Map) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, map.len())?;
    for (key, value) in map {
        table.raw_set(key.as_str(), member_to_lua(lua, value)?)?;
    }
    Ok(table)
}

fn member_to_lua(lua: &Lua, value: &Value) -> mlua::Result<mlua::Value> {
    match value {
        Value::Null => Ok(mlua::Value::NULL),
        other => to_lua(lua, other),
    }
}

/// What was read, or its error with the name of the function it is an argument of.
///
/// # Errors
///
/// As `read`.
pub(super) fn named<T>(function: &str, read: Result<T>) -> Result<T> {
    read.map_err(|error| {
        let message = format!("`{function}`: {}", error.message());
        let hint = error.hint().unwrap_or_default().to_owned();
        Error::new(error.kind(), message).with_hint(hint)
    })
}
