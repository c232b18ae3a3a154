//! Contexts as Lua values: what flows with a call.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Value as Data, context::Overrides, event::EventKind,
    graph::ProcedureNode, metrics::UsageSums, value::Map,
};
use mlua::{
    Function, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields, UserDataMethods, Value,
};

use super::{
    callable, convert,
    error::{self, IntoLua as _},
    graph::{GraphHandle, NodeHandle},
    outline::read,
    pending::held,
    state::State,
    task::{self, CancelOnDrop, Task},
};
use crate::api::{self, with_article};

/// A Context that a script holds.
#[derive(Clone, Debug)]
pub(super) struct ContextHandle(pub(super) Context);

/// Reads a table of options; a script can narrow who it acts for, never set it.
///
/// # Errors
///
/// `invalid_args` for an identity, a time limit or metadata that are none, or are the host's.
pub(super) fn overrides(options: Option<&Table>) -> mlua::Result<Overrides> {
    let Some(options) = options else {
        return Ok(Overrides::default());
    };
    let metadata = match options.raw_get::<Value>("metadata")? {
        Value::Nil => Map::new(),
        given => match convert::to_value(&given).into_lua()? {
            Data::Map(map) => map,
            // An empty table.
            Data::List(list) if list.is_empty() => Map::new(),
            other => {
                let message = format!("`metadata` is {}", with_article(other.type_name()));
                let hint = "give a table with text keys";
                return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
            }
        },
    };
    let timeout: Option<f64> = options.raw_get("timeout")?;
    let mut overrides = Overrides {
        request_id: options.raw_get("request_id")?,
        trace_id: options.raw_get("trace_id")?,
        roles: options.raw_get("roles")?,
        tick: options.raw_get("tick")?,
        timeout: timeout
            .map(|seconds| task::duration("timeout", seconds))
            .transpose()?,
        metadata,
        ..Overrides::default()
    };
    overrides.validate().into_lua()?;
    overrides.refuse_host_metadata().into_lua()?;
    if let Some(header) = options.raw_get::<Option<String>>("traceparent")? {
        overrides.continue_trace(&header).into_lua()?;
    }
    Ok(overrides)
}

fn current() -> mlua::Result<Context> {
    Ok(State::current()?.run()?.cx.clone())
}

/// Runs `function` in `cx` as a task, whose end is that of the Context, and waits for it.
async fn run_in(cx: Context, function: Value, args: MultiValue) -> mlua::Result<MultiValue> {
    let task = {
        let state = State::current()?;
        let function = callable::function_of(&state.lua, &function)?.ok_or_else(|| {
            let message = format!(
                "a function was expected, but it is {}",
                with_article(function.type_name())
            );
            let hint = "give the function to run, not its result";
            error::to_lua(Error::invalid_args(message).with_hint(hint))
        })?;
        let run = state.run()?.beside(cx);
        Task::start_in(&state, &run, function, args).into_lua()?
    };
    let task = CancelOnDrop(vec![task]);
    task::within(task.0[0].clone().result()).await
}

/// `Context.create`: a request of its own, in a graph of its own, for the same user.
pub(super) fn create(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, options: Option<Table>| {
        let overrides = overrides(options.as_ref())?;
        let around = current()?;
        let around = around.checked_parent().into_lua()?;
        Ok(ContextHandle(around.request_child(overrides)))
    })
}

/// `Context.get` and `Context.try_get`: in a cell there always is one.
pub(super) fn get(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, ()| Ok(ContextHandle(current()?)))
}

fn child_of(parent: &Context, overrides: Overrides) -> mlua::Result<Context> {
    Ok(parent.checked_parent().into_lua()?.child(overrides))
}

/// `Context.child`.
pub(super) fn child(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, options: Option<Table>| {
        let overrides = overrides(options.as_ref())?;
        Ok(ContextHandle(child_of(&current()?, overrides)?))
    })
}

/// `Context.run`.
pub(super) fn run(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, (cx, function, args): (Value, Value, MultiValue)| {
        held(async move { run_in(context_of("Context.run", &cx)?, function, args).await })
    })
}

