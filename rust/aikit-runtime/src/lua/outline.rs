//! The outline of Lua values, by which the arguments of the engine's own functions are checked.
//!
//! Nothing is handed over and nothing large is copied: a check needs to know what a value is, and
//! its text where that is short.

use aikit_core::{Error, Value as Data, value::Map};
use indexmap::IndexMap;
use mlua::{FromLuaMulti, Lua, MultiValue, Table, Value};

use super::{callable, convert, error::IntoLua as _};
use crate::api::{self, ApiFunction, Arg, Kind, Param};

/// Longest beginning of a text that is copied, in bytes; messages show less.
const TEXT_BYTES_MAX: usize = 256;

/// Checks the arguments of a method that the engine implements itself.
///
/// # Errors
///
/// `invalid_args`, naming the method, the argument, what was expected and what was found.
pub(super) fn check(class: &str, method: &str, values: &MultiValue) -> mlua::Result<()> {
    let row = api::class(class).and_then(|class| class.method(method));
    check_row(row, &format!("{class}:{method}"), values)
}

/// The arguments of such a method, checked against its row.
///
/// # Errors
///
/// As [`check`].
pub(super) fn read<T: FromLuaMulti>(
    class: &str,
    method: &str,
    lua: &Lua,
    given: MultiValue,
) -> mlua::Result<T> {
    check(class, method, &given)?;
    T::from_lua_multi(given, lua)
}

/// The same for a function of a module.
///
/// # Errors
///
/// As [`check`].
pub(super) fn check_function(module: &str, name: &str, values: &MultiValue) -> mlua::Result<()> {
    let row = api::module(module).and_then(|module| module.function(name));
    check_row(row, &format!("{module}.{name}"), values)
}

fn check_row(row: Option<&ApiFunction>, label: &str, values: &MultiValue) -> mlua::Result<()> {
    let row = row.ok_or_else(|| Error::internal(format!("there is no row `{label}`")));
    let row = row.into_lua()?;
    row.check(label, args(row.params, values.iter())).into_lua()
}

/// The outlines of the arguments of a call.
pub(super) fn args<'a>(
    params: &'static [Param],
    values: impl ExactSizeIterator<Item = &'a Value>,
) -> Vec<Arg> {
    // Arguments beyond the last parameter are counted only, or go with it.
    let kinds = params.iter().map(|param| &param.kind);
    let kinds = kinds.chain(std::iter::repeat(&Kind::Anything));
    values
        .zip(kinds)
        .map(|(value, kind)| outline(kind, value))
        .collect()
}

/// The option that the first item of a table of options stands for.
const FUNCTION: &str = "fn";

/// The outline of one value, as far as `kind` looks into it.
fn outline(kind: &Kind, value: &Value) -> Arg {
    Arg::Value(match value {
        Value::Nil => Data::Null,
        Value::LightUserData(pointer) if pointer.0.is_null() => Data::Null,
        Value::Boolean(value) => Data::Bool(*value),
        Value::Integer(value) => Data::Int(*value),
        Value::Number(value) => Data::Float(*value),
        Value::String(text) => {
            let bytes = text.as_bytes();
            let beginning = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
            Data::String(String::from_utf8_lossy(beginning).into_owned())
        }
        Value::Table(table) => return outline_of_table(kind, table),
        Value::Function(_) => return Arg::Opaque("function"),
        Value::Thread(_) => return Arg::Opaque("coroutine"),
        _ => return Arg::Opaque("object"),
    })
}

fn outline_of_table(kind: &Kind, table: &Table) -> Arg {
    let is_function = |kind: &Kind| matches!(kind, Kind::Function);
    match kind {
        // What can be called like a function is one, such as a procedure.
        Kind::Either(kinds) if kinds.iter().any(is_function) && callable::is_callable(table) => {
            Arg::Opaque("function")
        }
        Kind::Either(kinds) => kinds
            .iter()
            .find(|kind| matches!(kind, Kind::List(_) | Kind::Options(_) | Kind::Table))
            .map_or(Arg::Opaque("table"), |kind| outline_of_table(kind, table)),
        Kind::List(item) => {
            let Some(length) = convert::list_length(table).or(is_empty(table).then_some(0)) else {
                return Arg::Opaque("table");
            };
            let items = (1..=length).map(|position| {
                let item_value = table.raw_get(position).unwrap_or(Value::Nil);
                outline(item, &item_value)
            });
            Arg::List(items.collect())
        }
        Kind::Options(options) => {
            let mut members = IndexMap::new();
            for (key, value) in table.pairs::<Value, Value>().flatten() {
                let Ok(mut name) = key.to_string() else {
                    continue;
                };
                // `Procedure.create{name = …, function() … end}`.
                if key == Value::Integer(1) && options.iter().any(|it| it.name == FUNCTION) {
                    FUNCTION.clone_into(&mut name);
                }
                let known = options.iter().find(|option| option.name == name);
                let kind = known.map_or(&Kind::Anything, |option| &option.kind);
                members.insert(name, outline(kind, &value));
            }
            members.sort_keys();
            Arg::Map(members)
        }
        Kind::Any | Kind::Table => Arg::Value(Data::Map(Map::new())),
        _ => Arg::Opaque("table"),
    }
}

fn is_empty(table: &Table) -> bool {
    table.pairs::<Value, Value>().next().is_none()
}
