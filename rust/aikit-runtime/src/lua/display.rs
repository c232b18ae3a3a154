//! What values look like: as text, as HTML, as MIME bundles.

use std::fmt::Write as _;

use aikit_core::{Error, Result, Value as Data, engine::Output, value::Map};
use mlua::{Function, Lua, LuaString, MultiValue, Table, UserData, UserDataMethods, Value};

use super::{
    convert,
    error::{self, IntoLua as _},
    natives::is_stream,
    state::State,
};

/// Deepest nesting that is shown.
const DEPTH_MAX: usize = 6;
/// Most members of one table that are shown.
const MEMBERS_MAX: usize = 200;
/// Longest text of a value, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest line on which a table is written.
const LINE_MAX: usize = 80;
/// Most rows of an HTML table.
const ROWS_MAX: usize = 200;

/// The text of a value as `print` shows it.
///
/// # Errors
///
/// Those of its `__tostring`.
pub(super) fn to_text(value: &Value) -> mlua::Result<String> {
    match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        Value::Error(error) => Ok(error::shown(error)),
        Value::Number(_) => number(value),
        other => other.to_string(),
    }
}

/// A float as Lua writes it: `1.0`, `1e+100`.
fn number(value: &Value) -> mlua::Result<String> {
    let state = State::current()?;
    let text = state.lua.coerce_string(value.clone())?;
    Ok(text.map(|text| text.to_string_lossy()).unwrap_or_default())
}

/// A value as text: tables with their members in order, nested ones indented.
pub(super) fn text(value: &Value) -> String {
    let mut writer = Writer {
        text: String::new(),
        open: Vec::new(),
    };
    writer.write(value, 0);
    cut(writer.text)
}

/// A text that is not longer than what is shown; one that is cut says so.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str(CUT);
    }
    text
}

/// What stands at the end of a text that was cut.
const CUT: &str = "… (cut here: a longer text is not shown; `print` it, or a part of it)";

