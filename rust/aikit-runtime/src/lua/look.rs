//! What a value is shown as, and the functions that show it: what is still to be drawn is drawn
//! beside other work.

use aikit_core::{Context, Result, io, value::Map};
use mlua::{AnyUserData, FromLuaMulti, Function, IntoLua, Lua, UserData, Value};

use super::{
    error::{self, IntoLua as _},
    interrupt,
    pending::held,
    state::State,
    thread, yields,
};
use crate::api::Appearance;

/// What a value is shown as.
#[derive(Debug)]
pub(super) enum Look {
    /// This MIME bundle.
    Bundle(Map),
    /// One that is still to be drawn, which may take a second.
    Undrawn(Appearance),
}

impl Look {
    /// The MIME bundle, drawn beside other work if it has to be; ends early when `cx` does.
    ///
    /// # Errors
    ///
    /// Those of what draws it; the reason of `cx` when that has ended.
    pub(super) async fn drawn(self, cx: &Context) -> Result<Map> {
        match self {
            Self::Bundle(bundle) => Ok(bundle),
            Self::Undrawn(appearance) => {
                let drawing = io::spawn_blocking(move || appearance.bundle());
                cx.within(drawing).await?
            }
        }
    }
}

/// What was written while the run is asked to stop is not whole, and not shown.
///
/// # Errors
///
/// The reason of the run.
pub(super) fn unless_stopped<T>(written: T) -> Result<T> {
    if !interrupt::is_asked() {
        return Ok(written);
    }
    let run = State::current().and_then(|state| state.run());
    let run = run.map_err(|error| error::as_ours(&error))?;
    Err(thread::stopped(&run.cx))
}

/// Where something is shown once it is drawn.
pub(super) trait Place: Send + Sync + 'static {
    /// What the script gets for showing it.
    type Given: IntoLua;

    /// Shows it.
    ///
    /// # Errors
    ///
    /// When no cell runs.
    fn show(self, bundle: Map) -> mlua::Result<Self::Given>;
}

/// What is shown once it is drawn, and where.
struct Undrawn<P>(Appearance, P);

impl<P: 'static> UserData for Undrawn<P> {}

/// A function that shows what `begin` makes of its arguments. It waits only for what is still to be
/// drawn; where nothing can wait, that is drawn in place.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn showing<A: FromLuaMulti + 'static, P: Place>(
    lua: &Lua,
    begin: fn(A) -> mlua::Result<(Look, P)>,
) -> mlua::Result<Function> {
    let begin = lua.create_function(move |lua, args: A| {
        let (look, place) = begin(args)?;
        match look {
            Look::Bundle(bundle) => Ok((false, place.show(bundle)?.into_lua(lua)?)),
            Look::Undrawn(appearance) => {
                let undrawn = lua.create_userdata(Undrawn(appearance, place))?;
                Ok((true, Value::UserData(undrawn)))
            }
        }
    })?;
    let finish = lua.create_async_function(|lua, undrawn: AnyUserData| {
        // Read before the first wait, while the state knows on whose behalf.
        let taken = undrawn.take::<Undrawn<P>>();
        let taken = taken.and_then(|it| Ok((it, State::current()?.run()?)));
        held(async move {
            let (Undrawn(appearance, place), run) = taken?;
            let bundle = Look::Undrawn(appearance).drawn(&run.cx).await.into_lua()?;
            place.show(bundle)?.into_lua(&lua)
        })
    })?;
    let finish_here = lua.create_function(|lua, undrawn: AnyUserData| {
        let Undrawn(appearance, place) = undrawn.take::<Undrawn<P>>()?;
        let draw = || unless_stopped(()).and_then(|()| unless_stopped(appearance.bundle()?));
        place.show(draw().into_lua()?)?.into_lua(lua)
    })?;
    let parts = (begin, finish, finish_here, yields::can_wait(lua)?);
    lua.load(SHOWING).set_name("=[aikit]").call(parts)
}

/// In Lua, so that what needs no drawing costs no more than a call.
const SHOWING: &str = "
local begin, finish, finish_here, can_wait = ...
return function(...)
  local is_undrawn, shown = begin(...)
  if not is_undrawn then
    if shown == nil then return end
    return shown
  end
  if can_wait() then return finish(shown) end
  return finish_here(shown)
end";
