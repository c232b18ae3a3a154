//! Procedures of Lua functions: what stands around a call, while Lua makes it.
//!
//! The function, its middleware and their arguments are any Lua values, and the function may wait;
//! so Lua goes from one to the next (`procedure.lua`), and this begins and ends the execution, holds
//! arguments against the schema, publishes events and starts handles.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use aikit_core::{
    Context, Error, ErrorKind, Value as Data,
    procedure::{HandleView, ProcedureOptions, SourceType, denied_by, emit_chunk, exhausted},
    schema::Schema,
    tracker::{self, Boundary, Execution, Operation},
    value::Map,
};
use mlua::{
    Function, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, UserDataRef, Value,
};

use super::{
    callable,
    context::{self, ContextHandle},
    convert,
    error::{self, Failure, IntoLua as _},
    handle::{self, LuaView},
    outline,
    pending::held,
    raw,
    run::Run,
    state::State,
    task::{self, CancelOnDrop, Task},
    yields,
};

/// Name of the module and of its class.
const CLASS: &str = "Procedure";
/// Where the module is kept in the registry of Lua.
const MODULE: &str = "aikit.procedure";

/// The function `name` of the module.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn member(lua: &Lua, name: &str) -> mlua::Result<Function> {
    let module = if let Some(module) = lua.named_registry_value::<Option<Table>>(MODULE)? {
        module
    } else {
        let code = lua.load(include_str!("procedure.lua"));
        let module: Table = code.set_name("=[aikit]").call(native(lua)?)?;
        lua.set_named_registry_value(MODULE, &module)?;
        module
    };
    module.raw_get(name)
}

/// What the Lua half calls.
fn native(lua: &Lua) -> mlua::Result<Table> {
    let native = lua.create_table()?;
    let set = |name: &str, function: mlua::Result<Function>| native.raw_set(name, function?);
    set("options", lua.create_function(|_, given| options(given)))?;
    set(
        "check_args",
        lua.create_function(|_, (options, args): (UserDataRef<Options>, Value)| {
            let args = convert::named(&options.0.name, convert::to_value(&args)).into_lua()?;
            options.0.check(&settled(&options.0, args)?).into_lua()
        }),
    )?;
    set(
        "begin",
        lua.create_function(|_, options: UserDataRef<Options>| {
            let begun = Begun::new(&options)?;
            State::current()?.set_run(Arc::clone(&begun.run));
            Ok(begun)
        }),
    )?;
    set(
        "begin_named",
        lua.create_function(|_, name: String| {
            let begun = Begun::new(&Options(Arc::new(ProcedureOptions::new(name))))?;
            State::current()?.set_run(Arc::clone(&begun.run));
            Ok(begun)
        }),
    )?;
    set(
        "open",
        lua.create_function(|_, options: UserDataRef<Options>| Begun::new(&options)),
    )?;
    add_execution(lua, &set)?;
    add_checks(lua, &set)?;
    set("runs", raw::runs(lua))?;
    set(
        "run_task",
        lua.create_async_function(|lua, args| held(run_task(lua, args))),
    )?;
    set("can_wait", yields::can_wait(lua))?;
    set("generates", yields::generates(lua))?;
    set(
        "start",
        lua.create_function(|_, (function, args)| handle::start(function, args)),
    )?;
    set(
        "name_of",
        lua.create_function(|_, function: Function| {
            let name = callable::variable_of(&*State::current()?, &Value::Function(function));
            Ok(name.unwrap_or_else(|| "procedure".to_owned()))
        }),
    )?;
    set(
        "deny",
        lua.create_function(|_, (guard, operation): (String, String)| {
            Err::<(), _>(error::to_lua(denied_by(&guard, &operation)))
        }),
    )?;
    set(
        "exhausted",
        lua.create_function(|_, (name, call): (String, usize)| {
            Err::<(), _>(error::to_lua(exhausted(&name, call)))
        }),
    )?;
    Ok(native)
}

/// The functions that look at what the script gave.
fn add_checks(
    lua: &Lua,
    set: &impl Fn(&str, mlua::Result<Function>) -> mlua::Result<()>,
) -> mlua::Result<()> {
    set(
        "check",
        lua.create_function(|_, (method, args): (String, MultiValue)| {
            outline::check(CLASS, &method, &args)
        }),
    )?;
    set(
        "check_create",
        lua.create_function(|_, options: MultiValue| {
            outline::check_function(CLASS, "create", &options)
        }),
    )?;
    set(
        "is_callable",
        lua.create_function(|lua, value: Value| Ok(callable::function_of(lua, &value)?.is_some())),
    )?;
    set(
        "refuse",
        lua.create_function(|_, (message, hint): (String, String)| {
            Err::<(), _>(error::to_lua(Error::invalid_args(message).with_hint(hint)))
        }),
    )
}

