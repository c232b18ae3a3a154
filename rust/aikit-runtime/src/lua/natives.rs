//! The functions of the API table that work on Lua values themselves, and Lua's own functions
//! that print.

use std::sync::Arc;

use aikit_core::{
    Error, ErrorKind, Value as Data,
    engine::{Output, StreamName},
};
use mlua::{Function, Lua, MultiValue, Value};

use super::{
    cell, display,
    error::{self, IntoLua as _},
    state::State,
    task,
};
use crate::api::{Return, Target};

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
            let mut text = joined(&values, "\t")?;
            text.push('\n');
            emit(StreamName::Stdout, text)
        })?,
    )?;
    let io = lua.create_table()?;
    let stdout = stream(lua, StreamName::Stdout)?;
    io.raw_set(
        "write",
        lua.create_function({
            let stdout = stdout.clone();
            move |_, values: MultiValue| {
                emit(StreamName::Stdout, joined(&values, "")?)?;
                Ok(stdout.clone())
            }
        })?,
    )?;
    io.raw_set("stdout", stdout)?;
    io.raw_set("stderr", stream(lua, StreamName::Stderr)?)?;
    io.raw_set("flush", lua.create_function(|_, ()| Ok(()))?)?;
    io.raw_set("read", read(lua)?)?;
    globals.raw_set("io", io)
}

/// A table that stands for one of the cell's streams.
fn stream(lua: &Lua, name: StreamName) -> mlua::Result<mlua::Table> {
    let stream = lua.create_table()?;
    let write = lua.create_function(move |_, mut values: MultiValue| {
        let this = values.pop_front().unwrap_or(Value::Nil);
        emit(name, joined(&values, "")?)?;
        Ok(this)
    })?;
    stream.raw_set("write", write)?;
    stream.raw_set("flush", lua.create_function(|_, ()| Ok(()))?)?;
    Ok(stream)
}

fn emit(name: StreamName, text: String) -> mlua::Result<()> {
    let run = State::current()?.run()?;
    run.sink.emit(Output::Stream { name, text });
    Ok(())
}

fn joined(values: &MultiValue, separator: &str) -> mlua::Result<String> {
    let texts: mlua::Result<Vec<String>> = values.iter().map(display::to_text).collect();
    Ok(texts?.join(separator))
}

/// `io.read`: a line from the user.
fn read(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|lua, format: Option<String>| async move {
        let format = format.unwrap_or_else(|| "l".to_owned());
        if !matches!(format.trim_start_matches('*'), "l" | "L" | "n") {
            let message = format!("`io.read` cannot read `{format}` here");
            let hint = "read a line with `io.read()` or a number with `io.read(\"n\")`";
            return Err(error::to_lua(
                Error::new(ErrorKind::Unavailable, message).with_hint(hint),
            ));
        }
        let (host, run) = {
            let state = State::current()?;
            (Arc::clone(&state.host), state.run()?)
        };
        let target = Target::Function {
            module: String::new(),
            function: "input".to_owned(),
        };
        let answer = host.call(&run.cx, target, Vec::new()).await.into_lua()?;
        let Return::Value(Data::String(line)) = answer else {
            return Ok(Value::Nil);
        };
        match format.trim_start_matches('*') {
            "n" => Ok(line.trim().parse().map_or(Value::Nil, Value::Number)),
            "L" => lua.create_string(format!("{line}\n")).map(Value::String),
            _ => lua.create_string(line).map(Value::String),
        }
    })
}
