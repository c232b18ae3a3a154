//! What the Lua thread owns: the state, the runs, the variables that live on between cells.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    pin::Pin,
    rc::Rc,
    sync::{Arc, PoisonError, RwLock},
    task::{Context as TaskContext, Poll},
};

use aikit_core::{Error, Result};
use futures::{executor::LocalSpawner, task::LocalSpawnExt as _};
use mlua::{Function, Lua, MultiValue, Table};

use super::{
    coroutine,
    error::{self, Failure},
    interrupt,
    library::Originals,
    listener::Listeners,
    names::{self, Look, Names},
    pending::Pending,
    polled::Tracked,
    progress::Behind,
    resumed,
    run::Run,
    shells::{Cells, Turns},
    suspended::Suspended,
    thread::Jobs,
};
use crate::api::Host;

/// Sources of cells that are kept to show the lines of tracebacks.
const SOURCES_MAX: usize = 256;
/// Bytes that they may take together; the last one is kept whatever its size.
const SOURCES_BYTES_MAX: usize = 1 << 24;

/// A local variable of an earlier cell.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// A function that captured it and gives its value, among others.
    pub(super) keeper: Function,
    /// Which of the values it is.
    pub(super) position: usize,
}

/// The Lua state with everything that belongs to it. Lives on the Lua thread only.
#[derive(Debug)]
pub(super) struct State {
    pub(super) lua: Lua,
    pub(super) host: Arc<dyn Host>,
    pub(super) jobs: Jobs,
    /// Functions handed over the border, by number.
    pub(super) functions: RefCell<HashMap<u64, Function>>,
    /// Methods of each class, by the class's name.
    pub(super) classes: RefCell<HashMap<&'static str, Table>>,
    /// Functions that stand for members of modules, by their full names.
    pub(super) members: RefCell<HashMap<String, Function>>,
    /// What the environment has of Lua's own.
    pub(super) originals: RefCell<Originals>,
    /// Functions that their bare name calls, at a prompt.
    pub(super) words: RefCell<HashMap<&'static str, Function>>,
    /// The order of the columns of lists that came from the session; its keys are weak.
    pub(super) orders: Table,
    /// What tables that came from the session are shown as; its keys are weak.
    pub(super) appearances: Table,
    /// Local variables of earlier cells.
    pub(super) kept: RefCell<HashMap<String, Kept>>,
    /// Names for the completion.
    pub(super) names: Arc<RwLock<Names>>,
    /// Finds the globals that changed since the names were looked at.
    pub(super) changes: Function,
    /// Which cassette the numbers of `math.random` follow from.
    pub(super) tape_seen: Cell<u64>,
    sources: RefCell<VecDeque<(String, String)>>,
    protected_call: Function,
    spawner: LocalSpawner,
    current: RefCell<Option<Arc<Run>>>,
    /// What [`State::drive`] drives now; it stays while procedures begin and end inside.
    driven: RefCell<Option<Driven>>,
    /// Listeners of handles that have more to come.
    pub(super) listeners: Listeners,
    /// Which run waits for which, by their addresses; both live as long as they stand here.
    waits: RefCell<Vec<(usize, usize)>>,
    /// Bars that are not shown as they are.
    pub(super) behind: Behind,
    /// The cells that run.
    pub(super) cells: Cells,
    /// Who of a shell must go on before others of it do.
    turns: Turns,
    /// Coroutines of the script that are suspended inside of a procedure.
    suspended: RefCell<Suspended>,
    next: Cell<u64>,
}

