//! Lua functions that were handed over the border.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value, broadcast::FunctionGone, context::Overrides,
    engine::CellSink, script::Callable,
};
use futures::future::BoxFuture;
use mlua::Function;
use tokio::sync::oneshot;

use super::{
    run::Run,
    state::State,
    thread::{Job, Jobs},
};

/// A Lua function as others see it: a number, and the way to the Lua thread.
#[derive(Debug)]
struct LuaCallable {
    function: u64,
    name: String,
    jobs: Jobs,
    run: Arc<Run>,
}

/// Makes a Lua function callable from any thread.
///
/// # Errors
///
/// `internal` outside of a run.
pub(super) fn hand_over(state: &State, function: &Function) -> Result<Arc<dyn Callable>> {
    let run = state.run().map_err(|error| {
        Error::internal("a function left Lua outside of a run").with_source(error)
    })?;
    let id = state.next_id();
    state.functions.borrow_mut().insert(id, function.clone());
    Ok(Arc::new(LuaCallable {
        function: id,
        name: variable_of(state, &mlua::Value::Function(function.clone()))
            .unwrap_or_else(|| "anonymous".to_owned()),
        jobs: state.jobs.clone(),
        run,
    }))
}

/// Whether a table can be called like a function.
pub(super) fn is_callable(table: &mlua::Table) -> bool {
    let metatable = table.metatable();
    metatable.is_some_and(|it| it.raw_get::<Function>("__call").is_ok())
}

/// A function, or what can be called like one: a procedure, a table with `__call`.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn function_of(lua: &mlua::Lua, value: &mlua::Value) -> mlua::Result<Option<Function>> {
    let is_callable = match value {
        mlua::Value::Function(function) => return Ok(Some(function.clone())),
        mlua::Value::Table(table) => is_callable(table),
        _ => false,
    };
    if !is_callable {
        return Ok(None);
    }
    let wrap = lua.load("local callable = ... return function(...) return callable(...) end");
    wrap.set_name("=[aikit]").call(value.clone()).map(Some)
}

/// The name of the variable a value is in. Lua functions have no names of their own.
pub(super) fn variable_of(state: &State, value: &mlua::Value) -> Option<String> {
    let is_it = |other: &mlua::Value| other == value;
    let kept: Vec<String> = state.kept.borrow().keys().cloned().collect();
    let local = kept.into_iter().find(|name| is_it(&state.kept_value(name)));
    local.or_else(|| {
        let globals = state.lua.globals();
        let mut pairs = globals.pairs::<String, mlua::Value>().flatten();
        pairs.find(|(_, value)| is_it(value)).map(|(name, _)| name)
    })
}

impl Drop for LuaCallable {
    fn drop(&mut self) {
        let function = self.function;
        // A thread that has ended has forgotten everything.
        drop(self.jobs.send(Job::Forget { function }));
    }
}

impl Callable for LuaCallable {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let (reply, answer) = oneshot::channel();
        let mut cancel = CancelOnDrop {
            cx: cx.part(Overrides::default()),
            is_answered: false,
        };
        // A hook of a cell prints where that cell does, before it runs and after it has.
        let sink = cx.host::<CellSink>();
        let sink = sink.map_or_else(|| Arc::clone(&self.run.sink), |it| Arc::clone(&it.0));
        let run = Arc::new(Run {
            cx: cancel.cx.clone(),
            sink,
            cell: Arc::clone(&self.run.cell),
            failed_tasks: Arc::clone(&self.run.failed_tasks),
            fate: None,
            frame: None,
        });
        let asked = self.jobs.send(Job::Call {
            function: self.function,
            run,
            args,
            reply,
        });
        Box::pin(async move {
            asked.map_err(|_| ended())?;
            let answer = cancel.cx.within(answer).await?;
            cancel.disarm();
            answer.map_err(|_| ended())?
        })
    }
}

/// Cancels a call whose caller stops waiting. After the answer the tasks that it started go on.
struct CancelOnDrop {
    cx: Context,
    is_answered: bool,
}

impl CancelOnDrop {
    const fn disarm(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.is_answered {
            let reason = "the caller stopped waiting";
            self.cx.cancel(ErrorKind::Cancelled, reason);
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, "the script's engine has ended")
        .with_hint("define the function again in the new session")
        .with_source(FunctionGone)
}
