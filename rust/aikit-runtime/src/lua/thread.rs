//! The thread that owns Lua: it takes jobs and runs each as a coroutine.

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aikit_core::{Context, Error, ErrorKind, Result, Value, engine::Cell, io, value::Map};
use futures::executor::LocalPool;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::{
    cell, clock,
    complete::Names,
    convert, error,
    interrupt::{self, Control, Ownership},
    listener, progress,
    run::Run,
    sandbox,
    state::State,
    stop,
    task::FailedTasks,
};
use crate::api::Host;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Run a cell.
    Execute {
        run: Arc<Run>,
        cell: Cell,
        reply: oneshot::Sender<Result<Option<Map>>>,
        /// Held until the cell is over: cells of a shell run one at a time.
        turn: OwnedMutexGuard<()>,
        /// Called when the cell is over.
        ended: Ended,
    },
    /// Call a function that was handed over the border.
    Call {
        function: u64,
        run: Arc<Run>,
        args: Vec<Value>,
        reply: oneshot::Sender<Result<Value>>,
    },
    /// The function will not be called again.
    Forget { function: u64 },
    /// End.
    Stop,
}

/// Says that a cell is over, when dropped.
pub(super) struct Ended(pub(super) Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ended")
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended();
        }
    }
}

/// Reports the failed tasks of a cell, when dropped; also when the engine ends before the cell.
struct EndCell(Arc<FailedTasks>);

impl Drop for EndCell {
    fn drop(&mut self) {
        self.0.end_cell();
    }
}

/// Sends jobs to the thread.
pub(super) type Jobs = mpsc::UnboundedSender<Job>;

/// The thread as others see it.
#[derive(Debug)]
pub(super) struct LuaThread {
    pub(super) jobs: Jobs,
    pub(super) control: &'static Control,
    pub(super) ended: Arc<AtomicBool>,
}

impl LuaThread {
    /// Starts the thread; waits until Lua is ready.
    ///
    /// # Errors
    ///
    /// `internal` when the system gives no thread or Lua cannot be set up.
    pub(super) fn start(host: Arc<dyn Host>, names: Arc<RwLock<Names>>) -> Result<Self> {
        // Unbounded, because a dropped callable must not wait; cells and calls are bounded by
        // their callers, who wait for each.
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let ended = Arc::new(AtomicBool::new(false));
        let (sender, flag) = (jobs.clone(), Arc::clone(&ended));
        std::thread::Builder::new()
            .name("aikit-lua".to_owned())
            // Recursion in C functions of Lua is bounded at 200 levels; each may need some room.
            .stack_size(16 << 20)
            .spawn(move || {
                own_lua(host, names, (sender, receiver), &ready);
                flag.store(true, Ordering::SeqCst);
            })?;
        let control = started.recv().map_err(|error| {
            Error::internal("the Lua thread did not start").with_source(error)
        })??;
        Ok(Self {
            jobs,
            control,
            ended,
        })
    }
}

type Ready = std::sync::mpsc::SyncSender<Result<&'static Control>>;

fn own_lua(
    host: Arc<dyn Host>,
    names: Arc<RwLock<Names>>,
    (jobs, receiver): (Jobs, mpsc::UnboundedReceiver<Job>),
    ready: &Ready,
) {
    // Entered for ever: an asynchronous function that is polled outside a runtime panics.
    let _entered = io::runtime().enter();
    let mut pool = LocalPool::new();
    let setup = || -> Result<_> {
        let ownership = Ownership::claim()?;
        let lua = sandbox::new_lua().map_err(error::from_setup)?;
        interrupt::prepare(&lua, ownership.0).map_err(error::from_setup)?;
        let state = State::enter(lua, host, jobs, pool.spawner(), names)?;
        super::bind::bind(&state).map_err(error::from_setup)?;
        state.refresh_names();
        Ok((ownership, state))
    };
    let (ownership, state) = match setup() {
        Ok(ready) => ready,
        Err(error) => {
            State::leave();
            return drop(ready.send(Err(error)));
        }
    };
    drop(ready.send(Ok(ownership.0)));
    pool.run_until(serve(&state, receiver));
    // Coroutines go before the state they belong to, the state before the thread's control.
    drop(pool);
    State::leave();
    drop(state);
    drop(ownership);
}