thread_local! {
    static STATE: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

impl State {
    /// Makes the state of this thread and enters it.
    pub(super) fn enter(
        lua: Lua,
        host: Arc<dyn Host>,
        jobs: Jobs,
        spawner: LocalSpawner,
        known: Arc<RwLock<Names>>,
    ) -> Result<Rc<Self>> {
        let protected_call = super::raw::protected_call(&lua).map_err(error::from_setup)?;
        let orders = coroutine::weak_table(&lua).map_err(error::from_setup)?;
        let appearances = coroutine::weak_table(&lua).map_err(error::from_setup)?;
        let changes = names::changes(&lua).map_err(error::from_setup)?;
        let state = Rc::new(Self {
            lua,
            host,
            jobs,
            functions: RefCell::default(),
            classes: RefCell::default(),
            members: RefCell::default(),
            originals: RefCell::default(),
            words: RefCell::default(),
            orders,
            appearances,
            kept: RefCell::default(),
            names: known,
            changes,
            tape_seen: Cell::new(0),
            sources: RefCell::default(),
            protected_call,
            spawner,
            current: RefCell::default(),
            driven: RefCell::default(),
            listeners: Listeners::default(),
            waits: RefCell::default(),
            behind: Behind::default(),
            cells: Cells::default(),
            turns: Turns::default(),
            suspended: RefCell::default(),
            next: Cell::new(1),
        });
        STATE.set(Some(Rc::clone(&state)));
        Ok(state)
    }

    /// Leaves the state, so that nothing keeps it alive.
    pub(super) fn leave() {
        let left = STATE.take();
        drop(left);
    }

    /// The state of this thread.
    ///
    /// # Errors
    ///
    /// On any other thread.
    pub(super) fn current() -> mlua::Result<Rc<Self>> {
        let state = STATE.with_borrow(Clone::clone);
        state.ok_or_else(|| error::to_lua(Error::internal("Lua was called on a foreign thread")))
    }

    /// On whose behalf Lua runs now.
    pub(super) fn run(&self) -> mlua::Result<Arc<Run>> {
        let run = self.current.borrow().clone();
        run.ok_or_else(|| error::to_lua(Error::internal("Lua ran outside of a cell")))
    }

    /// Says on whose behalf Lua runs from now on, until its coroutine is suspended.
    pub(super) fn set_run(&self, run: Arc<Run>) {
        let before = self.current.replace(Some(run));
        drop(before);
    }

    /// A number that this state has not given before.
    pub(super) fn next_id(&self) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        id
    }

    /// Notes that what runs now waits for `awaited`, the run of a task, until the answer is
    /// dropped; `noun` is what the script calls that.
    ///
    /// # Errors
    ///
    /// `invalid_args` when that waits for this one, over others or itself: neither would end.
    pub(super) fn wait_for(&self, awaited: &Arc<Run>, noun: &str) -> mlua::Result<Wait> {
        let waiter = self.driven.borrow().as_ref().map(|it| Arc::clone(&it.run));
        let waiter = waiter.ok_or_else(|| error::to_lua(Error::internal("nobody waits")))?;
        if !self.would_end(&waiter, awaited) {
            let message = format!("the {noun} waits for itself");
            let hint = format!("a {noun} ends when its function does; await it from elsewhere");
            return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
        }
        Ok(self.note_wait(&waiter, awaited))
    }

    /// What the coroutines wait for that are polled now.
    pub(super) fn pending(&self) -> Option<Arc<Pending>> {
        let driven = self.driven.borrow();
        driven.as_ref().map(|it| Arc::clone(&it.pending))
    }

    /// Notes that one run waits for another, until the answer is dropped.
    pub(super) fn note_wait(&self, waiter: &Arc<Run>, awaited: &Arc<Run>) -> Wait {
        let wait = (address(waiter), address(awaited));
        self.waits.borrow_mut().push(wait);
        Wait(wait)
    }

    /// Whether `awaited` waits neither for `waiter` nor is it.
    fn would_end(&self, waiter: &Arc<Run>, awaited: &Arc<Run>) -> bool {
        let waiter = address(waiter);
        let waits = self.waits.borrow();
        let mut reached = vec![address(awaited)];
        for place in 0.. {
            let Some(run) = reached.get(place).copied() else {
                return true;
            };
            if run == waiter {
                return false;
            }
            for (_, to) in waits.iter().filter(|(from, _)| *from == run) {
                if !reached.contains(to) {
                    reached.push(*to);
                }
            }
        }
        true
    }

    /// Runs `function` as a coroutine until it ends. While it waits, others run.
    pub(super) async fn drive(
        &self,
        run: Arc<Run>,
        function: Function,
        args: MultiValue,
    ) -> Result<MultiValue, Failure> {
        let outcome = self.drive_once(Arc::clone(&run), function, args).await;
        let Err(failure) = outcome else {
            return outcome;
        };
        match failure.speaker().cloned() {
            // Whoever is asked to stop says no more.
            Some(table) if !run.is_asked() => {
                let text = error::own_text(self, run, table).await?;
                Err(failure.with_text(text))
            }
            _ => Err(failure),
        }
    }

    /// The same; a table that was raised has not said its text.
    pub(super) async fn drive_once(
        &self,
        run: Arc<Run>,
        function: Function,
        args: MultiValue,
    ) -> Result<MultiValue, Failure> {
        let started = self.lua.create_thread(self.protected_call.clone());
        let tracked = started.and_then(|thread| {
            let mut all = args;
            all.push_front(mlua::Value::Function(function));
            Tracked::<mlua::thread::AsyncThread<MultiValue>>::new(thread, all)
        });
        let future = tracked.map_err(Failure::from)?;
        let driven = Driven {
            run: Arc::clone(&run),
            pending: Arc::default(),
        };
        let mut values = Scoped {
            run,
            driven,
            future,
        }
        .await
        .map_err(Failure::from)?;
        match values.pop_front() {
            Some(mlua::Value::Boolean(true)) => Ok(values),
            _ => Err(Failure::from_protected_call(values)),
        }
    }

    /// Calls a function of the script here and now, where it cannot wait.
    ///
    /// # Errors
    ///
    /// What it raised, as everywhere else.
    pub(super) fn call(&self, function: &Function, args: MultiValue) -> mlua::Result<MultiValue> {
        let mut all = args;
        all.push_front(mlua::Value::Function(function.clone()));
        let mut values: MultiValue = self.protected_call.call(all)?;
        if let Some(mlua::Value::Boolean(true)) = values.pop_front() {
            return Ok(values);
        }
        let failure = Failure::from_protected_call(values);
        let cx = &self.run()?.cx;
        Err(error::to_lua(error::from_lua(self, cx, &failure)))
    }

    /// Starts `future` on this thread.
    ///
    /// # Errors
    ///
    /// When the thread is ending.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<()> {
        self.spawner
            .spawn_local(future)
            .map_err(|error| Error::internal("the Lua thread is ending").with_source(error))
    }

    /// Keeps a source for tracebacks.
    pub(super) fn keep_source(&self, name: &str, code: &str) {
        let mut sources = self.sources.borrow_mut();
        sources.retain(|(kept, _)| kept != name);
        sources.push_back((name.to_owned(), code.to_owned()));
        let mut bytes: usize = sources.iter().map(|(_, code)| code.len()).sum();
        while sources.len() > SOURCES_MAX || (bytes > SOURCES_BYTES_MAX && sources.len() > 1) {
            let Some((_, oldest)) = sources.pop_front() else {
                break;
            };
            bytes -= oldest.len();
        }
    }

    /// Line `line`, counted from 1, of the source `name`.
    pub(super) fn source_line(&self, name: &str, line: usize) -> Option<String> {
        let sources = self.sources.borrow();
        let (_, code) = sources.iter().find(|(kept, _)| kept == name)?;
        let line = code.lines().nth(line.checked_sub(1)?)?;
        Some(line.trim().to_owned())
    }

    /// The value of a local variable of an earlier cell.
    pub(super) fn kept_value(&self, name: &str) -> mlua::Value {
        let kept = self.kept.borrow().get(name).cloned();
        let values = kept.map(|kept| (kept.keeper.call::<MultiValue>(()), kept.position));
        match values {
            Some((Ok(values), position)) => {
                values.into_iter().nth(position).unwrap_or(mlua::Value::Nil)
            }
            _ => mlua::Value::Nil,
        }
    }

    /// Takes a new picture of the names for the completion.
    pub(super) fn refresh_names(&self) {
        let look = Look::at(self);
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.refresh(look);
    }
}

