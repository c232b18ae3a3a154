//! Bars that show how far a loop or a job is.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Error,
    engine::{Output, OutputSink},
    meter::Meter,
    progress::{Progress, ProgressSink},
};
use mlua::{Function, Lua, MetaMethod, UserData, UserDataMethods, Value};

use super::{error, state::State, text};

/// Longest label, in bytes.
const LABEL_BYTES_MAX: usize = 200;

/// Shows progress in the output of a cell.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<dyn OutputSink>);

impl ProgressSink for Shown {
    fn show(&self, progress: &Progress) {
        self.0.emit(Output::Progress(progress.clone()));
    }
}

/// A bar of a cell; it stays with the output of that cell.
#[derive(Debug)]
struct Bar(Meter);

impl UserData for Bar {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0.line()));
        methods.add_meta_method(MetaMethod::Close, |_, this, _: Value| {
            this.0.close();
            Ok(())
        });
        methods.add_method("update", |_, this, done: Value| {
            this.0.update(steps("update", "done", &done)?);
            Ok(())
        });
        methods.add_method("advance", |_, this, given: Value| {
            let given = match &given {
                Value::Nil => 1,
                other => steps("advance", "steps", other)?,
            };
            this.0.update(this.0.done().saturating_add(given));
            Ok(())
        });
        methods.add_method("close", |_, this, ()| {
            this.0.close();
            Ok(())
        });
    }
}

/// A number of steps, from 0.
fn steps(method: &str, argument: &str, given: &Value) -> mlua::Result<u64> {
    let count = given.as_integer().and_then(|it| u64::try_from(it).ok());
    count.ok_or_else(|| {
        let shown = text::of(given);
        let message =
            format!("`bar:{method}`: `{argument}` must be a whole number from 0, not `{shown}`");
        error::to_lua(Error::invalid_args(message).with_hint(format!("write `bar:{method}(1)`")))
    })
}

/// `progress(work, options)`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn function(lua: &Lua) -> mlua::Result<Function> {
    let start = lua.create_function(|lua, (label, total): (Value, Value)| {
        let label = match &label {
            Value::Nil => String::new(),
            Value::String(text) => text::beginning(text, LABEL_BYTES_MAX),
            other => return Err(wrong("label", "a string", other)),
        };
        let total = match &total {
            Value::Nil => None,
            given => {
                let count = given.as_integer().and_then(|it| u64::try_from(it).ok());
                Some(count.ok_or_else(|| wrong("total", "a whole number from 0", given))?)
            }
        };
        let run = State::current()?.run()?;
        let meter = Meter::start(&run.cx, label, total, Duration::ZERO);
        run.cell.meters.add(&meter);
        lua.create_userdata(Bar(meter))
    })?;
    let refuse = lua.create_function(|_, given: Value| {
        let message = format!(
            "`progress`: there is nothing to go through in `{}`",
            text::of(&given)
        );
        let hint = "give a list, a number of steps, an iterator function, or a table with `total` \
                    and `label`";
        Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
    })?;
    lua.load(LOOPS).set_name("=[aikit]").call((start, refuse))
}

fn wrong(option: &str, expected: &str, given: &Value) -> mlua::Error {
    let shown = text::of(given);
    let message = format!("`progress`: `{option}` must be {expected}, not `{shown}`");
    let hint = "write `progress({'a', 'b'}, {label = 'Files'})` or `progress{total = 10}`";
    error::to_lua(Error::invalid_args(message).with_hint(hint))
}

/// In Lua, so that an iterator of the script may wait. The bar is the closing value of the loop:
/// it ends however the loop does.
const LOOPS: &str = r#"
local start, refuse = ...
local type, next, rawlen, tointeger = type, next, rawlen, math.tointeger
local function is_options(work)
  if next(work) == nil then return false end
  for name in next, work do
    if name ~= "label" and name ~= "total" then return false end
  end
  return true
end
local function steps(bar, count)
  return function(_, at)
    bar:update(at)
    if at < count then return at + 1 end
  end, nil, 0, bar
end
local function items(bar, list)
  return function(_, at)
    bar:update(at)
    at = at + 1
    local item = list[at]
    if item ~= nil then return at, item end
  end, nil, 0, bar
end
local function values(bar, iterator)
  local count = -1
  return function()
    count = count + 1
    bar:update(count)
    return iterator()
  end, nil, nil, bar
end
return function(work, options)
  local label, total
  if options ~= nil then label, total = options.label, options.total end
  local kind = type(work)
  if kind == "number" then
    local count = tointeger(work)
    if count == nil or count < 0 then refuse(work) end
    return steps(start(label, total or count), count)
  elseif kind == "table" then
    if is_options(work) then return (start(work.label or label, work.total or total)) end
    if rawlen(work) == 0 and next(work) ~= nil then refuse(work) end
    return items(start(label, total or #work), work)
  elseif kind == "function" or kind == "userdata" then
    return values(start(label, total), work)
  end
  refuse(work)
end
"#;
