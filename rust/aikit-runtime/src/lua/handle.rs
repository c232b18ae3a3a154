//! Handles of started procedures as Lua values: result, events, cancellation.

use std::sync::Arc;

use aikit_core::{
    Error, ErrorKind, Result, Value as Data,
    event::Event,
    graph::Tree,
    procedure::{Handle, HandleView},
};
use mlua::{
    FromLuaMulti as _, Function, Lua, MetaMethod, MultiValue, UserData, UserDataFields,
    UserDataMethods, Value,
};
use tokio::sync::oneshot;

use super::{
    convert,
    error::{self, IntoLua as _},
    listener, outline,
    pending::held,
    state::State,
    task::{self, Task},
};
/// Starts a function as a task whose events are kept.
pub(super) fn start(function: Function, args: MultiValue) -> mlua::Result<LuaHandle> {
    let state = State::current()?;
    let (sender, ended) = oneshot::channel::<Result<Data>>();
    let run = state.run()?;
    let handle = Handle::start(&run.cx, |_| async move {
        ended.await.unwrap_or_else(|_| {
            let message = "the script's engine has ended";
            Err(Error::new(ErrorKind::Cancelled, message))
        })
    });
    let run = run.beside(handle.context().clone());
    let task = Task::start_in(&state, &run, function, args).into_lua()?;
    let waited = task.clone();
    let telling = async move {
        let error = waited.settled().await;
        // The handle may be gone.
        drop(sender.send(error.map_or(Ok(Data::Null), Err)));
    };
    state.spawn(telling).into_lua()?;
    Ok(LuaHandle {
        handle: Arc::new(handle),
        task,
        place: Place::default(),
    })
}

/// Where calls by hand stand, which come one at a time: each event is given once.
#[derive(Clone, Debug, Default)]
struct Place(Arc<tokio::sync::Mutex<u64>>);

impl Place {
    async fn next(&self, view: &HandleView) -> Option<Arc<Event>> {
        let mut after = self.0.lock().await;
        let event = view.event(*after).await?;
        *after = event.sequence;
        Some(event)
    }
}

/// Stands for a started procedure.
#[derive(Debug)]
pub(super) struct LuaHandle {
    handle: Arc<Handle>,
    task: Task,
    place: Place,
}

impl LuaHandle {
    /// The executions around the work that was started.
    pub(super) fn tree(&self) -> Tree {
        self.handle.tree()
    }
}

impl Drop for LuaHandle {
    fn drop(&mut self) {
        if !self.handle.is_finished() {
            self.task.cancel("nobody holds the handle any more");
        }
    }
}

/// The events and the cancellation of an operation, without its result.
#[derive(Clone, Debug)]
pub(super) struct LuaView {
    view: HandleView,
    place: Place,
}

impl LuaView {
    /// That of a handle.
    pub(super) fn new(view: HandleView) -> Self {
        let place = Place::default();
        Self { view, place }
    }
}

/// The events until now.
fn events(view: &HandleView, lua: &Lua) -> mlua::Result<Vec<Value>> {
    let events = view.events_until_now();
    events
        .iter()
        .map(|it| listener::event_to_lua(lua, it))
        .collect()
}

/// Where a loop over the events of a handle stands: `for` gives the last event back, so each loop
/// has a position of its own. `None` for a call by hand, without what `for` gives.
fn position(args: &MultiValue) -> mlua::Result<Option<u64>> {
    let number = match args.iter().nth(1) {
        None => return Ok(None),
        Some(Value::Nil) => return Ok(Some(0)),
        Some(Value::Table(event)) => event.raw_get::<Option<i64>>("sequence")?,
        Some(_) => None,
    };
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.map(Some).ok_or_else(|| {
        let message = "the loop over a handle lost its place: its event has no `sequence` any more";
        let hint = "copy an event before you change it";
        error::to_lua(Error::invalid_args(message).with_hint(hint))
    })
}

/// What the methods of a handle and of a view are about.
struct Parts<T> {
    view: fn(&T) -> &HandleView,
    place: fn(&T) -> &Place,
    task: fn(&T) -> Option<Task>,
}

/// What a handle and the view of one have in common.
fn add_view_methods<T: 'static, M: UserDataMethods<T>>(
    methods: &mut M,
    class: &'static str,
    Parts { view, place, task }: Parts<T>,
) {
    methods.add_method("cancel", move |lua, this, given: MultiValue| {
        outline::check(class, "cancel", &given)?;
        let reason = Option::<String>::from_lua_multi(given, lua)?;
        view(this).cancel(reason.unwrap_or_else(|| "cancelled by the script".to_owned()));
        Ok(())
    });
    methods.add_method("events", move |lua, this, _: MultiValue| {
        events(view(this), lua)
    });
    methods.add_method("on", move |lua, this, given: MultiValue| {
        outline::check(class, "on", &given)?;
        let (kind, listener) = <(String, Function)>::from_lua_multi(given, lua)?;
        if kind.contains('*') && kind != "*" {
            let message = format!("`{class}:on`: `{kind}` is no name of an event");
            let hint = "give one name, such as `stream.chunk`, or `*` for every event";
            return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
        }
        listener::start(view(this), &kind, listener)
    });
    methods.add_async_meta_method(MetaMethod::Call, move |lua, this, args: MultiValue| {
        // The handle is not held while waiting, so that it may be collected.
        let (view, place, task) = (view(&this).clone(), place(&this).clone(), task(&this));
        drop(this);
        held(async move {
            let run = State::current()?.run()?;
            let event = match position(&args)? {
                Some(after) => run.cx.within(view.event(after)).await.into_lua()?,
                None => run.cx.within(place.next(&view)).await.into_lua()?,
            };
            let Some(event) = event else {
                // Whoever read to the end has read of a failure.
                task.iter().for_each(Task::notice);
                return Ok(Value::Nil);
            };
            listener::event_to_lua(&lua, &event)
        })
    });
}

impl UserData for LuaView {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("usage", |lua, this| {
            convert::to_lua(lua, &this.view.usage().to_value())
        });
        fields.add_field_method_get("dropped", |_, this| Ok(this.view.dropped()));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        let parts = Parts {
            view: |this: &Self| &this.view,
            place: |this: &Self| &this.place,
            task: |_: &Self| None,
        };
        add_view_methods(methods, "HandleView", parts);
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("view of a handle"));
    }
}

impl UserData for LuaHandle {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("trace_id", |_, this| Ok(this.handle.trace_id().to_owned()));
        fields.add_field_method_get("is_finished", |_, this| Ok(this.handle.is_finished()));
        fields.add_field_method_get("dropped", |_, this| Ok(this.handle.dropped()));
        fields.add_field_method_get("usage", |lua, this| {
            convert::to_lua(lua, &this.handle.usage().to_value())
        });
        fields.add_field_method_get("status", |_, this| {
            let status = this.handle.status();
            // Who asks knows of a failure.
            this.task.notice();
            Ok(status.name())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method("result", |_, this, ()| {
            let (task, handle) = (this.task.clone(), Arc::clone(&this.handle));
            drop(this);
            task::within(async move {
                let values = task.clone().result_of("procedure").await;
                if task.has_ended() {
                    // Its events are complete as well, and its listeners have them.
                    drop(handle.result().await);
                    listener::finish(handle.view()).await?;
                }
                values
            })
        });
        let parts = Parts {
            view: |this: &Self| this.handle.view(),
            place: |this: &Self| &this.place,
            task: |this: &Self| Some(this.task.clone()),
        };
        add_view_methods(methods, "Handle", parts);
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("handle ({})", this.handle.status().name()))
        });
    }
}
