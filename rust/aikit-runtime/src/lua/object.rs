//! Handles of the session's objects and streams, released when Lua collects them.

use std::sync::Arc;

use aikit_components::nearest;
use aikit_core::{Error, broadcast::Delivery, script::ObjectId, value::Map};
use mlua::{Lua, MetaMethod, MultiValue, UserData, UserDataMethods, Value};

use super::{
    convert,
    error::{self, IntoLua as _},
    look::Look,
    pending::held,
    state::State,
};
use crate::api::{ApiClass, Appearance, Host, Resource, StreamId};

/// A handle of an object.
#[derive(Debug)]
pub(super) struct ObjectHandle {
    pub(super) id: ObjectId,
    pub(super) class: &'static ApiClass,
    pub(super) fields: Map,
    /// What it is shown as, where none of its fields is that.
    pub(super) appearance: Option<Appearance>,
    /// Whether it stands for what was shown when it was made.
    pub(super) is_shown: bool,
    pub(super) host: Arc<dyn Host>,
}

impl ObjectHandle {
    /// The look of an object that shows itself: its field `__mime`, or what is drawn of it now.
    pub(super) fn look(&self) -> Option<Look> {
        let kept = self.fields.get("__mime").and_then(|it| it.as_map());
        match kept {
            Some(kept) => Some(Look::Bundle(kept.clone())),
            None => self.appearance.clone().map(Look::Undrawn),
        }
    }
}

impl Drop for ObjectHandle {
    fn drop(&mut self) {
        self.host.release(Resource::Object(self.id.0));
    }
}

impl UserData for ObjectHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: String| {
            if let Some(value) = this.fields.get(&key) {
                return convert::to_lua(lua, value);
            }
            let state = State::current()?;
            let class = state.classes.borrow().get(this.class.name).cloned();
            let method: Value =
                class.map_or(Ok(Value::Nil), |class| class.raw_get(key.as_str()))?;
            if method.is_nil() {
                return Err(error::to_lua(unknown_member(this.class, &key)));
            }
            Ok(method)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            let name = this.fields.get("name").and_then(|name| name.as_str());
            Ok(match name {
                Some(name) => format!("{} `{name}`", this.class.name),
                None => this.class.name.to_owned(),
            })
        });
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::UserDataRef<Self>| {
            Ok(this.id == other.id)
        });
    }
}

fn unknown_member(class: &ApiClass, key: &str) -> Error {
    let methods = class.methods.iter().map(|method| method.name);
    let names: Vec<&str> = methods
        .chain(class.fields.iter().map(|(name, _)| *name))
        .collect();
    let otherwise = format!("its members are {}", names.join(", "));
    Error::not_found(format!("a `{}` has no member `{key}`", class.name))
        .with_hint(nearest::hint(key, names, otherwise))
}

/// A handle of a stream: `for item in stream do`.
#[derive(Debug)]
pub(super) struct StreamHandle {
    pub(super) id: StreamId,
    pub(super) host: Arc<dyn Host>,
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.host.release(Resource::Stream(self.id));
    }
}

impl UserData for StreamHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_meta_method(MetaMethod::Call, |lua, this, _: MultiValue| {
            // The handle is not held while waiting, so that it may be collected.
            let (id, host) = (this.id, Arc::clone(&this.host));
            drop(this);
            held(next(lua, id, host))
        });
        methods.add_async_method("next", |lua, this, ()| {
            let (id, host) = (this.id, Arc::clone(&this.host));
            drop(this);
            held(next(lua, id, host))
        });
        methods.add_method("close", |_, this, ()| {
            this.host.release(Resource::Stream(this.id));
            Ok(())
        });
        methods.add_meta_method(MetaMethod::Close, |_, this, _: MultiValue| {
            this.host.release(Resource::Stream(this.id));
            Ok(())
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("stream"));
    }
}

async fn next(lua: Lua, id: StreamId, host: Arc<dyn Host>) -> mlua::Result<Value> {
    let run = State::current()?.run()?;
    let item = host.next(&run.cx, id).await.into_lua()?;
    item.map_or(Ok(Value::Nil), |item| arrived(&lua, item))
}

/// An item as a value of the script.
///
/// # Errors
///
/// Where there is no memory for it; it is the next one again.
pub(super) fn arrived(lua: &Lua, item: Delivery) -> mlua::Result<Value> {
    let made = convert::to_lua(lua, item.value())?;
    drop(item.keep());
    Ok(made)
}
