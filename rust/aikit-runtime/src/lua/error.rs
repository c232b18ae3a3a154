//! Errors across the border: what Lua code sees of ours, and what we make of Lua's.

use std::sync::Arc;

use aikit_components::nearest;
use aikit_core::{Context, Error, ErrorKind, Result};
use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::{interrupt, raw, run::Run, state::State, text, thread};
use crate::api::with_article;

/// Longest text of an error that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 16;

/// What Lua code raised, and where.
#[derive(Debug)]
pub(super) struct Failure {
    value: Value,
    traceback: String,
    /// What the `__tostring` of the value answered.
    text: Option<String>,
}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Self::of(Value::Error(Box::new(error)))
    }
}

impl Failure {
    /// A value that was raised, without where.
    pub(super) const fn of(value: Value) -> Self {
        Self {
            value,
            traceback: String::new(),
            text: None,
        }
    }

    /// Reads what [`raw::protected_call`] answers after `false`.
    pub(super) fn from_protected_call(values: MultiValue) -> Self {
        match values.into_iter().next().unwrap_or(Value::Nil) {
            Value::Table(pair) => Self {
                traceback: pair.raw_get(2).unwrap_or_default(),
                ..Self::of(pair.raw_get(1).unwrap_or(Value::Nil))
            },
            // The handler itself failed: the stack or the memory was full.
            value => Self::of(value),
        }
    }

    fn is_interrupt(&self) -> bool {
        matches!(&self.value, Value::Error(error) if interrupt::is_interrupt(error))
    }

    /// A table that was raised, if it says its text by a function of the script.
    pub(super) fn speaker(&self) -> Option<&Table> {
        let table = self.value.as_table()?;
        let speaks = member(table, "message").is_none() && text::has_own(table);
        speaks.then_some(table)
    }

    /// The same with the text that its value gave of itself.
    pub(super) fn with_text(self, text: String) -> Self {
        Self {
            text: Some(text),
            ..self
        }
    }
}

/// Raises one of our errors in Lua, where it is a value with fields.
pub(super) fn to_lua(error: Error) -> mlua::Error {
    mlua::Error::external(error)
}

/// An error while Lua is set up.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(super) fn from_setup(error: mlua::Error) -> Error {
    find(&error).unwrap_or_else(|| Error::internal(format!("Lua cannot be set up: {error}")))
}

/// What Lua raised as one of our errors, with its traceback.
pub(super) fn from_lua(state: &State, cx: &Context, failure: &Failure) -> Error {
    let error = match &failure.value {
        Value::Error(error) if interrupt::is_interrupt(error) => thread::stopped(cx),
        Value::Error(error) => find(error).unwrap_or_else(|| script(state, &root_message(error))),
        Value::String(text) => script(state, &text::beginning(text, MESSAGE_BYTES_MAX)),
        Value::Table(table) => from_table(state, table, failure.text.as_deref()),
        other => Error::new(
            ErrorKind::Script,
            format!("the script raised `{}`", text::of(other)),
        )
        .with_hint("raise a text, such as `error(\"what went wrong\")`"),
    };
    // An error that comes from another script brings its own frames, which lie deeper.
    let mut frames = error.traceback().to_vec();
    frames.extend(read_traceback(state, &failure.traceback));
    error.with_traceback(frames)
}

/// Our error inside one of Lua's, if there is one.
pub(super) fn find(error: &mlua::Error) -> Option<Error> {
    match error {
        mlua::Error::ExternalError(error) => error.downcast_ref::<Error>().map(Error::copy),
        mlua::Error::CallbackError { cause, .. }
        | mlua::Error::WithContext { cause, .. }
        | mlua::Error::BadArgument { cause, .. } => find(cause),
        _ => None,
    }
}

