//! Binds the API table to the Lua state; names no module.

use std::sync::Arc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::{
    cell, clock, convert, display,
    error::{self, IntoLua as _},
    library::Originals,
    natives,
    object::{self, ObjectHandle, StreamHandle},
    outline,
    pending::held,
    raw,
    state::State,
};
use crate::api::{
    ApiFunction, ApiModule, Call, Created, Displayed, Host, MODULES, Param, Return, Target,
};

/// Most members of modules that are remembered; any name can be asked for.
const MEMBERS_MAX: usize = 1_000;

/// Sets one global for each module, and prepares the methods of each class.
///
/// # Errors
///
/// Only when Lua is out of memory, or a row that the engine must implement is not implemented.
pub(super) fn bind(state: &State) -> mlua::Result<()> {
    let lua = &state.lua;
    let globals = lua.globals();
    natives::install(lua)?;
    clock::install(lua)?;
    state.originals.replace(Originals::of(lua)?);
    for module in MODULES {
        let table = if module.name.is_empty() {
            globals.clone()
        } else {
            lua.create_table()?
        };
        for function in module.functions {
            let made = module_function(lua, module, function)?;
            if module.name.is_empty() && cell::WORDS.contains(&function.name) {
                state.words.borrow_mut().insert(function.name, made.clone());
            }
            table.raw_set(function.name, made)?;
        }
        if module.has_null {
            table.raw_set("null", Value::NULL)?;
        }
        for class in module.classes {
            let methods = lua.create_table()?;
            let calls = |method: &&ApiFunction| matches!(method.call, Call::Host(_));
            for method in class.methods.iter().filter(calls) {
                let bound = bind_method(lua, module, class.name, method)?;
                methods.raw_set(method.name, bound)?;
            }
            state.classes.borrow_mut().insert(class.name, methods);
        }
        if let Some(metatable) = module_metatable(lua, module)? {
            table.set_metatable(Some(metatable))?;
        }
        if !module.name.is_empty() {
            globals.raw_set(module.name, table)?;
        }
    }
    Ok(())
}

fn module_function(
    lua: &Lua,
    module: &'static ApiModule,
    function: &'static ApiFunction,
) -> mlua::Result<Function> {
    match function.call {
        Call::Engine => {
            let label = qualify(module.name, '.', function.name);
            bind_own(lua, module, (label, function))
        }
        Call::Host(_) => {
            let callee = Callee {
                label: qualify(module.name, '.', function.name),
                params: function.params,
                is_counted: module.counted.contains(&function.name),
            };
            bind_call(lua, callee, Vec::new, |args| {
                let target = Target::Function {
                    module: module.name.to_owned(),
                    function: function.name.to_owned(),
                };
                Ok((target, args))
            })
        }
    }
}

