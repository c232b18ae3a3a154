//! Runs one cell: compiles it with the variables of earlier cells, and shows its last expression.

use std::{
    collections::HashSet,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    engine::{Cell, Output, StreamName},
    value::Map,
};
use mlua::{Function, Lua, MultiValue, chunk::ChunkMode};

use super::{
    clock, display,
    error::{self, IntoLua as _},
    inspect, raw,
    run::Run,
    sandbox,
    source::{self, KEEP, Prepared},
    state::{Kept, State},
    subject::Subject,
    text, thread,
};

/// Most variables of earlier cells that one cell can use; Lua allows 255 upvalues.
const KEPT_MAX: usize = 200;

/// Runs a cell; answers the MIME bundle of what it shows.
///
/// # Errors
///
/// The script's own, with its traceback; `interrupted` and the like when it was stopped.
pub(super) async fn execute(state: &State, run: &Arc<Run>, mut cell: Cell) -> Result<Option<Map>> {
    if let Some(call) = called(state, &cell.code) {
        cell.code = call;
    }
    if let Some((name, detail)) = question(&cell.code) {
        let (names, host) = (&state.names, &*state.host);
        let subject = Subject::of(state, name);
        let found = inspect::describe_name(names, host, &subject, detail).await;
        if found.is_none() {
            say(run, &inspect::unknown(names, &subject));
        }
        return Ok(found);
    }
    sandbox::make_room(&state.lua).map_err(error::from_setup)?;
    clock::seed(state, &run.cx).map_err(error::from_setup)?;
    state.keep_source(&cell.name, &cell.code);
    let prepared = source::prepare(&cell.code);
    let function = compile(state, &cell, &prepared)?;
    let outcome = state
        .drive(Arc::clone(run), function, MultiValue::new())
        .await;
    let values = outcome.map_err(|failure| error::from_lua(state, &run.cx, &failure))?;
    let is_handle = prepared.ends_with_call && values.iter().all(display::is_handle);
    if !prepared.shows || is_handle || values.iter().all(mlua::Value::is_nil) {
        return Ok(None);
    }
    show(state, run, values).await.map(Some)
}

/// Prints a line of our own.
fn say(run: &Run, text: &str) {
    run.sink.emit(Output::Stream {
        name: StreamName::Stdout,
        text: format!("{text}\n"),
    });
}

/// The MIME bundle of what a cell shows. Its look is found as the cell runs, because the script's
/// own `__mime` and `__tostring` must be stopped like the rest of it.
async fn show(state: &State, run: &Arc<Run>, values: MultiValue) -> Result<Map> {
    let found = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&found);
    let find = state.lua.create_function(move |_, values: MultiValue| {
        let look = display::look(&values).into_lua()?;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        Ok(())
    });
    let find = find.map_err(error::from_setup)?;
    let outcome = state.drive(Arc::clone(run), find, values).await;
    // The error of a function that was stopped may have been replaced by a text.
    if run.is_asked() {
        return Err(thread::stopped(&run.cx));
    }
    outcome.map_err(|failure| error::from_lua(state, &run.cx, &failure))?;
    let look = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    match look {
        Some(look) => look.drawn(&run.cx).await,
        None => Err(Error::internal("the look of a value was not found")),
    }
}

/// Functions that are called by their name alone, as people write it at a prompt.
pub(super) const WORDS: [&str; 3] = ["exit", "help", "quit"];

/// The call that a cell of one word means, unless the script has given the word a meaning.
fn called(state: &State, code: &str) -> Option<String> {
    let word = WORDS.into_iter().find(|it| *it == code.trim())?;
    let own = state.words.borrow().get(word).cloned()?;
    let value: mlua::Value = state.lua.globals().raw_get(word).ok()?;
    let is_own = value == mlua::Value::Function(own) && !state.kept.borrow().contains_key(word);
    is_own.then(|| format!("{word}()"))
}

/// The name before one or two question marks at the end of a cell, and how much is asked.
fn question(code: &str) -> Option<(&str, u8)> {
    let code = code.trim();
    let name = code.trim_end_matches('?');
    let marks = code.len() - name.len();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
    let asked = (1..=2).contains(&marks) && !name.is_empty() && name.chars().all(is_name);
    asked.then_some((name, u8::from(marks == 2)))
}