/// A syntax error, with the name of the cell in front.
pub(super) fn syntax(state: &State, error: &mlua::Error) -> Error {
    let message = root_message(error);
    if message == NO_MEMORY {
        return no_memory();
    }
    let hint = if message.contains("<eof>") {
        "something is not closed: look for a missing `end`, bracket or quote"
    } else if message.contains("near '<\\") {
        "names have the letters A to Z, digits and `_`, and texts stand in straight quotes: other \
         characters, such as `é` and `“`, stand in texts and comments only"
    } else {
        "look at the place that the message names, and just before it"
    };
    let line = message.split_once(": ").and_then(|(place, _)| {
        let source = source_at(state, place)?;
        Some(vec![format!("{place}: here"), format!("    {source}")])
    });
    Error::new(ErrorKind::Script, message)
        .with_hint(hint)
        .with_traceback(line.unwrap_or_default())
}

/// The source line at a place such as `cell [1]:7`.
fn source_at(state: &State, place: &str) -> Option<String> {
    let (name, line) = place.rsplit_once(':')?;
    state.source_line(name, line.parse().ok()?)
}

fn root_message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => root_message(cause),
        mlua::Error::BadArgument {
            to, name, cause, ..
        } => {
            let function = to.as_deref().unwrap_or("a function");
            // A method of an object goes by the object's type in Rust.
            let function = function.rsplit('.').next().unwrap_or(function);
            if name.as_deref() == Some("self") {
                format!("`{function}` was not called on the object it belongs to")
            } else {
                format!("`{function}`: {}", root_message(cause))
            }
        }
        mlua::Error::FromLuaConversionError { from, to, .. } => {
            let wanted = with_article(type_in_lua(to));
            format!("{wanted} was expected, but it is of type {from}")
        }
        mlua::Error::RuntimeError(message) => without_traceback(message).to_owned(),
        mlua::Error::MemoryError(message) | mlua::Error::SyntaxError { message, .. } => {
            message.clone()
        }
        other => other.to_string(),
    }
}

/// What a type of Rust is called in Lua.
fn type_in_lua(name: &str) -> &'static str {
    match name {
        "String" | "&str" | "string" => "string",
        "f32" | "f64" | "number" => "number",
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => {
            "whole number"
        }
        "bool" | "boolean" => "boolean",
        "Function" | "function" => "function",
        "Table" | "table" => "table",
        _ => "handle of an object",
    }
}

/// What a table that was raised says of itself. Its function is the script's, and may fail.
///
/// # Errors
///
/// Only when that was stopped, as the rest of the script is.
pub(super) async fn own_text(
    state: &State,
    run: Arc<Run>,
    table: Table,
) -> Result<String, Failure> {
    let read = |_: &Lua, value: Value| text::plain(&value).map(bounded);
    let read = state.lua.create_function(read)?;
    let args = MultiValue::from_iter([Value::Table(table)]);
    match state.drive_once(Arc::clone(&run), read, args).await {
        Ok(values) => Ok(match values.front() {
            Some(Value::String(text)) => text.to_string_lossy(),
            _ => String::new(),
        }),
        Err(failure) if failure.is_interrupt() => Err(failure),
        Err(failure) => {
            let error = from_lua(state, &run.cx, &failure);
            let problem = error.message();
            Ok(format!(
                "the script raised a table whose `__tostring` fails: {problem}"
            ))
        }
    }
}

/// A text of an error that is a table, or a number as one.
fn member(table: &Table, key: &str) -> Option<String> {
    let text: Option<LuaString> = table.raw_get(key).ok()?;
    text.map(|text| text::beginning(&text, MESSAGE_BYTES_MAX))
}

/// A text that is no longer than what is kept of an error.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