/// A function that the engine implements itself, with the check of its arguments before it.
fn bind_own(
    lua: &Lua,
    module: &'static ApiModule,
    (label, function): (Arc<str>, &'static ApiFunction),
) -> mlua::Result<Function> {
    let check = lua.create_function(move |_, args: MultiValue| {
        let args = outline::args(function.params, args.iter());
        function.check(&label, args).into_lua()
    })?;
    let own = natives::implementation(lua, module.name, function.name)?;
    raw::checked(lua, check, own)
}

fn qualify(owner: &str, separator: char, name: &str) -> Arc<str> {
    if owner.is_empty() {
        Arc::from(name)
    } else {
        Arc::from(format!("{owner}{separator}{name}"))
    }
}

fn bind_method(
    lua: &Lua,
    module: &'static ApiModule,
    class: &'static str,
    method: &'static ApiFunction,
) -> mlua::Result<Function> {
    let callee = Callee {
        label: qualify(class, ':', method.name),
        params: method.params,
        is_counted: module.counted.contains(&method.name),
    };
    bind_call(lua, callee, Vec::new, move |mut args| {
        let this = args.pop_front().and_then(|this| {
            let handle = this.as_userdata()?.borrow::<ObjectHandle>().ok()?;
            (handle.class.name == class).then_some(handle.id)
        });
        let object = this.ok_or_else(|| {
            let message = format!("`{}` was not called on a `{class}`", method.name);
            let hint = format!("write `object:{}(…)`, with a colon", method.name);
            error::to_lua(aikit_core::Error::invalid_args(message).with_hint(hint))
        })?;
        let target = Target::Method {
            object: object.0,
            method: method.name.to_owned(),
        };
        Ok((target, args))
    })
}

/// What calling a module and asking it for members that are no rows mean.
fn module_metatable(lua: &Lua, module: &'static ApiModule) -> mlua::Result<Option<Table>> {
    if module.callee().is_none() && module.members.is_none() {
        return Ok(None);
    }
    let metatable = lua.create_table()?;
    if let Some(callee) = module.callee() {
        let call = match callee.call {
            Call::Engine => {
                let call = bind_own(lua, module, (Arc::from(module.name), callee))?;
                let skip_module =
                    lua.load("local f = ... return function(_, ...) return f(...) end");
                skip_module.set_name("=[aikit]").call(call)?
            }
            Call::Host(_) => {
                let callee = Callee {
                    is_counted: module.counted.contains(&callee.name),
                    ..Callee::new(module.name)
                };
                bind_call(lua, callee, Vec::new, |mut args| {
                    // The first argument is the module itself.
                    drop(args.pop_front());
                    let target = Target::Module {
                        module: module.name.to_owned(),
                    };
                    Ok((target, args))
                })?
            }
        };
        metatable.raw_set("__call", call)?;
    }
    if let Some(members) = &module.members {
        let index = lua.create_function(move |lua, (_, name): (Table, Value)| {
            let Value::String(name) = name else {
                return Ok(Value::Nil);
            };
            let name = name.to_string_lossy();
            let state = State::current()?;
            let full_name = format!("{}.{name}", module.name);
            if let Some(member) = state.members.borrow().get(&full_name) {
                return Ok(Value::Function(member.clone()));
            }
            let first = name;
            let callee = Callee::new(&format!("{}.{}", module.name, members.call));
            let first = move || vec![aikit_core::Value::from(first.as_str()).into()];
            let member = bind_call(lua, callee, first, |args| {
                let target = Target::Function {
                    module: module.name.to_owned(),
                    function: members.call.to_owned(),
                };
                Ok((target, args))
            });
            let member = member?;
            let mut members = state.members.borrow_mut();
            // The same function each time, so that it is equal to itself and has a name.
            if members.len() < MEMBERS_MAX {
                members.insert(full_name, member.clone());
            }
            Ok(Value::Function(member))
        })?;
        metatable.raw_set("__index", index)?;
    }
    metatable.raw_set("__metatable", false)?;
    Ok(Some(metatable))
}

/// What is called over the border.
struct Callee {
    /// Its name in messages.
    label: Arc<str>,
    /// Names of what the script gives, as far as they are known.
    params: &'static [Param],
    /// Whether it is asked again when it refuses, see [`ApiModule::counted`].
    is_counted: bool,
}

impl Callee {
    fn new(label: &str) -> Self {
        Self {
            label: Arc::from(label),
            params: &[],
            is_counted: false,
        }
    }
}

/// An asynchronous function that calls over the border.
///
/// `first` gives arguments that stand before those of the script; `aim` takes off what says whom
/// to call.
fn bind_call(
    lua: &Lua,
    Callee {
        label,
        params,
        is_counted,
    }: Callee,
    first: impl Fn() -> Vec<crate::api::Arg> + Send + Sync + 'static,
    aim: impl Fn(MultiValue) -> mlua::Result<(Target, MultiValue)> + Send + Sync + 'static,
) -> mlua::Result<Function> {
    let read = move |args: MultiValue| {
        let state = State::current()?;
        let (target, args) = aim(args)?;
        let mut all = first();
        let names = params.iter().map(|param| Some(param.name));
        let names = names.chain(std::iter::repeat(None));
        let read: aikit_core::Result<Vec<_>> = args
            .iter()
            .zip(names)
            .map(|(arg, name)| convert::to_arg(&state, name, arg))
            .collect();
        all.extend(convert::named(&label, read).into_lua()?);
        Ok((Arc::clone(&state.host), state.run()?, target, all))
    };
    let read = Arc::new(read);
    lua.create_async_function(move |lua, args: MultiValue| {
        // Only what the script gave is kept: a copy of its data would take as much again.
        let again = is_counted.then(|| (Arc::clone(&read), args.clone()));
        // Read before the first wait, while the state knows on whose behalf.
        let prepared: mlua::Result<_> = read(args);
        held(async move {
            let (host, run, target, args) = prepared?;
            let mut returned = host.call(&run.cx, target, args).await.into_lua()?;
            if let (Return::NoRoom(_), Some((read, args))) = (&returned, again) {
                // What the script has dropped counts until it is collected.
                lua.gc_collect()?;
                let (_, _, target, args) = read(args)?;
                returned = host.call(&run.cx, target, args).await.into_lua()?;
            }
            clock::follow(&*State::current()?, &run.cx)?;
            give(&lua, returned, host)
        })
    })
}

fn object_handle(
    lua: &Lua,
    object: Created,
    (host, is_shown): (Arc<dyn Host>, bool),
) -> mlua::Result<Value> {
    let handle = lua.create_userdata(ObjectHandle {
        id: object.id,
        class: object.class,
        fields: object.fields,
        appearance: object.appearance,
        is_shown,
        host,
    })?;
    if object.bytes > 0 {
        raw::count_for_collector(lua, object.bytes)?;
    }
    Ok(Value::UserData(handle))
}

/// What a call gave, as Lua sees it.
fn give(lua: &Lua, returned: Return, host: Arc<dyn Host>) -> mlua::Result<Value> {
    match returned {
        Return::Value(value) => convert::to_lua(lua, &value),
        Return::Shown(value, appearance) => {
            let value = convert::to_lua(lua, &value)?;
            display::remember(lua, &value, appearance)?;
            Ok(value)
        }
        Return::Delivery(item) => object::arrived(lua, item),
        Return::Object(object) => object_handle(lua, object, (host, false)),
        Return::Display(shown) => {
            let Displayed {
                bundle,
                metadata,
                display_id,
                is_update,
                object,
            } = *shown;
            display::emit(bundle, Some(display_id), metadata, is_update)?;
            object.map_or(Ok(Value::Nil), |it| object_handle(lua, it, (host, true)))
        }
        Return::NoRoom(error) => Err(error::to_lua(error)),
        Return::Stream(id) => {
            let handle = lua.create_userdata(StreamHandle { id, host })?;
            Ok(Value::UserData(handle))
        }
    }
}
