//! Functions of a script that are called with the events of a handle.
//!
//! Each runs beside the script, one event after the other. Whoever asks for the result of a handle
//! finds that its listeners have had every event; a cell ends when its listeners have had those
//! until then.

use std::{cell::RefCell, sync::Arc};

use aikit_core::{
    Result,
    context::Overrides,
    event::{Event, dotted},
    procedure::HandleView,
};
use mlua::{Function, Lua, MultiValue, Value};
use tokio::sync::watch;

use super::{
    convert,
    error::IntoLua as _,
    run::Run,
    state::State,
    task::{self, Task},
};
use crate::api;

/// Listeners that have more to come.
#[derive(Debug, Default)]
pub(super) struct Listeners(RefCell<Vec<Arc<Listener>>>);

/// A function that is called with the events of a handle.
#[derive(Debug)]
struct Listener {
    view: HandleView,
    /// The name of the events, or `*`.
    wanted: String,
    function: Function,
    /// What its calls begin in; stands for them all where somebody waits for it.
    run: Arc<Run>,
    /// Number of the last event that it has had, or [`EVERY`].
    had: watch::Sender<u64>,
}

/// The number after which no event comes.
const EVERY: u64 = u64::MAX;

impl Listeners {
    /// Those that are `wanted`, at this moment.
    fn of(&self, wanted: impl Fn(&Listener) -> bool) -> Vec<Arc<Listener>> {
        let all = self.0.borrow();
        all.iter().filter(|it| wanted(it)).cloned().collect()
    }
}

/// Takes a listener off the list that it stands in, also when its future is dropped.
struct Listed(Arc<Listener>);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.had.send_replace(EVERY);
        // The state may have been left by then.
        let Ok(state) = State::current() else { return };
        let mut all = state.listeners.0.borrow_mut();
        all.retain(|it| !Arc::ptr_eq(it, &self.0));
    }
}

/// An event as the script sees it.
pub(super) fn event_to_lua(lua: &Lua, event: &Event) -> mlua::Result<Value> {
    convert::to_lua(lua, &api::without_nulls(event.to_value()))
}

/// Calls `function` with each event of that name, those until now included, until the end.
pub(super) fn start(view: &HandleView, name: &str, function: Function) -> mlua::Result<()> {
    let state = State::current()?;
    let run = state.run()?;
    let listener = Arc::new(Listener {
        view: view.clone(),
        wanted: dotted(name).into_owned(),
        function,
        run: run.beside(run.cx.part(Overrides::default())),
        had: watch::Sender::new(0),
    });
    state.listeners.0.borrow_mut().push(Arc::clone(&listener));
    let listed = Listed(listener);
    let listening = async move {
        let listener = &listed.0;
        let mut position = 0;
        while let Some(event) = listener.view.event(position).await {
            position = event.sequence;
            if listener.wanted == "*" || listener.wanted == event.kind.name() {
                listener.tell(&event).await;
            }
            listener.had.send_replace(position);
        }
    };
    state.spawn(listening).into_lua()
}

impl Listener {
    /// Calls the function. A listener only looks on: that it fails is a warning, and the next
    /// event comes.
    async fn tell(&self, event: &Event) {
        let Ok(state) = State::current() else { return };
        let Ok(event) = event_to_lua(&state.lua, event) else {
            return;
        };
        let args = MultiValue::from_iter([event]);
        let Ok(task) = Task::start_in(&state, &self.run, self.function.clone(), args) else {
            return;
        };
        let _wait = state.note_wait(&self.run, task.run());
        if let Some(error) = task.untold().await {
            task::warn(&self.run, "a listener of a handle failed", &error);
        }
    }

    /// Waits until it has had the event of that number.
    async fn catch_up(&self, number: u64) {
        // It holds the sender itself.
        drop(self.had.subscribe().wait_for(|had| *had >= number).await);
    }
}

/// Waits until the listeners of a handle that has ended have had every event. Whichever waits for
/// the one that asks, or is that one, is not waited for.
///
/// # Errors
///
/// Outside of a run.
pub(super) async fn finish(view: &HandleView) -> mlua::Result<()> {
    let listeners = State::current()?.listeners.of(|it| it.view.is_same(view));
    for listener in listeners {
        let wait = State::current()?.wait_for(&listener.run, "listener");
        if let Ok(_wait) = wait {
            listener.catch_up(EVERY).await;
        }
    }
    Ok(())
}

/// Waits until the listeners of a cell have had the events until now.
///
/// # Errors
///
/// The reason when the cell is stopped meanwhile.
pub(super) async fn catch_up(state: &State, cell: &Run) -> Result<()> {
    let is_of_cell = |it: &Listener| Arc::ptr_eq(&it.run.failed_tasks, &cell.failed_tasks);
    let listeners = state.listeners.of(is_of_cell);
    if listeners.is_empty() {
        return Ok(());
    }
    let catching_up = async {
        for listener in listeners {
            let events = listener.view.events_until_now();
            if let Some(last) = events.last() {
                listener.catch_up(last.sequence).await;
            }
        }
    };
    cell.cx.within(catching_up).await?;
    // What stops the cell stops its listeners, which are done with their events then.
    cell.cx.check()
}