fn from_table(state: &State, table: &Table, text: Option<&str>) -> Error {
    let said = member(table, "message").or_else(|| text.map(str::to_owned));
    let message = said.unwrap_or_else(|| {
        let value = Value::Table(table.clone());
        format!("the script raised `{}`", text::of(&value))
    });
    let kind = member(table, "kind").and_then(|kind| ErrorKind::from_code(&kind));
    let error = match kind {
        Some(kind) => Error::new(kind, message),
        None => script(state, &message),
    };
    match member(table, "hint") {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Lua's own text, which has no place in front: a lack of memory reaches us as nothing else.
const NO_MEMORY: &str = "not enough memory";

fn no_memory() -> Error {
    let message = "the script needs more than 1 GiB of memory";
    let hint = "keep less at once: work in pieces, and set what is done with to `nil`";
    Error::new(ErrorKind::LimitExceeded, message).with_hint(hint)
}

/// An error of the user's Lua, with a hint where one is known.
fn script(state: &State, message: &str) -> Error {
    if message == NO_MEMORY {
        return no_memory();
    }
    let message = without_traceback(message);
    let error = Error::new(ErrorKind::Script, message);
    match hint(state, message) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Lua adds a traceback of its own to some messages.
fn without_traceback(message: &str) -> &str {
    let (message, _) = message
        .split_once("\nstack traceback:")
        .unwrap_or((message, ""));
    message
}

/// Globals of plain Lua that are not on the allow list.
const LEFT_OUT: [&str; 6] = [
    "debug",
    "dofile",
    "loadfile",
    "loadstring",
    "package",
    "require",
];

/// Functions of plain Lua's libraries that are not on the allow list, and what there is instead.
const INSTEAD: &[(&str, &[&str], &str)] = &[
    (
        "io",
        &["open", "input", "output"],
        "`Tool.read_file{path = …}` reads a file, `Tool.write_file{path = …, content = …}` writes one",
    ),
    (
        "io",
        &["popen"],
        "`Tool.run_process{program = …, args = {…}}` runs a program",
    ),
    (
        "os",
        &["execute"],
        "`Tool.run_process{program = …, args = {…}}` runs a program",
    ),
    (
        "os",
        &["remove"],
        "`Tool.delete_file{path = …}` deletes a file",
    ),
    (
        "os",
        &["rename", "tmpname"],
        "`Tool.write_file{path = …, content = …}` makes a file, `Tool.delete_file{path = …}` deletes one",
    ),
    (
        "os",
        &["getenv", "setlocale"],
        "scripts do not see the environment; give them what they need as a value",
    ),
];

/// The function of a library that a call meant, and what there is instead of it. Lua names the
/// member only, so the line says which table it was looked for in.
fn absent(state: &State, message: &str, name: &str) -> Option<(String, &'static str)> {
    let line = place(state, message);
    let found = INSTEAD.iter().find(|(library, names, _)| {
        let is_meant = |line: &String| line.contains(&format!("{library}.{name}"));
        names.contains(&name) && line.as_ref().is_none_or(is_meant)
    });
    found.map(|(library, _, instead)| (format!("{library}.{name}"), *instead))
}

/// The line that an error is about: its message begins with `cell [1]:7: `.
fn place(state: &State, message: &str) -> Option<String> {
    let (place, _) = message.split_once(": ")?;
    source_at(state, place)
}

fn hint(state: &State, message: &str) -> Option<String> {
    if message.contains("stack overflow") {
        return Some("a function calls itself without an end".to_owned());
    }
    if message.contains("across a C-call boundary") {
        return Some(
            "this call waits, which is not possible inside a metamethod, `table.sort` or \
             `string.gsub`: start it with `async` before, or collect first and call after"
                .to_owned(),
        );
    }
    let quoted = |text: &'static str| {
        let (_, rest) = message.split_once(text)?;
        rest.split_once('\'').map(|(name, _)| name)
    };
    if let Some(name) = quoted("a nil value (global '") {
        if LEFT_OUT.contains(&name) {
            return Some(format!(
                "`{name}` is no part of this Lua, which opens no files by itself: \
                 `Tool.read_file{{path = …}}` reads one"
            ));
        }
        let names = state.names.read().ok()?;
        let otherwise = format!("`{name}` has no value: assign it in this or an earlier cell");
        return Some(nearest::hint(name, names.all().into_keys(), otherwise));
    }
    let name = quoted("a nil value (field '").or_else(|| quoted("a nil value (method '"))?;
    if let Some((member, instead)) = absent(state, message, name) {
        return Some(format!("this Lua has no `{member}`: {instead}"));
    }
    Some(format!(
        "there is no `{name}` in that table: `display` it to see what there is"
    ))
}

/// How the frames of our own functions begin.
const OWN_FRAME: &str = "[aikit]:";

/// How other frames begin that tell nobody anything.
const IDLE_FRAMES: [&str; 5] = [
    "[C]: in ?",
    "[C]: in function 'error'",
    "[C]: in upvalue 'get_future'",
    "[C]: in upvalue 'poll'",
    "[C]: in local 'poll'",
];

/// Frames of a traceback, innermost first, each followed by its source line where it is known.
fn read_traceback(state: &State, traceback: &str) -> Vec<String> {
    let all: Vec<&str> = traceback.lines().skip(1).map(str::trim).collect();
    let is_own = |frame: &&str| frame.starts_with(OWN_FRAME);
    let is_idle = |(at, frame): (usize, &str)| {
        let is_called_by_own = frame.starts_with("[C]: ") && all.get(at + 1).is_some_and(is_own);
        is_called_by_own
            || is_own(&frame)
            || frame.is_empty()
            || frame.contains("__mlua_async_poll")
            || IDLE_FRAMES.iter().any(|it| frame.starts_with(it))
    };
    let shown = all.iter().enumerate();
    let shown = shown.filter(|(at, frame)| !is_idle((*at, frame)));
    let mut frames: Vec<String> = shown.map(|(_, frame)| (*frame).to_owned()).collect();
    if let Some(outermost) = frames.last_mut()
        && let Some((place, _)) = outermost.split_once(": in function <")
    {
        *outermost = format!("{place}: in the main chunk");
    }
    let mut lines = Vec::with_capacity(frames.len() * 2);
    for frame in frames {
        let place = frame.split_once(": in ");
        let source = place.and_then(|(place, _)| source_at(state, place));
        lines.push(frame);
        lines.extend(source.map(|source| format!("    {source}")));
    }
    lines
}

/// Gives our errors their fields in Lua: `err.kind`, `err.message`, `err.hint`, `err.retryable`, and a
/// text.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let index = lua.create_function(|lua, (error, key): (Value, String)| {
        let Value::Error(error) = error else {
            return Ok(Value::Nil);
        };
        let error = as_ours(&error);
        let text = match key.as_str() {
            "kind" => Some(error.kind().code()),
            "message" => Some(error.message()),
            "hint" => error.hint(),
            "retryable" => return Ok(Value::Boolean(error.kind().is_retryable())),
            _ => None,
        };
        text.map_or(Ok(Value::Nil), |text| {
            lua.create_string(text).map(Value::String)
        })
    })?;
    let to_text = lua.create_function(|_, error: Value| {
        Ok(match error {
            Value::Error(error) => shown(&error),
            _ => String::new(),
        })
    })?;
    raw::dress_errors(lua, index, to_text)
}

/// The text of an error in Lua: what went wrong, and what to do.
pub(super) fn shown(error: &mlua::Error) -> String {
    let error = as_ours(error);
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error.message()),
        None => error.message().to_owned(),
    }
}

/// Any error of Lua as one of ours, without a traceback.
pub(super) fn as_ours(error: &mlua::Error) -> Error {
    if interrupt::is_interrupt(error) {
        return Error::new(ErrorKind::Interrupted, "the cell was interrupted");
    }
    find(error).unwrap_or_else(|| Error::new(ErrorKind::Script, root_message(error)))
}

/// A result whose error Lua can see.
pub(super) trait IntoLua<T> {
    /// The same result with the error as Lua's.
    fn into_lua(self) -> mlua::Result<T>;
}

impl<T> IntoLua<T> for Result<T> {
    fn into_lua(self) -> mlua::Result<T> {
        self.map_err(to_lua)
    }
}