/// A run waits for another one, until dropped.
#[derive(Debug)]
pub(super) struct Wait((usize, usize));

fn address(run: &Arc<Run>) -> usize {
    Arc::as_ptr(run).addr()
}

impl Drop for Wait {
    fn drop(&mut self) {
        // The state may have been left by then.
        let Ok(state) = State::current() else { return };
        let mut waits = state.waits.borrow_mut();
        if let Some(place) = waits.iter().position(|it| *it == self.0) {
            waits.swap_remove(place);
        }
    }
}

/// A function that the engine drives.
#[derive(Clone, Debug)]
struct Driven {
    /// The run it began with; what stands around that is not its own.
    run: Arc<Run>,
    /// What its coroutines wait for.
    pending: Arc<Pending>,
}

impl Driven {
    /// What tells it from all others.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.pending).addr()
    }
}

/// Which function the engine drives now, by what tells it from all others.
pub(super) fn driven() -> Option<usize> {
    let state = State::current().ok()?;
    let driven = state.driven.borrow();
    driven.as_ref().map(Driven::id)
}

/// Polls Lua code while the state knows on whose behalf.
struct Scoped<F> {
    run: Arc<Run>,
    driven: Driven,
    future: F,
}

impl<F> Scoped<F> {
    fn id(&self) -> usize {
        self.driven.id()
    }
}