/// The functions that take an execution.
fn add_execution(
    lua: &Lua,
    set: &impl Fn(&str, mlua::Result<Function>) -> mlua::Result<()>,
) -> mlua::Result<()> {
    set(
        "finish",
        lua.create_function(|_, begun: UserDataRef<Begun>| begun.finish()),
    )?;
    set(
        "fail",
        lua.create_function(|_, (begun, raised): (UserDataRef<Begun>, Value)| begun.fail(raised)),
    )?;
    set(
        "abandon",
        lua.create_function(|_, begun: UserDataRef<Begun>| {
            begun.abandon();
            Ok(())
        }),
    )?;
    set(
        "check_context",
        lua.create_function(|_, begun: UserDataRef<Begun>| {
            begun.run.cx.check().into_lua()?;
            Ok(raw::run_of(&begun.run))
        }),
    )?;
    set(
        "chunk",
        lua.create_function(|_, (begun, value): (UserDataRef<Begun>, Value)| begun.chunk(&value)),
    )?;
    set(
        "context",
        lua.create_function(|_, begun: UserDataRef<Begun>| Ok(ContextHandle(begun.run.cx.clone()))),
    )?;
    set(
        "handle",
        lua.create_function(|_, begun: UserDataRef<Begun>| {
            Ok(HandleView::of(&begun.run.cx).map(LuaView::new))
        }),
    )?;
    set(
        "pid",
        lua.create_function(|_, begun: UserDataRef<Begun>| {
            Ok(begun.run.cx.node().map(|node| node.pid.to_string()))
        }),
    )?;
    set(
        "enter",
        lua.create_function(|_, begun: UserDataRef<Begun>| begun.enter()),
    )?;
    set(
        "leave",
        lua.create_function(|_, begun: UserDataRef<Begun>| begun.leave()),
    )
}

fn lock(run: &Mutex<Option<Arc<Run>>>) -> std::sync::MutexGuard<'_, Option<Arc<Run>>> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a procedure is made with.
#[derive(Debug)]
struct Options(Arc<ProcedureOptions>);

impl UserData for Options {}

/// Reads what `Procedure.create` was given.
fn options((given, is_hook): (Table, bool)) -> mlua::Result<Options> {
    let mut options = ProcedureOptions::new(given.raw_get::<String>("name")?);
    let schema: Value = given.raw_get("schema")?;
    if !schema.is_nil() {
        let schema = convert::named("Procedure.create", convert::to_value(&schema)).into_lua()?;
        options.schema = Some(Arc::new(Schema::new(schema).into_lua()?));
    }
    if let Some(seconds) = given.raw_get::<Option<f64>>("timeout")? {
        options.timeout = Some(task::duration("Procedure.create", seconds)?);
    }
    if let Some(word) = given.raw_get::<Option<String>>("boundary")? {
        options.boundary = Boundary::from_name(&word).into_lua()?;
    }
    if let Some(metadata) = given.raw_get::<Option<Table>>("metadata")? {
        let metadata = convert::to_value(&Value::Table(metadata));
        let metadata = convert::named("Procedure.create", metadata).into_lua()?;
        options.metadata = match metadata {
            Data::Map(map) => Arc::new(map),
            _ => Arc::new(Map::new()),
        };
    }
    if let Some(overrides) = given.raw_get::<Option<Table>>("context")? {
        options.context = Some(Arc::new(context::overrides(Some(&overrides))?));
    }
    if is_hook {
        options.source_type = SourceType::Hook;
    }
    Ok(Options(Arc::new(options)))
}

/// The argument as its schema reads it: an empty table is a list or a map.
fn settled(options: &ProcedureOptions, mut args: Data) -> mlua::Result<Data> {
    if let Some(schema) = &options.schema {
        schema.settle_empty(&mut args).into_lua()?;
    }
    Ok(args)
}

/// One execution that has begun.
#[derive(Debug)]
struct Begun {
    run: Arc<Run>,
    caller: Context,
    operation: Operation,
    chunks: AtomicU64,
    /// Of a stream: where its code stands, and whoever takes its chunks, while one of them runs.
    inside: Mutex<Option<Arc<Run>>>,
    outside: Mutex<Option<Arc<Run>>>,
}

