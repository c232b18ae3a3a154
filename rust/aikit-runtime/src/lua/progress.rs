//! Bars that show how far a loop or a job is.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use aikit_core::{
    Error,
    engine::{Output, OutputSink},
    meter::{self, Meter},
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
struct Bar(Arc<Mutex<Meter>>);

/// The bars that have moved on from what is shown of them.
#[derive(Debug, Default)]
pub(super) struct Behind {
    bars: RefCell<Vec<Weak<Mutex<Meter>>>>,
    /// Whether they will be shown without a further call.
    is_timed: Cell<bool>,
}

impl Bar {
    fn meter(&self) -> MutexGuard<'_, Meter> {
        // Only the Lua thread takes it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many steps are done. If that is not shown at once, it is when the script waits, and
    /// at the latest when its cell ends.
    fn update(&self, done: u64) -> mlua::Result<()> {
        let (was_behind, is_behind) = {
            let mut meter = self.meter();
            let was_behind = meter.is_behind();
            meter.update(done);
            (was_behind, meter.is_behind())
        };
        if is_behind && !was_behind {
            let state = State::current()?;
            state.behind.bars.borrow_mut().push(Arc::downgrade(&self.0));
            if !state.behind.is_timed.get() {
                // Not a pause of the script: a timer beside it.
                let timer = state.run()?.cx.clock().sleep(meter::SHOW_EVERY);
                state.behind.is_timed.set(true);
                let shown = state.spawn(async move {
                    timer.await;
                    if let Ok(state) = State::current() {
                        state.behind.is_timed.set(false);
                        catch_up(&state);
                    }
                });
                shown.map_err(error::to_lua)?;
            }
        }
        Ok(())
    }
}

/// Shows the bars that are behind as they are now.
pub(super) fn catch_up(state: &State) {
    for bar in state.behind.bars.take() {
        if let Some(meter) = bar.upgrade() {
            Bar(meter).meter().catch_up();
        }
    }
}

impl UserData for Bar {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(this.meter().state().line())
        });
        methods.add_meta_method(MetaMethod::Close, |_, this, _: Value| {
            this.meter().close();
            Ok(())
        });
        methods.add_method("update", |_, this, done: Value| {
            this.update(steps("update", "done", &done)?)
        });
        methods.add_method("advance", |_, this, given: Value| {
            let given = match &given {
                Value::Nil => 1,
                other => steps("advance", "steps", other)?,
            };
            let done = this.meter().state().done;
            this.update(done.saturating_add(given))
        });
        methods.add_method("close", |_, this, ()| {
            this.meter().close();
            Ok(())
        });
    }
}

/// A whole number from 0; a float without a fraction is one, as for Lua's own functions.
fn whole(given: &Value) -> Option<u64> {
    let number = match given {
        Value::Number(_) => {
            let state = State::current().ok()?;
            state.lua.coerce_integer(given.clone()).ok()?
        }
        other => other.as_integer(),
    };
    u64::try_from(number?).ok()
}

/// A number of steps, from 0.
fn steps(method: &str, argument: &str, given: &Value) -> mlua::Result<u64> {
    whole(given).ok_or_else(|| {
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
                Some(whole(given).ok_or_else(|| wrong("total", "a whole number from 0", given))?)
            }
        };
        let run = State::current()?.run()?;
        let meter = Meter::start(&run.cx, label, total, Duration::ZERO);
        lua.create_userdata(Bar(Arc::new(Mutex::new(meter))))
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
    let unknown = lua.create_function(|_, name: Value| {
        let name = text::plain(&name)?;
        let message = format!("`progress`: there is no option `{name}`");
        let hint = "give `total` and `label` alone: `progress{total = 10, label = 'Files'}`";
        Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
    })?;
    lua.load(LOOPS)
        .set_name("=[aikit]")
        .call((start, refuse, unknown))
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
local start, refuse, unknown = ...
local type, next, rawget, rawlen, tointeger = type, next, rawget, rawlen, math.tointeger
local function is_options(work)
  if rawlen(work) > 0 or (rawget(work, "label") == nil and rawget(work, "total") == nil) then
    return false
  end
  for name in next, work do
    if name ~= "label" and name ~= "total" then unknown(name) end
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