impl<F: Future + Unpin> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let Ok(state) = State::current() else {
            return Pin::new(&mut self.future).poll(cx);
        };
        let is_outermost = state.driven.borrow().is_none();
        let cell = Arc::clone(&self.run.cell);
        if is_outermost && !state.turns.is_of(&cell, self.id(), cx.waker()) {
            return Poll::Pending;
        }
        let previous = state.current.replace(Some(Arc::clone(&self.run)));
        let driven = state.driven.replace(Some(self.driven.clone()));
        let polled = interrupt::within_cell(&cell, || Pin::new(&mut self.future).poll(cx));
        let _own = state.driven.replace(driven);
        if interrupt::is_preempted() {
            // It waits for nothing but its next turn.
            cx.waker().wake_by_ref();
        }
        if is_outermost {
            let is_preempted = interrupt::take_preempted() && polled.is_pending();
            state.turns.note(&cell, self.id(), is_preempted);
        }
        // It may be inside of a procedure now, and is so when it is polled again.
        let own = state.current.replace(previous);
        if let Some(own) = own {
            self.run = own;
        }
        polled
    }
}

impl<F> Drop for Scoped<F> {
    /// Ends what the coroutine had begun, as cancelled; its values go at the next collection only.
    fn drop(&mut self) {
        if let Ok(state) = State::current() {
            state.turns.note(&self.run.cell, self.id(), false);
        }
        resumed::end(self.id());
        self.driven.pending.give_up();
        Arc::clone(&self.run).end_below(&self.driven.run);
    }
}

/// A coroutine of the script is about to run: what it had begun is around its code again. Answers
/// the run of whoever resumes it, for [`suspend`].
pub(super) fn resume(coroutine: usize) -> Option<Arc<Run>> {
    let state = State::current().ok()?;
    let own = {
        let mut suspended = state.suspended.borrow_mut();
        (!suspended.is_empty()).then(|| suspended.remove(coroutine))
    };
    match own.flatten() {
        Some(run) => state.current.replace(Some(run)),
        None => state.current.borrow().clone(),
    }
}

/// A coroutine of the script has stopped running. What it has begun and not ended waits with it if
/// it is `alive`; the code of whoever resumed it goes on outside of that.
pub(super) fn suspend(coroutine: usize, resumer: Option<Arc<Run>>, alive: bool) {
    let Ok(state) = State::current() else { return };
    let mut current = state.current.borrow_mut();
    let is_same = match (&*current, &resumer) {
        (Some(current), Some(resumer)) => Arc::ptr_eq(current, resumer),
        (None, None) => true,
        _ => false,
    };
    if is_same {
        return;
    }
    let own = std::mem::replace(&mut *current, resumer);
    drop(current);
    if let Some(own) = own.filter(|own| alive && own.is_open()) {
        state.suspended.borrow_mut().insert(coroutine, &own);
    }
}

/// A new coroutine is at this address; an earlier one there is gone.
pub(super) fn forget_suspended(coroutine: usize) {
    let Ok(state) = State::current() else { return };
    state.suspended.borrow_mut().forget(coroutine);
}