/// At most the first `length` bytes of a text.
pub(super) fn beginning(text: &LuaString, length: usize) -> String {
    let bytes = text.as_bytes();
    let length = bytes.len().min(length);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// The MIME bundle of the values of an expression; several are shown as a tuple.
///
/// # Errors
///
/// Those of a `__mime` or `__tostring` of the script.
pub(super) fn bundle(values: &MultiValue) -> Result<Map> {
    if let (Some(value), 1) = (values.front(), values.len()) {
        return bundle_of(value);
    }
    let texts: Vec<String> = values.iter().map(text).collect();
    let tuple = cut(format!("({})", texts.join(", ")));
    Ok(Map::from_iter([("text/plain".to_owned(), tuple.into())]))
}

fn bundle_of(value: &Value) -> Result<Map> {
    if let Some(bundle) = own_bundle(value)? {
        return Ok(bundle);
    }
    let plain = match value {
        // A table that knows its text is shown by it.
        Value::Table(table) if has_text(table) => {
            cut(value.to_string().map_err(|error| error::as_ours(&error))?)
        }
        other => text(other),
    };
    let mut bundle = Map::from_iter([("text/plain".to_owned(), Data::from(plain))]);
    if let Value::Table(table) = value
        && let Some(html) = records_as_html(table)
    {
        bundle.insert("text/html".to_owned(), html.into());
    }
    Ok(bundle)
}

fn has_text(table: &Table) -> bool {
    table
        .metatable()
        .is_some_and(|metatable| metatable.contains_key("__tostring").unwrap_or(false))
}

/// The bundle of a value that shows itself, or that is one.
fn own_bundle(value: &Value) -> Result<Option<Map>> {
    let Value::Table(table) = value else {
        return Ok(None);
    };
    let shows = table
        .metatable()
        .and_then(|metatable| metatable.raw_get::<Function>("__mime").ok());
    let given = match shows {
        Some(shows) => shows
            .call::<Table>(table)
            .map_err(|error| error::as_ours(&error))?,
        None if is_bundle(table) => table.clone(),
        None => return Ok(None),
    };
    match convert::to_value(&Value::Table(given))? {
        Data::Map(bundle) => Ok(Some(bundle)),
        _ => Ok(None),
    }
}

/// Whether a value is of no interest as the result of a call: the handle of what was just
/// displayed, the stream that was just written to.
pub(super) fn is_handle(value: &Value) -> bool {
    match value {
        Value::UserData(userdata) => userdata.is::<DisplayHandle>(),
        Value::Table(table) => is_stream(table),
        _ => false,
    }
}

/// Whether every key is a media type.
fn is_bundle(table: &Table) -> bool {
    let mut keys = table
        .pairs::<Value, Value>()
        .flatten()
        .map(|(key, _)| key)
        .peekable();
    let is_media_type = |key: &Value| {
        let Value::String(key) = key else {
            return false;
        };
        let key = key.to_string_lossy();
        let kinds = ["text/", "image/", "application/", "audio/", "video/"];
        kinds.iter().any(|kind| key.starts_with(kind))
    };
    keys.peek().is_some() && keys.all(|key| is_media_type(&key))
}

/// Writes values; does not call into the script.
struct Writer {
    text: String,
    open: Vec<*const std::ffi::c_void>,
}

impl Writer {
    fn write(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Nil => self.text.push_str("nil"),
            Value::Boolean(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.text.push_str("null"),
            // Beyond the limit there is something to cut; more of it is of no use.
            Value::String(text) => self.write_string(&beginning(text, TEXT_BYTES_MAX + 4)),
            Value::Error(error) => self.text.push_str(&error::shown(error)),
            Value::Table(table) => self.write_table(table, depth),
            other => {
                let shown = to_text(other);
                let shown = shown.unwrap_or_else(|_| other.type_name().to_owned());
                self.text.push_str(&shown);
            }
        }
    }

    fn write_string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c.is_control() => self.text.extend(c.escape_unicode()),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn write_table(&mut self, table: &Table, depth: usize) {
        let pointer = table.to_pointer();
        if self.open.contains(&pointer) {
            return self.text.push_str("<cycle>");
        }
        if depth == DEPTH_MAX || self.text.len() > TEXT_BYTES_MAX {
            return self.text.push_str("{…}");
        }
        self.open.push(pointer);
        let (members, left_out) = members(table);
        let texts = members.iter().map(|(key, value)| {
            let outer = std::mem::take(&mut self.text);
            if let Some(key) = key {
                self.write_key(key);
                self.text.push_str(" = ");
            }
            self.write(value, depth + 1);
            std::mem::replace(&mut self.text, outer)
        });
        let mut texts: Vec<String> = texts.collect();
        self.open.pop();
        if left_out > 0 {
            texts.push(format!("… {left_out} more"));
        }
        let length: usize = texts.iter().map(|text| text.len() + 2).sum();
        let fits = length + depth * 2 <= LINE_MAX && !texts.iter().any(|text| text.contains('\n'));
        if fits {
            self.text.push('{');
            self.text.push_str(&texts.join(", "));
            self.text.push('}');
        } else {
            self.text.push_str("{\n");
            for text in texts {
                let indent = "  ".repeat(depth + 1);
                let _ = writeln!(self.text, "{indent}{text},");
            }
            self.text.push_str(&"  ".repeat(depth));
            self.text.push('}');
        }
    }

    fn write_key(&mut self, key: &Value) {
        match key {
            Value::String(name) if is_name(&name.to_string_lossy()) => {
                self.text.push_str(&name.to_string_lossy());
            }
            Value::Table(_) => self.text.push_str("[{…}]"),
            other => {
                self.text.push('[');
                self.write(other, DEPTH_MAX);
                self.text.push(']');
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Items of the list first, then the other members by key; and how many are left out.
fn members(table: &Table) -> (Vec<(Option<Value>, Value)>, usize) {
    let length = table.raw_len();
    let mut shown: Vec<(Option<Value>, Value)> = (1..=length.min(MEMBERS_MAX))
        .map(|position| (None, table.raw_get(position).unwrap_or(Value::Nil)))
        .collect();
    let mut left_out = length.saturating_sub(MEMBERS_MAX);
    let mut others: Vec<(String, Value, Value)> = Vec::new();
    for (key, value) in table.pairs::<Value, Value>().flatten() {
        let in_list = key
            .as_integer()
            .and_then(|key| usize::try_from(key).ok())
            .is_some_and(|key| (1..=length).contains(&key));
        if !in_list {
            others.push((order(&key), key, value));
        }
    }
    others.sort_by(|left, right| left.0.cmp(&right.0));
    left_out += others.len().saturating_sub(MEMBERS_MAX);
    let others = others.into_iter().take(MEMBERS_MAX);
    shown.extend(others.map(|(_, key, value)| (Some(key), value)));
    (shown, left_out)
}

/// Numbers before texts, texts by the alphabet, the rest by type.
fn order(key: &Value) -> String {
    match key {
        Value::Integer(number) => format!("0{:020}", i128::from(*number) + (1_i128 << 63)),
        Value::Number(number) => format!("1{number}"),
        Value::String(text) => format!("2{}", text.to_string_lossy()),
        other => format!("3{}", other.type_name()),
    }
}

/// A list of records as an HTML table; `None` when it is something else.
fn records_as_html(table: &Table) -> Option<String> {
    let length = convert::list_length(table).filter(|length| *length > 0)?;
    let mut columns: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for position in 1..=length.min(ROWS_MAX) {
        let record: Table = table.raw_get(position).ok()?;
        if record.raw_len() > 0 {
            return None;
        }
        let mut names = Vec::new();
        for pair in record.pairs::<String, Value>() {
            names.push(pair.ok()?.0);
        }
        names.sort();
        for name in names {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        rows.push(record);
    }
    if columns.is_empty() || columns.len() > MEMBERS_MAX {
        return None;
    }
    let mut html = "<table><thead><tr>".to_owned();
    for column in &columns {
        let _ = write!(html, "<th>{}</th>", escape(column));
    }
    html.push_str("</tr></thead><tbody>");
    for record in rows {
        html.push_str("<tr>");
        for column in &columns {
            let cell: Value = record.raw_get(column.as_str()).ok()?;
            let shown = match &cell {
                Value::Nil => String::new(),
                Value::String(text) => text.to_string_lossy(),
                other => text(other),
            };
            let _ = write!(html, "<td>{}</td>", escape(&shown));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    if length > ROWS_MAX {
        let _ = write!(html, "<p>… {} more rows</p>", length - ROWS_MAX);
    }
    Some(html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Stands for something that was displayed; `:update(value)` replaces it.
#[derive(Debug)]
struct DisplayHandle(String);

impl UserData for DisplayHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(mlua::MetaMethod::ToString, |_, this, ()| {
            Ok(format!("display `{}`", this.0))
        });
        methods.add_method("update", |_, this, value: Value| {
            emit(
                bundle_of(&value).into_lua()?,
                Some(this.0.clone()),
                Map::new(),
                true,
            )
        });
    }
}

fn emit(bundle: Map, display_id: Option<String>, metadata: Map, update: bool) -> mlua::Result<()> {
    let run = State::current()?.run()?;
    run.sink.emit(Output::Display {
        bundle,
        metadata,
        display_id,
        update,
    });
    Ok(())
}

/// Reads `{display_id = …, metadata = …}`.
fn read_options(options: Option<Table>) -> mlua::Result<(Option<String>, Map)> {
    let Some(options) = options else {
        return Ok((None, Map::new()));
    };
    let metadata = match options.raw_get::<Value>("metadata")? {
        Value::Nil => Map::new(),
        given => match convert::to_value(&given).into_lua()? {
            Data::Map(metadata) => metadata,
            _ => Map::new(),
        },
    };
    Ok((options.raw_get("display_id")?, metadata))
}

fn display(bundle: Map, options: Option<Table>) -> mlua::Result<DisplayHandle> {
    let (display_id, metadata) = read_options(options)?;
    let state = State::current()?;
    let cx = state.run()?.cx.clone();
    let display_id = display_id.unwrap_or_else(|| cx.clock().uuid().simple().to_string());
    emit(bundle, Some(display_id.clone()), metadata, false)?;
    Ok(DisplayHandle(display_id))
}

/// `display(value, options)`.
pub(super) fn show(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (value, options): (Value, Option<Table>)| {
        display(bundle_of(&value).into_lua()?, options)
    })
}

/// `display.html(text)` and the like.
pub(super) fn shortcut(lua: &Lua, media_type: &'static str) -> mlua::Result<Function> {
    lua.create_function(move |_, (text, options): (LuaString, Option<Table>)| {
        convert::check_size(text.as_bytes().len()).into_lua()?;
        let text = text.to_string_lossy();
        let bundle = [
            (media_type.to_owned(), Data::from(text.as_str())),
            ("text/plain".to_owned(), Data::from(text)),
        ];
        display(Map::from_iter(bundle), options)
    })
}

/// `display.json(value)`.
pub(super) fn json(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (value, options): (Value, Option<Table>)| {
        let data = convert::named("display.json", convert::to_value(&value)).into_lua()?;
        let bundle = [
            ("application/json".to_owned(), data),
            ("text/plain".to_owned(), Data::from(text(&value))),
        ];
        display(Map::from_iter(bundle), options)
    })
}

/// `update_display(value, options)`.
pub(super) fn update(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (value, options): (Value, Option<Table>)| {
        let (display_id, metadata) = read_options(options)?;
        let display_id = display_id.ok_or_else(|| {
            let hint = "write `update_display(value, {display_id = \"…\"})`";
            let error = Error::invalid_args("`update_display` needs the option `display_id`");
            error::to_lua(error.with_hint(hint))
        })?;
        emit(
            bundle_of(&value).into_lua()?,
            Some(display_id),
            metadata,
            true,
        )
    })
}

/// `clear_output(wait)`.
pub(super) fn clear(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, wait: Option<bool>| {
        let run = State::current()?.run()?;
        run.sink.emit(Output::Clear {
            wait: wait.unwrap_or(false),
        });
        Ok(())
    })
}