/// `Context.fork`.
pub(super) fn fork(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(
        |_, (options, function, args): (Option<Table>, Value, MultiValue)| {
            held(async move {
                let cx = child_of(&current()?, overrides(options.as_ref())?)?;
                run_in(cx, function, args).await
            })
        },
    )
}

/// `Context.is_context`.
pub(super) fn is_context(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, value: Value| Ok(context_of("", &value).is_ok()))
}

/// `Context.emit`.
pub(super) fn emit(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, (kind, data, source): (String, Value, Option<String>)| {
        publish("Context.emit", &current()?, (&kind, &data), source)
    })
}

fn publish(
    function: &str,
    cx: &Context,
    (kind, data): (&str, &Value),
    source: Option<String>,
) -> mlua::Result<()> {
    let data = convert::argument(function, "data", data).into_lua()?;
    let kind = EventKind::custom(kind).into_lua()?;
    let _sequence = match source {
        Some(source) => cx.emit_from(kind, data, Some(source)),
        None => cx.publish(kind, data),
    };
    Ok(())
}

fn context_of(function: &str, value: &Value) -> mlua::Result<Context> {
    let handle = value.as_userdata();
    let handle = handle.and_then(|it| it.borrow::<ContextHandle>().ok());
    handle.map(|it| it.0.clone()).ok_or_else(|| {
        let found = with_article(value.type_name());
        let message = format!("`{function}`: a Context was expected, but it is {found}");
        let hint = "make one with `Context.create{…}` or `Context.child{…}`";
        error::to_lua(Error::invalid_args(message).with_hint(hint))
    })
}

fn graph_of(cx: &Context) -> GraphHandle {
    GraphHandle(Arc::clone(cx.graph()))
}

fn node_of(cx: &Context, node: Option<&Arc<ProcedureNode>>) -> Option<NodeHandle> {
    node.map(|node| graph_of(cx).node(Arc::clone(node)))
}

fn usage_of(given: &Table) -> mlua::Result<UsageSums> {
    let number =
        |name: &str| Ok::<_, mlua::Error>(given.raw_get::<Option<f64>>(name)?.unwrap_or(0.0));
    Ok(UsageSums {
        input_tokens: number("input_tokens")?,
        output_tokens: number("output_tokens")?,
        requests: number("requests")?,
        cost_usd: number("cost_usd")?,
        ..UsageSums::default()
    })
}

/// What is asked of the current Context by the module and of any by its handle, so that both are
/// written once: name and what it answers.
macro_rules! answers {
    ($($name:ident => |$lua:ident, $cx:ident, $args:pat_param in $kind:ty| $body:expr;)+) => {
        $(
            /// The function of the module, for the current Context.
            pub(super) fn $name(lua: &Lua) -> mlua::Result<Function> {
                lua.create_function(|$lua, $args: $kind| {
                    let $cx = &current()?;
                    $body
                })
            }
        )+

        fn add_answers<M: UserDataMethods<ContextHandle>>(methods: &mut M) {
            $(methods.add_method(stringify!($name), |lua, this, given: MultiValue| {
                let $args: $kind = read("Context", stringify!($name), lua, given)?;
                let ($lua, $cx) = (lua, &this.0);
                $body
            });)+
        }
    };
}

