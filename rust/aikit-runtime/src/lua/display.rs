//! What values look like: MIME bundles, and the functions that show them.

use aikit_core::{Error, Result, Value as Data, engine::Output, value::Map};
use mlua::{
    AnyUserData, Function, Lua, LuaString, MultiValue, Table, UserData, UserDataMethods, Value,
};

use super::{
    convert,
    error::{self, IntoLua as _},
    graph, interrupt,
    natives::is_stream,
    object::ObjectHandle,
    records,
    state::State,
    text, thread,
};
use crate::api::Appearance;

/// The MIME bundle of the values of an expression; several are shown as a tuple.
///
/// # Errors
///
/// Those of a `__mime` or `__tostring` of the script.
pub(super) fn bundle(values: &MultiValue) -> Result<Map> {
    if let (Some(value), 1) = (values.front(), values.len()) {
        return bundle_of(value);
    }
    let tuple = text::tuple(values);
    unless_stopped(Map::from_iter([("text/plain".to_owned(), tuple.into())]))
}

fn bundle_of(value: &Value) -> Result<Map> {
    if let Some(bundle) = own_bundle(value)? {
        return Ok(bundle);
    }
    let plain = match value {
        // A table that knows its text is shown by it.
        Value::Table(table) if has_text(table) => {
            text::cut(value.to_string().map_err(|error| error::as_ours(&error))?)
        }
        other => text::of(other),
    };
    let mut bundle = Map::from_iter([("text/plain".to_owned(), Data::from(plain))]);
    if let Value::Table(table) = value
        && let Some(html) = records::html(table, None)
    {
        bundle.insert("text/html".to_owned(), html.into());
        if shows_tables()
            && let Some(plain) = records::plain(table, None)
        {
            bundle.insert("text/plain".to_owned(), plain.into());
        }
    }
    unless_stopped(bundle)
}

/// Whether who reads the output sees text only, and wants tables in it.
fn shows_tables() -> bool {
    let run = State::current().and_then(|state| state.run());
    run.is_ok_and(|run| run.sink.shows_tables())
}

/// What was written while the run is asked to stop is not whole, and not shown.
fn unless_stopped(bundle: Map) -> Result<Map> {
    if !interrupt::is_asked() {
        return Ok(bundle);
    }
    let run = State::current().and_then(|state| state.run());
    let run = run.map_err(|error| error::as_ours(&error))?;
    Err(thread::stopped(&run.cx))
}

fn has_text(table: &Table) -> bool {
    table
        .metatable()
        .is_some_and(|metatable| metatable.contains_key("__tostring").unwrap_or(false))
}

/// The bundle of a value that shows itself, or that is one.
fn own_bundle(value: &Value) -> Result<Option<Map>> {
    let table = match value {
        Value::Table(table) => table,
        Value::UserData(userdata) => {
            return match userdata.borrow::<ObjectHandle>() {
                Ok(handle) => handle.bundle(),
                Err(_) => Ok(graph::bundle(userdata)),
            };
        }
        _ => return Ok(None),
    };
    let shows = table
        .metatable()
        .and_then(|metatable| metatable.raw_get::<Function>("__mime").ok());
    let given = match shows {
        Some(shows) => shows
            .call::<Table>(table)
            .map_err(|error| error::as_ours(&error))?,
        None if is_bundle(table) => table.clone(),
        None => return remembered(table),
    };
    match convert::to_value(&Value::Table(given))? {
        Data::Map(bundle) => Ok(Some(bundle)),
        _ => Ok(None),
    }
}

/// What a table that came from the session is shown as.
#[derive(Debug)]
struct Shown(Appearance);

impl UserData for Shown {}

/// Remembers how a table that came from the session is shown. It is forgotten with the table.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn remember(lua: &Lua, value: &Value, appearance: Appearance) -> mlua::Result<()> {
    if !value.is_table() {
        return Ok(());
    }
    let shown = lua.create_userdata(Shown(appearance))?;
    State::current()?.appearances.raw_set(value, shown)
}

fn remembered(table: &Table) -> Result<Option<Map>> {
    let find = || {
        let state = State::current().ok()?;
        let shown: AnyUserData = state.appearances.raw_get(table).ok()?;
        let shown = shown.borrow::<Shown>().ok()?;
        Some(shown.0.clone())
    };
    find().as_ref().map(Appearance::bundle).transpose()
}

/// Whether a value is of no interest as the result of a call: the handle of what was just
/// displayed, the stream that was just written to.
pub(super) fn is_handle(value: &Value) -> bool {
    match value {
        Value::UserData(userdata) => {
            let object = userdata.borrow::<ObjectHandle>();
            userdata.is::<DisplayHandle>() || object.is_ok_and(|it| it.is_shown)
        }
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

/// Shows a bundle in the output of the cell that runs, or replaces what was shown before.
///
/// # Errors
///
/// When no cell runs.
pub(super) fn emit(
    bundle: Map,
    display_id: Option<String>,
    metadata: Map,
    update: bool,
) -> mlua::Result<()> {
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
        let data = convert::to_value(&value).and_then(|data| {
            // Front ends know plain JSON only.
            data.to_json()?;
            Ok(data)
        });
        let data = convert::named("display.json", data).into_lua()?;
        let bundle = [
            ("application/json".to_owned(), data),
            ("text/plain".to_owned(), Data::from(text::of(&value))),
        ];
        display(Map::from_iter(bundle), options)
    })
}

/// What a PNG file begins with.
const PNG_BEGIN: &[u8] = b"\x89PNG\r\n\x1a\n";

/// `display.png(bytes)`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn png(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (bytes, options): (LuaString, Option<Table>)| {
        let bytes = bytes.as_bytes();
        convert::check_size(bytes.len()).into_lua()?;
        if !bytes.starts_with(PNG_BEGIN) {
            let message = format!("these {} bytes are no PNG image", bytes.len());
            let hint = "give the bytes of the file, such as `Tool.read_file{path = …}.bytes`; other \
                        images are shown by `display{['image/jpeg'] = bytes}`";
            return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
        }
        let plain = format!("PNG image, {} bytes", bytes.len());
        let bundle = [
            ("image/png".to_owned(), Data::Bytes(bytes.to_vec().into())),
            ("text/plain".to_owned(), Data::from(plain)),
        ];
        display(Map::from_iter(bundle), options)
    })
}

/// `display.table(records)`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn table(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (records, options): (Table, Option<Table>)| {
        let columns = match &options {
            Some(options) => options.raw_get::<Option<Vec<String>>>("columns")?,
            None => None,
        };
        let (html, plain) = if records.is_empty() {
            ("<p>no rows</p>".to_owned(), "no rows".to_owned())
        } else {
            let columns = columns.as_deref();
            let shown = records::html(&records, columns).zip(records::plain(&records, columns));
            shown.ok_or_else(|| {
                let problem = records::problem(&records);
                let message = format!("`display.table` shows a list of records, but {problem}");
                let hint =
                    "write `display.table({{name = 'a', size = 1}, {name = 'b', size = 2}})`";
                error::to_lua(Error::invalid_args(message).with_hint(hint))
            })?
        };
        let bundle = [
            ("text/html".to_owned(), Data::from(html)),
            ("text/plain".to_owned(), Data::from(plain)),
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