fn compile(state: &State, cell: &Cell, prepared: &Prepared) -> Result<Function> {
    // What was written is compiled first: only its errors mean something to the reader, and only
    // what is whole by itself may be put inside a function.
    if let Err(error) = load(&state.lua, &prepared.plain, &cell.name) {
        let written = source::without_shebang(&cell.code);
        let written = load(&state.lua, written, &cell.name);
        return Err(error::syntax(
            state,
            written.as_ref().err().unwrap_or(&error),
        ));
    }
    let kept = used(state, &prepared.names)?;
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    let locals = if names.is_empty() {
        String::new()
    } else {
        format!("local {};", names.join(","))
    };
    // One line, so that the lines of the cell keep their numbers. The variable to be closed keeps
    // Lua from turning the last call into a tail call, whose frame would be missing in tracebacks.
    let wrapped = format!(
        "local {KEEP}=...;{locals}return function(...) local __aikit_scope<close> =nil;{}\nend",
        prepared.source
    );
    let make = load(&state.lua, &wrapped, &cell.name);
    let make = make.map_err(|error| error::syntax(state, &error))?;
    let keep = keeper(&state.lua).map_err(error::from_setup)?;
    let function: Function = make.call(keep).map_err(error::from_setup)?;
    for (name, kept) in &kept {
        raw::join_upvalue(&state.lua, &function, &kept.keeper, name).map_err(error::from_setup)?;
    }
    Ok(function)
}

/// Compiles `code`, which must be text.
///
/// # Errors
///
/// A syntax error.
pub(super) fn load(lua: &Lua, code: &str, name: &str) -> mlua::Result<Function> {
    // The at sign says that the name is one of a file, which Lua then shows as it is.
    lua.load(code)
        .set_name(format!("@{name}"))
        .set_mode(ChunkMode::Text)
        .into_function()
}

fn used(state: &State, names: &HashSet<String>) -> Result<Vec<(String, Kept)>> {
    let all = state.kept.borrow();
    let used = all.iter().filter(|(name, _)| names.contains(*name));
    let mut used: Vec<(String, Kept)> = used
        .map(|(name, kept)| (name.clone(), kept.clone()))
        .collect();
    if used.len() > KEPT_MAX {
        let message = format!(
            "the cell uses {} local variables of earlier cells, but {KEPT_MAX} are possible",
            used.len()
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("put some of them into a table, or make them global"));
    }
    used.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(used)
}

/// The function that a cell calls after each local declaration of its outermost block, with the
/// names and a function that has captured the variables.
fn keeper(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, (names, capture): (String, Function)| {
        let state = State::current()?;
        let names: Vec<&str> = names.split(',').collect();
        let mut values: Option<MultiValue> = None;
        for (position, name) in names.into_iter().enumerate() {
            let shares = raw::join_upvalue(lua, &capture, &capture, name)?;
            let kept = if shares {
                Kept {
                    keeper: capture.clone(),
                    position,
                }
            } else {
                // A constant that the compiler put in place of the variable.
                let values = match &values {
                    Some(values) => values,
                    None => values.insert(capture.call(())?),
                };
                let value = values.iter().nth(position).cloned();
                constant(&state, name, value.unwrap_or(mlua::Value::Nil))?
            };
            state.kept.borrow_mut().insert(name.to_owned(), kept);
        }
        Ok(())
    })
}

fn constant(state: &Rc<State>, name: &str, value: mlua::Value) -> mlua::Result<Kept> {
    let code = format!("local {name}=... return function() return {name} end");
    let make = state.lua.load(code).set_name("=[aikit]");
    Ok(Kept {
        keeper: make.call(value)?,
        position: 0,
    })
}

/// Adds what scripts call to look at a name, `help(x)`, or at all there is, `help()`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn help(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, subject: mlua::Value| async move {
        let (names, host, run, about) = {
            let state = State::current()?;
            let about = Subject::about(&state, &subject)?;
            (
                Arc::clone(&state.names),
                Arc::clone(&state.host),
                state.run()?,
                about,
            )
        };
        let text = match &about {
            _ if subject.is_nil() => inspect::overview(),
            Some(about) => {
                let found = inspect::describe_name(&names, &*host, about, 0).await;
                let text = found.as_ref().and_then(|bundle| bundle.get("text/plain"));
                text.and_then(Value::as_str)
                    .map_or_else(|| inspect::unknown(&names, about), str::to_owned)
            }
            // A value without a name says what it is.
            None => text::of(&subject),
        };
        say(&run, &text);
        Ok(())
    })
}