async fn serve(state: &std::rc::Rc<State>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let state = std::rc::Rc::clone(state);
        let spawned = match job {
            Job::Stop => return,
            Job::Forget { function } => {
                let forgotten = state.functions.borrow_mut().remove(&function);
                drop(forgotten);
                continue;
            }
            Job::Execute {
                run,
                cell,
                reply,
                turn,
                ended,
            } => state.clone().spawn(async move {
                let failed_tasks = EndCell(Arc::clone(&run.failed_tasks));
                state.cells.begin(&run);
                let outcome = cell::execute(&state, &run, cell).await;
                let told = listener::catch_up(&state, &run).await;
                // What the cell itself failed with comes first.
                let outcome = outcome.and_then(|shown| told.map(|()| shown));
                let outcome = outcome.and_then(|shown| not_interrupted(&run.cx).map(|()| shown));
                progress::catch_up(&state);
                state.cells.end(&run);
                // Before the answer: it still belongs to the cell.
                drop(failed_tasks);
                state.refresh_names();
                drop(ended);
                // The next cell may begin before this one's answer is read.
                drop(turn);
                drop(reply.send(outcome));
            }),
            Job::Call {
                function,
                run,
                args,
                reply,
            } => state
                .clone()
                .spawn(async move { call_back(&state, function, run, args, reply).await }),
        };
        if let Err(error) = spawned {
            tracing::warn!(%error, "a job of a script was not started");
        }
    }
}

async fn call_back(
    state: &State,
    function: u64,
    run: Arc<Run>,
    args: Vec<Value>,
    reply: oneshot::Sender<Result<Value>>,
) {
    let found = state.functions.borrow().get(&function).cloned();
    let Some(function) = found else {
        let gone = Error::not_found("the script's function was released");
        return drop(reply.send(Err(gone)));
    };
    // The function prints where the running cell does, and its tasks are that cell's.
    let cell = state.cells.of(&run);
    let cell = cell.as_ref().unwrap_or(&run);
    let run = Arc::new(Run {
        cx: run.cx.clone(),
        sink: Arc::clone(&cell.sink),
        cell: Arc::clone(&cell.cell),
        failed_tasks: Arc::clone(&cell.failed_tasks),
        fate: None,
        frame: None,
    });
    let calling = async {
        let args: mlua::Result<mlua::MultiValue> = args
            .iter()
            .map(|value| convert::to_lua(&state.lua, value))
            .collect();
        // The host may have put a cassette in before it called.
        let args = args.and_then(|args| clock::follow(state, &run.cx).map(|()| args));
        let args = args.map_err(|error| error::from_lua(state, &run.cx, &error.into()))?;
        let outcome = state.drive(Arc::clone(&run), function, args).await;
        let values = outcome.map_err(|failure| error::from_lua(state, &run.cx, &failure))?;
        let first = values.into_iter().next().unwrap_or(mlua::Value::Nil);
        convert::to_value(&first)
    };
    // Who stops waiting cancels the Context, which stops the function.
    let outcome = stop::until_stopped(&run.cx, calling).await;
    drop(reply.send(outcome));
}

/// Two races can swallow one signal, so it is sent again after this time.
pub(super) const AGAIN: Duration = Duration::from_millis(5);

/// Asks the running Lua code to stop, again and again until `is_over`.
pub(super) fn stop_until(
    control: &'static Control,
    cx: &Context,
    is_over: impl Fn() -> bool + Send + 'static,
) {
    let clock = Arc::clone(cx.clock());
    // The first at once, whoever asks; its run may be over already.
    control.signal_unless(&is_over);
    drop(io::spawn(async move {
        let mut seen = None;
        while !is_over() {
            seen = control.stop_leftover(seen);
            clock.sleep(AGAIN).await;
            control.signal_unless(&is_over);
        }
    }));
}

/// Refuses what a cell came to that was interrupted: it may have caught that and ended before the
/// next look.
fn not_interrupted(cx: &Context) -> Result<()> {
    match cx.check() {
        Err(reason) if reason.kind() == ErrorKind::Interrupted => Err(reason),
        _ => Ok(()),
    }
}

/// The error of a run that was stopped, with the reason its Context knows.
pub(super) fn stopped(cx: &Context) -> Error {
    cx.check()
        .err()
        .unwrap_or_else(|| Error::new(ErrorKind::Interrupted, "the cell was interrupted"))
}
