//! `Stream`: iterators over whatever `for … in` can go through.
//!
//! Changing and watching is done in Lua, so that a source and a function may wait. Merging runs
//! each source as a coroutine of its own, which waits until its item was taken.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use aikit_core::{Context, Error, ErrorKind, context::Overrides, stream::SOURCES_MAX};
use mlua::{Function, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use tokio::sync::mpsc;

use super::{
    convert,
    error::{self, IntoLua as _},
    object::StreamHandle,
    pending::held,
    run::Run,
    state::State,
    stop, text,
};

/// `Stream.map(source, fn)`.
pub(super) fn map(lua: &Lua) -> mlua::Result<Function> {
    library(lua)?.raw_get("map")
}

/// `Stream.tap(source, fn)`.
pub(super) fn tap(lua: &Lua) -> mlua::Result<Function> {
    library(lua)?.raw_get("tap")
}

/// `Stream.merge(sources)`.
pub(super) fn merge(lua: &Lua) -> mlua::Result<Function> {
    library(lua)?.raw_get("merge")
}

/// `Stream.is_async_iterable(value)`.
pub(super) fn is_async_iterable(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, value: Value| Ok(is_iterator(&value)))
}

/// Whether a value is a function or is called like one.
fn is_iterator(value: &Value) -> bool {
    match value {
        Value::Function(_) => true,
        Value::UserData(it) => it.is::<StreamHandle>() || it.is::<Merged>(),
        Value::Table(table) => table
            .metatable()
            .and_then(|it| it.raw_get::<Value>("__call").ok())
            .is_some_and(|it| !it.is_nil()),
        _ => false,
    }
}

fn library(lua: &Lua) -> mlua::Result<Table> {
    let is_iterator = lua.create_function(|_, value: Value| Ok(is_iterator(&value)))?;
    let list_length = lua.create_function(|_, table: Table| Ok(convert::list_length(&table)))?;
    let refuse = lua.create_function(|_, (function, given): (String, Value)| {
        let shown = match &given {
            Value::Function(_) | Value::UserData(_) => given.type_name().to_owned(),
            other => text::of(other),
        };
        let message = format!("`Stream.{function}`: `{shown}` is no source of items");
        let hint = match &*function {
            "merge" => "give a list of sources, or a table of them by name",
            _ => "give a stream, an iterator function as for `for … in`, or a list",
        };
        Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
    })?;
    let no_item = lua.create_function(|_, ()| {
        let message = "`Stream.map`: the function gave `nil`, which would end the iteration";
        let hint = "give `JSON.null` or `false` for nothing";
        Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
    })?;
    let several = lua.create_function(|_, (function, giver): (String, String)| {
        let message = format!("`Stream.{function}`: the {giver} gave several values for one item");
        let hint = "give one value, a table for several; parentheses keep the first of a call: \
                    `return (text:gsub(…))`";
        Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
    })?;
    let merged = lua.create_function(start_merge)?;
    let parts = (is_iterator, list_length, refuse, no_item, several, merged);
    lua.load(LIBRARY).set_name("=[aikit]").call(parts)
}

/// In Lua, so that sources and functions of the script may wait.
const LIBRARY: &str = r#"
local is_iterator, list_length, refuse, no_item, several, start_merge = ...
local type, pairs, ipairs, next, pcall = type, pairs, ipairs, next, pcall
local setmetatable, sort = setmetatable, table.sort
local function close_source(source)
  local kind = type(source)
  if kind ~= "table" and kind ~= "userdata" then return end
  local found, close = pcall(function() return source.close end)
  if found and close ~= nil then close(source) end
end
local function iterator_of(name, source)
  if is_iterator(source) then return source end
  if type(source) == "table" and (list_length(source) or next(source) == nil) then
    local at = 0
    return function() at = at + 1 return source[at] end
  end
  refuse(name, source)