answers! {
    add_metric => |_lua, cx, (name, amount) in (String, f64)| {
        cx.metrics().count(&name, amount).into_lua()
    };
    set_metric => |_lua, cx, (name, value) in (String, f64)| {
        cx.metrics().set(&name, value).into_lua()
    };
    get_metric => |_lua, cx, name in String| Ok(cx.metrics().get(&name));
    metrics => |lua, cx, () in ()| convert::to_lua(lua, &cx.metrics().to_nested());
    add_usage => |_lua, cx, given in Table| {
        cx.metrics().count_usage(&usage_of(&given)?).into_lua()
    };
    usage => |lua, cx, () in ()| convert::to_lua(lua, &cx.metrics().usage().to_value());
    is_standalone => |_lua, cx, () in ()| Ok(cx.is_standalone());
    is_within => |_lua, cx, name in String| Ok(cx.is_within(&name));
    has_ancestor_named => |_lua, cx, name in String| Ok(cx.has_ancestor_named(&name));
    origin_name => |_lua, cx, () in ()| Ok(cx.origin_name().map(str::to_owned));
    execution_info => |lua, cx, () in ()| {
        let info = cx.execution_info();
        info.map_or(Ok(Value::Nil), |info| {
            convert::to_lua(lua, &api::without_nulls(info.to_value()))
        })
    };
    node => |_lua, cx, () in ()| Ok(node_of(cx, cx.node()));
    origin => |_lua, cx, () in ()| Ok(node_of(cx, cx.origin()));
    graph => |_lua, cx, () in ()| Ok(graph_of(cx));
    root => |_lua, cx, () in ()| Ok(graph_of(cx).root());
    nodes => |_lua, cx, () in ()| Ok(graph_of(cx).all());
    recent => |_lua, cx, () in ()| {
        let graphs = cx.recent().all().into_iter();
        Ok(graphs.filter_map(|graph| GraphHandle(graph).root()).collect::<Vec<_>>())
    };
    find_node => |_lua, cx, pid in String| Ok(graph_of(cx).get(&pid));
    count => |_lua, cx, () in ()| Ok(cx.graph().count());
    clear => |_lua, cx, () in ()| {
        cx.graph().clear();
        Ok(())
    };
    check => |_lua, cx, () in ()| cx.check().into_lua();
}

impl UserData for ContextHandle {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("request_id", |_, this| Ok(this.0.request_id().to_owned()));
        fields.add_field_method_get("trace_id", |_, this| Ok(this.0.trace_id().to_owned()));
        fields.add_field_method_get("execution_id", |_, this| Ok(this.0.execution_id()));
        fields.add_field_method_get("tick", |_, this| Ok(this.0.tick()));
        fields.add_field_method_get("is_cancelled", |_, this| Ok(this.0.is_cancelled()));
        fields.add_field_method_get("remaining", |_, this| {
            Ok(this.0.remaining().map(|it| it.as_secs_f64()))
        });
        fields.add_field_method_get("caller", |_, this| Ok(this.0.caller().name()));
        fields.add_field_method_get("user", |lua, this| {
            let principal = this.0.principal();
            let user = lua.create_table()?;
            user.raw_set("id", principal.id.as_str())?;
            user.raw_set("tenant_id", principal.tenant_id.clone())?;
            user.raw_set("roles", principal.roles.clone())?;
            Ok(user)
        });
        fields.add_field_method_get("metadata", |lua, this| {
            convert::map_to_lua(lua, this.0.metadata())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        add_answers(methods);
        methods.add_method("child", |lua, this, given: MultiValue| {
            let options: Option<Table> = read("Context", "child", lua, given)?;
            child_of(&this.0, overrides(options.as_ref())?).map(Self)
        });
        methods.add_async_method("run", |lua, this, given: MultiValue| {
            let cx = this.0.clone();
            drop(this);
            let given = read("Context", "run", &lua, given);
            held(async move {
                let (function, args) = given?;
                run_in(cx, function, args).await
            })
        });
        methods.add_async_method("fork", |lua, this, given: MultiValue| {
            let cx = this.0.clone();
            drop(this);
            let given = read("Context", "fork", &lua, given);
            held(async move {
                let (options, function, args): (Option<Table>, Value, MultiValue) = given?;
                let cx = child_of(&cx, overrides(options.as_ref())?)?;
                run_in(cx, function, args).await
            })
        });
        methods.add_method("cancel", |lua, this, given: MultiValue| {
            let reason: Option<String> = read("Context", "cancel", lua, given)?;
            let reason = reason.unwrap_or_else(|| "cancelled by the script".to_owned());
            this.0.cancel(ErrorKind::Cancelled, reason);
            Ok(())
        });
        methods.add_method("emit", |lua, this, given: MultiValue| {
            let (kind, data, source): (String, Value, _) = read("Context", "emit", lua, given)?;
            publish("Context:emit", &this.0, (&kind, &data), source)
        });
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::UserDataRef<Self>| {
            Ok(this.0.is_same(&other.0))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            let within = this
                .0
                .node()
                .map(|node| format!(", within `{}`", node.name));
            let request = this.0.request_id();
            Ok(format!(
                "Context (request {request}{})",
                within.unwrap_or_default()
            ))
        });
    }
}
