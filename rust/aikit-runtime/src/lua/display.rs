//! What values look like: MIME bundles, and the functions that show them.

use aikit_core::{Error, Result, Value as Data, engine::Output, value::Map};
use mlua::{
    AnyUserData, Function, Lua, LuaString, MetaMethod, MultiValue, Table, UserData, UserDataFields,
    UserDataMethods, UserDataRef, Value,
};

use super::{
    convert,
    error::{self, IntoLua as _},
    graph,
    look::{self, Look, unless_stopped},
    natives::is_stream,
    object::ObjectHandle,
    picture::{self, PNG_BEGIN},
    records,
    state::State,
    text,
};
use crate::api::Appearance;

/// What the values of an expression are shown as; several are shown as a tuple.
///
/// # Errors
///
/// Those of a `__mime` or `__tostring` of the script.
pub(super) fn look(values: &MultiValue) -> Result<Look> {
    if let (Some(value), 1) = (values.front(), values.len()) {
        return look_of(value);
    }
    let tuple = text::tuple(values);
    let bundle = Map::from_iter([("text/plain".to_owned(), tuple.into())]);
    unless_stopped(Look::Bundle(bundle))
}

fn look_of(value: &Value) -> Result<Look> {
    if let Some(look) = own_look(value)? {
        return Ok(look);
    }
    let plain = match value {
        // A table that knows its text is shown by it.
        Value::Table(table) if text::has_own(table) => {
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
    unless_stopped(Look::Bundle(bundle))
}

/// Whether who reads the output sees text only, and wants tables in it.
fn shows_tables() -> bool {
    let run = State::current().and_then(|state| state.run());
    run.is_ok_and(|run| run.sink.shows_tables())
}

/// The look of a value that shows itself, or that is a bundle.
fn own_look(value: &Value) -> Result<Option<Look>> {
    let table = match value {
        Value::Table(table) => table,
        Value::UserData(userdata) => {
            return match userdata.borrow::<ObjectHandle>() {
                Ok(handle) => Ok(handle.look()),
                Err(_) => Ok(graph::bundle(userdata).map(Look::Bundle)),
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
        None => return Ok(remembered(table).map(Look::Undrawn)),
    };
    match convert::to_value(&Value::Table(given))? {
        Data::Map(bundle) => Ok(Some(Look::Bundle(picture::checked(bundle)?))),
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

fn remembered(table: &Table) -> Option<Appearance> {
    let state = State::current().ok()?;
    let shown: AnyUserData = state.appearances.raw_get(table).ok()?;
    let shown = shown.borrow::<Shown>().ok()?;
    Some(shown.0.clone())
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
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field_with(MetaMethod::Index.name(), |lua| {
            let update = look::showing(lua, |(this, value): (UserDataRef<Self>, Value)| {
                let place = Place {
                    display_id: Some(this.0.clone()),
                    metadata: Map::new(),
                    is_update: true,
                };
                Ok((look_of(&value).into_lua()?, place))
            });
            let methods = lua.create_table()?;
            methods.raw_set("update", update?)?;
            Ok(methods)
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("display `{}`", this.0))
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

/// Where something is shown in the output of the cell.
struct Place {
    /// By what it can be replaced; a new one when left out.
    display_id: Option<String>,
    metadata: Map,
    /// Whether it replaces what was shown under that identity.
    is_update: bool,
}

impl Place {
    /// Reads `{display_id = …, metadata = …}`.
    fn read(options: Option<Table>, is_update: bool) -> mlua::Result<Self> {
        let mut place = Self {
            display_id: None,
            metadata: Map::new(),
            is_update,
        };
        let Some(options) = options else {
            return Ok(place);
        };
        let metadata = match options.raw_get::<Value>("metadata")? {
            Value::Nil => Data::Null,
            given => convert::to_value(&given).into_lua()?,
        };
        if let Data::Map(metadata) = metadata {
            place.metadata = metadata;
        }
        place.display_id = options.raw_get("display_id")?;
        Ok(place)
    }
}

impl look::Place for Place {
    type Given = Option<DisplayHandle>;

    fn show(self, bundle: Map) -> mlua::Result<Option<DisplayHandle>> {
        let display_id = if let Some(display_id) = self.display_id {
            display_id
        } else {
            let cx = State::current()?.run()?.cx.clone();
            cx.clock().uuid().simple().to_string()
        };
        emit(
            bundle,
            Some(display_id.clone()),
            self.metadata,
            self.is_update,
        )?;
        Ok((!self.is_update).then_some(DisplayHandle(display_id)))
    }
}

fn display(bundle: Map, options: Option<Table>) -> mlua::Result<Option<DisplayHandle>> {
    look::Place::show(Place::read(options, false)?, bundle)
}

/// `display(value, options)`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn show(lua: &Lua) -> mlua::Result<Function> {
    look::showing(lua, |(value, options): (Value, Option<Table>)| {
        Ok((look_of(&value).into_lua()?, Place::read(options, false)?))
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

/// `display.table(records, options)`.
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
        if let Some(columns) = &columns {
            records::check_columns(&records, columns).into_lua()?;
        }
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
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn update(lua: &Lua) -> mlua::Result<Function> {
    look::showing(lua, |(value, options): (Value, Option<Table>)| {
        let place = Place::read(options, true)?;
        if place.display_id.is_none() {
            let hint = "write `update_display(value, {display_id = \"…\"})`";
            let error = Error::invalid_args("`update_display` needs the option `display_id`");
            return Err(error::to_lua(error.with_hint(hint)));
        }
        Ok((look_of(&value).into_lua()?, place))
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