end
local methods = {}
local meta = {__index = methods, __name = "stream", __metatable = false}
local states = setmetatable({}, {__mode = "k"})
local function next_of(stream)
  local state = states[stream]
  if state.source == nil then return nil end
  local item, more = state.source()
  if item == nil then state.source = nil return nil end
  if more ~= nil then several(state.name, "source") end
  return state.step(item)
end
function methods.next(stream) return next_of(stream) end
function methods.close(stream)
  local state = states[stream]
  local source = state.source
  state.source = nil
  if source ~= nil then close_source(source) end
end
meta.__call = next_of
meta.__close = methods.close
meta.__tostring = function() return "stream" end
local function make(name, source, step)
  local stream = setmetatable({}, meta)
  states[stream] = {name = name, source = iterator_of(name, source), step = step}
  return stream
end
local library = {}
function library.map(source, fn)
  return make("map", source, function(item)
    local made, more = fn(item)
    if made == nil then no_item() end
    if more ~= nil then several("map", "function") end
    return made
  end)
end
function library.tap(source, fn)
  return make("tap", source, function(item) fn(item) return item end)
end
-- Runs as a coroutine of its own: `give` waits until the item was taken.
local function pump(source, give)
  for item, more in source do
    if more ~= nil then several("merge", "source") end
    give(item)
  end
end
function library.merge(sources)
  if type(sources) ~= "table" or is_iterator(sources) then refuse("merge", sources) end
  local names, iterators = {}, {}
  local length = list_length(sources)
  if length then
    for at = 1, length do iterators[at] = iterator_of("merge", sources[at]) end
    return start_merge(pump, iterators)
  end
  for name in pairs(sources) do
    if type(name) ~= "string" then refuse("merge", sources) end
    names[#names + 1] = name
  end
  sort(names)
  for at, name in ipairs(names) do iterators[at] = iterator_of("merge", sources[name]) end
  return start_merge(pump, iterators, names)
end
return library
"#;

/// An item on its way, with the number of its source.
type Item = mlua::Result<(usize, Value)>;

/// Several sources that are read as one. They run from the first item that is asked for, and stop
/// when this is closed or gone.
struct Merged {
    state: Mutex<MergeState>,
    names: Option<Table>,
}

enum MergeState {
    /// What is to be started with the first item.
    Waiting {
        pump: Function,
        sources: Vec<Value>,
    },
    Running(Arc<Running>),
    Closed,
}

struct Running {
    items: tokio::sync::Mutex<mpsc::Receiver<Item>>,
    cx: Context,
    /// Whether an error was given, after which nothing is.
    has_failed: AtomicBool,
}

impl Running {
    fn stop(&self) {
        self.cx
            .cancel(ErrorKind::Cancelled, "the stream was closed");
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        self.close();
    }
}

fn start_merge(
    lua: &Lua,
    (pump, sources, names): (Function, Table, Option<Table>),
) -> mlua::Result<Value> {
    let sources: Vec<Value> = sources.sequence_values().collect::<mlua::Result<_>>()?;
    if sources.len() > SOURCES_MAX {
        let message = format!("`Stream.merge`: {} sources are too many", sources.len());
        let error = Error::new(ErrorKind::LimitExceeded, message)
            .with_hint(format!("merge at most {SOURCES_MAX}"));
        return Err(error::to_lua(error));
    }
    let state = Mutex::new(MergeState::Waiting { pump, sources });
    lua.create_userdata(Merged { state, names })
        .map(Value::UserData)
}

impl Merged {
    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let MergeState::Running(running) = std::mem::replace(&mut *state, MergeState::Closed) {
            running.stop();
        }
    }

    /// The running sources; starts them the first time. `None` when it was closed.
    fn running(&self) -> mlua::Result<Option<Arc<Running>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (pump, sources) = match std::mem::replace(&mut *state, MergeState::Closed) {
            MergeState::Closed => return Ok(None),
            MergeState::Running(running) => {
                *state = MergeState::Running(Arc::clone(&running));
                return Ok(Some(running));
            }
            MergeState::Waiting { pump, sources } => (pump, sources),
        };
        let lua_state = State::current()?;
        let parent = lua_state.run()?;
        let cx = parent.cx.part(Overrides::default());
        // One at a time: each source waits until its item was taken, in the order of their coming.
        let (sender, items) = mpsc::channel(1);
        for (number, source) in sources.into_iter().enumerate() {
            let run = parent.beside(cx.clone());
            let work = read_source(run, (pump.clone(), source), (number, sender.clone()));
            lua_state.spawn(work).into_lua()?;
        }
        let running = Arc::new(Running {
            items: tokio::sync::Mutex::new(items),
            cx,
            has_failed: AtomicBool::new(false),
        });
        *state = MergeState::Running(Arc::clone(&running));
        Ok(Some(running))
    }

    /// The next item, and the names of the sources where they have some.
    fn ask(&self) -> mlua::Result<Option<(Arc<Running>, Option<Table>)>> {
        let running = self.running()?;
        Ok(running.map(|it| (it, self.names.clone())))
    }
}