impl Begun {
    fn new(options: &Options) -> mlua::Result<Self> {
        let outer = State::current()?.run()?;
        let own = options.0.context.as_deref();
        let own = own.map(|overrides| outer.cx.part(overrides.clone()));
        let caller = own.unwrap_or_else(|| outer.cx.clone());
        let operation = options.0.operation();
        let execution = Execution::begin(&caller, &operation).into_lua()?;
        Ok(Self {
            run: outer.within(execution),
            caller,
            operation,
            chunks: AtomicU64::new(0),
            inside: Mutex::default(),
            outside: Mutex::default(),
        })
    }

    /// Lets the code of a stream run, until [`Begun::leave`].
    fn enter(&self) -> mlua::Result<()> {
        let state = State::current()?;
        *lock(&self.outside) = Some(state.run()?);
        let inside = lock(&self.inside).take();
        state.set_run(inside.unwrap_or_else(|| Arc::clone(&self.run)));
        Ok(())
    }

    /// Goes on with the code of whoever takes the chunks.
    fn leave(&self) -> mlua::Result<()> {
        let state = State::current()?;
        *lock(&self.inside) = Some(state.run()?);
        if let Some(outside) = lock(&self.outside).take() {
            state.set_run(outside);
        }
        Ok(())
    }

    /// Ends the execution with a result, which fails where that came too late.
    fn finish(&self) -> mlua::Result<()> {
        let settled =
            self.close(|execution| execution.settle(&self.caller, &self.operation, Ok(())))?;
        settled.unwrap_or(Ok(())).into_lua()
    }

    /// Ends the execution with an error, once; the code goes on outside of it.
    fn end(&self, error: &Error) -> mlua::Result<()> {
        self.close(|execution| execution.end(Some(error)))?;
        Ok(())
    }

    /// Ends the execution, if it has not ended.
    fn close<T>(&self, end: impl FnOnce(Execution) -> T) -> mlua::Result<Option<T>> {
        let Some((execution, outer)) = self.run.take_execution() else {
            return Ok(None);
        };
        let ended = end(execution);
        let state = State::current()?;
        if state.run().is_ok_and(|run| Arc::ptr_eq(&run, &self.run)) {
            state.set_run(outer.still_open());
        }
        Ok(Some(ended))
    }

    /// Ends the execution as cancelled, if it has not ended.
    fn abandon(&self) {
        drop(self.run.take_execution());
    }

    /// Ends the execution with what was raised; answers what to raise in its place.
    fn fail(&self, raised: Value) -> mlua::Result<Value> {
        let error = self.read(raised.clone())?;
        let kind = error.kind();
        let error = tracker::explain(&self.run.cx, &self.caller, &self.operation, error);
        let says_more = kind == ErrorKind::Timeout && std::error::Error::source(&error).is_some();
        self.end(&error)?;
        Ok(if says_more {
            Value::Error(Box::new(error::to_lua(error)))
        } else {
            raised
        })
    }

    fn read(&self, raised: Value) -> mlua::Result<Error> {
        let state = State::current()?;
        Ok(error::from_lua(&state, &self.run.cx, &Failure::of(raised)))
    }

    /// Publishes what a generator hands out, unless the Context has ended.
    fn chunk(&self, value: &Value) -> mlua::Result<()> {
        let cx = &self.run.cx;
        cx.check().into_lua()?;
        let index = self.chunks.fetch_add(1, Ordering::Relaxed);
        if cx.is_observed() {
            // What is no data is handed out all the same; the event says what it is.
            let data = convert::to_value(value);
            emit_chunk(
                cx,
                index,
                &data.unwrap_or_else(|_| Data::from(value.type_name())),
            );
        }
        Ok(())
    }
}

impl Drop for Begun {
    /// Whoever began it is gone: a coroutine that was abandoned, a stream that was not closed.
    fn drop(&mut self) {
        self.abandon();
    }
}

impl UserData for Begun {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Close, |_, this, raised: Value| {
            if raised.is_nil() {
                // Closed before its end; one that has ended already stays as it is.
                let closed = Error::new(ErrorKind::Cancelled, "the coroutine was closed");
                return this.end(&closed);
            }
            let error = this.read(raised)?;
            this.end(&error)
        });
    }
}

/// Runs a function as a task inside of an execution, and waits for it.
async fn run_task(
    _: Lua,
    (begun, function, args): (UserDataRef<Begun>, Function, MultiValue),
) -> mlua::Result<MultiValue> {
    let task = {
        let run = begun.run.beside(begun.run.cx.clone());
        Task::start_in(&*State::current()?, &run, function, args).into_lua()?
    };
    drop(begun);
    let task = CancelOnDrop(vec![task]);
    task::within(task.0[0].clone().result()).await
}