async fn next(
    lua: Lua,
    asked: mlua::Result<Option<(Arc<Running>, Option<Table>)>>,
) -> mlua::Result<Value> {
    let Some((running, names)) = asked? else {
        return Ok(Value::Nil);
    };
    let run = State::current()?.run()?;
    let received = async {
        let mut items = running.items.lock().await;
        if running.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let item = items.recv().await;
        if matches!(item, Some(Err(_))) {
            running.has_failed.store(true, Ordering::Relaxed);
            running.stop();
        }
        item
    };
    let Some(item) = run.cx.within(received).await.into_lua()? else {
        return Ok(Value::Nil);
    };
    let (number, value) = item?;
    let Some(names) = names else { return Ok(value) };
    let tagged = lua.create_table_with_capacity(0, 2)?;
    tagged.raw_set("source", names.raw_get::<Value>(number + 1)?)?;
    tagged.raw_set("value", value)?;
    Ok(Value::Table(tagged))
}

/// Gives the items of one source until it ends, fails, or nobody wants them any more.
async fn read_source(
    run: Arc<Run>,
    (pump, source): (Function, Value),
    (number, sender): (usize, mpsc::Sender<Item>),
) {
    let Ok(state) = State::current() else { return };
    // Weak: Lua may keep the function for a while, and the end is when no sender is left.
    let giving = sender.downgrade();
    let give = state.lua.create_async_function(move |_, item: Value| {
        let giving = giving.upgrade();
        async move {
            let ended = || error::to_lua(ended());
            let giving = giving.ok_or_else(ended)?;
            giving.send(Ok((number, item))).await.map_err(|_| ended())
        }
    });
    let reading = async {
        let give = give.map_err(|error| error::from_lua(&state, &run.cx, &error.into()))?;
        let args = MultiValue::from_vec(vec![source, Value::Function(give)]);
        let read = state.drive(Arc::clone(&run), pump, args).await;
        read.map_err(|failure| error::from_lua(&state, &run.cx, &failure))
    };
    if let Err(error) = stop::until_stopped(&run.cx, reading).await {
        // Nobody reads it when the stream was closed.
        let _read = sender.send(Err(error::to_lua(error))).await;
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Cancelled, "the stream was closed")
}

impl UserData for Merged {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_meta_method(MetaMethod::Call, |lua, this, _: MultiValue| {
            // The handle is not held while waiting, so that it may be closed and collected.
            let asked = this.ask();
            drop(this);
            held(next(lua, asked))
        });
        methods.add_async_method("next", |lua, this, ()| {
            let asked = this.ask();
            drop(this);
            held(next(lua, asked))
        });
        methods.add_method("close", |_, this, ()| {
            this.close();
            Ok(())
        });
        methods.add_meta_method(MetaMethod::Close, |_, this, _: MultiValue| {
            this.close();
            Ok(())
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("stream"));
    }
}
