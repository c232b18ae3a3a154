//! Tasks: Lua functions that run beside the cell, on the same thread, whenever the others wait.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, clock,
    context::Overrides,
    engine::{Output, StreamName},
};
use futures::future::select_all;
use mlua::{Function, Lua, MultiValue, Table, UserData, UserDataMethods, UserDataRef, Value};
use tokio::sync::watch;

use super::{
    callable, convert,
    error::{self, IntoLua as _},
    fate::Fate,
    pending::held,
    run::Run,
    state::State,
    stop,
};
use crate::api::with_article;

/// A handle of a task. The task goes on when the handle is gone.
#[derive(Clone, Debug)]
pub(super) struct Task(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    run: Arc<Run>,
    /// Ends the task alone; what it runs in may belong to others as well.
    cx: Context,
    done: watch::Receiver<bool>,
    outcome: Mutex<Outcome>,
    fate: Arc<Fate>,
    /// How many wait for it.
    waiting: AtomicUsize,
    /// Whether it was told to end, so that nobody wants to know how it did.
    unwanted: AtomicBool,
}

#[derive(Debug, Default)]
enum Outcome {
    #[default]
    Running,
    Values(MultiValue),
    /// The error, and whether somebody has seen it.
    Failed(Error, bool),
}

/// Most tasks of which each was started inside of the one before.
const LEVELS_MAX: usize = 100_000;

/// Most failed tasks of a cell that wait for its end; a further one is reported at once.
const FAILED_MAX: usize = 1_000;

/// Failed tasks of one cell; those whose error nobody has seen are reported when it ends.
#[derive(Debug)]
pub(super) struct FailedTasks(Mutex<Option<Vec<Arc<Shared>>>>);

impl FailedTasks {
    /// Those of a cell that begins.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }

    /// The cell is over: reports what nobody has awaited. Later failures are reported at once.
    pub(super) fn end_cell(&self) {
        let failed = lock(&self.0).take();
        for task in failed.into_iter().flatten() {
            task.report();
        }
    }

    fn add(&self, task: &Arc<Shared>) {
        let is_kept = lock(&self.0).as_mut().is_some_and(|failed| {
            if failed.len() == FAILED_MAX {
                failed.retain(|task| !task.is_seen());
            }
            let has_room = failed.len() < FAILED_MAX;
            if has_room {
                failed.push(Arc::clone(task));
            }
            has_room
        });
        if !is_kept && task.waiting.load(Ordering::SeqCst) == 0 {
            task.report();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Whether somebody has seen the error.
    fn is_seen(&self) -> bool {
        matches!(&*lock(&self.outcome), Outcome::Failed(_, true))
    }

    /// The error if nobody knows of it and somebody must; from then on somebody does.
    fn untold(&self) -> Option<Error> {
        let mut outcome = lock(&self.outcome);
        let Outcome::Failed(error, seen @ false) = &mut *outcome else {
            return None;
        };
        *seen = true;
        // An error that nobody awaited must not vanish; one that was asked for may.
        let is_asked_for = match error.kind() {
            ErrorKind::Cancelled | ErrorKind::Interrupted => true,
            ErrorKind::Timeout => self.fate.is_that_of_owner(),
            _ => false,
        };
        let is_told = is_asked_for || self.unwanted.load(Ordering::SeqCst);
        (!is_told).then(|| error.copy())
    }

    /// Prints the error where the cell that started the task prints, once.
    fn report(&self) {
        if let Some(error) = self.untold() {
            warn(&self.run, "a task failed that nobody awaited", &error);
            self.run.sink.task_failed(&error);
        }
    }
}

/// Says where a run prints that something failed, and why.
pub(super) fn warn(run: &Run, what: &str, error: &Error) {
    let mut text = format!("{what}: {error}\n");
    for frame in error.traceback() {
        let _ = writeln!(text, "  {frame}");
    }
    let name = StreamName::Stderr;
    run.sink.emit(Output::Stream { name, text });
}

/// Somebody waits for a task, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Task {
    pub(super) fn start(
        state: &State,
        function: Function,
        args: MultiValue,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let parent = state
            .run()
            .map_err(|error| Error::internal("a task began outside of a run").with_source(error))?;
        check_level(&parent.cx)?;
        let run = parent.beside(parent.cx.part(Overrides {
            timeout: limit,
            ..Overrides::default()
        }));
        Self::start_in(state, &run, function, args)
    }

    /// Starts a task whose Context is the one of `run`.
    pub(super) fn start_in(
        state: &State,
        run: &Run,
        function: Function,
        args: MultiValue,
    ) -> Result<Self> {
        let cx = run.cx.part(Overrides::default());
        let fate = Fate::begin(&cx, run.fate.clone());
        let run = run.of_task(Arc::clone(&fate));
        let (sender, done) = watch::channel(false);
        let task = Self(Arc::new(Shared {
            run: Arc::clone(&run),
            cx: cx.clone(),
            done,
            outcome: Mutex::default(),
            fate,
            waiting: AtomicUsize::new(0),
            unwanted: AtomicBool::new(false),
        }));
        let shared = Arc::clone(&task.0);
        state.spawn(async move {
            let outcome = settle(&run, &cx, function, args).await;
            let has_failed = matches!(outcome, Outcome::Failed(..));
            shared.fate.end(match &outcome {
                Outcome::Failed(error, _) => Some(error),
                Outcome::Values(_) | Outcome::Running => None,
            });
            *lock(&shared.outcome) = outcome;
            if has_failed {
                shared.run.failed_tasks.add(&shared);
            }
            drop(shared);
            sender.send_replace(true);
        })?;
        Ok(task)
    }

    pub(super) async fn result(self) -> mlua::Result<MultiValue> {
        self.result_of("task").await
    }

    /// The result of what the script calls a `noun`.
    pub(super) async fn result_of(self, noun: &str) -> mlua::Result<MultiValue> {
        let _waiting = Waiting::new(&self.0.waiting);
        let mut done = self.0.done.clone();
        if !*done.borrow() {
            let _wait = State::current()?.wait_for(&self.0.run, noun)?;
            // A sender that is gone belongs to a thread that ends.
            drop(done.wait_for(|done| *done).await);
        }
        let mut outcome = lock(&self.0.outcome);
        match &mut *outcome {
            Outcome::Values(values) => Ok(values.clone()),
            Outcome::Failed(error, seen) => {
                *seen = true;
                Err(error::to_lua(error.copy()))
            }
            Outcome::Running => Err(error::to_lua(Error::internal(
                "a task ended without an end",
            ))),
        }
    }

    /// Waits for the end, also outside of a run; answers the error, which somebody else may still
    /// want to see.
    pub(super) async fn settled(&self) -> Option<Error> {
        let mut done = self.0.done.clone();
        drop(done.wait_for(|done| *done).await);
        match &*lock(&self.0.outcome) {
            Outcome::Failed(error, _) => Some(Error::from_value(&error.to_value())),
            Outcome::Values(_) | Outcome::Running => None,
        }
    }

    /// Waits for the end, also outside of a run; answers the error if somebody must be told, which
    /// is then the caller's to do.
    pub(super) async fn untold(&self) -> Option<Error> {
        let _waiting = Waiting::new(&self.0.waiting);
        let mut done = self.0.done.clone();
        drop(done.wait_for(|done| *done).await);
        self.0.untold()
    }

    /// Whether it has.
    pub(super) fn has_ended(&self) -> bool {
        *self.0.done.borrow()
    }

    /// What it runs as.
    pub(super) fn run(&self) -> &Arc<Run> {
        &self.0.run
    }

    /// Somebody knows how it ended.
    pub(super) fn notice(&self) {
        if let Outcome::Failed(_, seen) = &mut *lock(&self.0.outcome) {
            *seen = true;
        }
    }

    pub(super) fn cancel(&self, reason: &str) {
        self.0.unwanted.store(true, Ordering::SeqCst);
        self.0.cx.cancel(ErrorKind::Cancelled, reason);
    }

    fn status(&self) -> &'static str {
        match &*lock(&self.0.outcome) {
            Outcome::Running => "running",
            Outcome::Values(_) => "done",
            Outcome::Failed(error, _) if error.kind() == ErrorKind::Cancelled => "cancelled",
            Outcome::Failed(..) => "failed",
        }
    }
}

/// A task begins inside of the one that starts it, and ends with that one's Context. So of those
/// that each start the next one something stays.
fn check_level(cx: &Context) -> Result<()> {
    if cx.level() < LEVELS_MAX {
        return Ok(());
    }
    let message = format!("{LEVELS_MAX} tasks were each started inside of the one before");
    let hint = "go on with a loop in one task: `while true do … sleep(1) end`";
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

/// Runs the function of a task until it ends or its Context does.
async fn settle(run: &Arc<Run>, cx: &Context, function: Function, args: MultiValue) -> Outcome {
    let Ok(state) = State::current() else {
        return Outcome::Failed(Error::internal("a task ran on a foreign thread"), false);
    };
    let running = async {
        let driven = state.drive(Arc::clone(run), function, args).await;
        driven.map_err(|failure| error::from_lua(&state, cx, &failure))
    };
    match stop::until_stopped(cx, running).await {
        Ok(values) => Outcome::Values(values),
        Err(error) => Outcome::Failed(error, false),
    }
}

impl UserData for Task {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method("await", |_, this, ()| {
            let task = this.clone();
            drop(this);
            within(task.result())
        });
        methods.add_method("cancel", |_, this, ()| {
            this.cancel("the task was cancelled");
            Ok(())
        });
        methods.add_method("status", |_, this, ()| Ok(this.status()));
        methods.add_meta_method(mlua::MetaMethod::ToString, |_, this, ()| {
            Ok(format!("task ({})", this.status()))
        });
    }
}

/// Waits, but not longer than the run that waits may.
pub(super) async fn within<T: Send + 'static>(
    future: impl Future<Output = mlua::Result<T>> + Send + 'static,
) -> mlua::Result<T> {
    let run = State::current()?.run()?;
    held(async move { run.cx.within(future).await.into_lua()? }).await
}

/// A task, or a function that becomes one.
fn task_of(state: &State, function: &str, value: Value) -> mlua::Result<Task> {
    if let Some(body) = callable::function_of(&state.lua, &value)? {
        return Task::start(state, body, MultiValue::new(), None).into_lua();
    }
    match value {
        Value::UserData(userdata) => {
            let task: UserDataRef<Task> = userdata
                .borrow()
                .map_err(|_| not_a_task(function, "object"))?;
            Ok(task.clone())
        }
        other => Err(not_a_task(function, other.type_name())),
    }
}

fn not_a_task(function: &str, found: &str) -> mlua::Error {
    let found = with_article(found);
    let message = format!("`{function}`: a task or a function was expected, but it is {found}");
    let hint = "make a task with `async(function() … end)`";
    error::to_lua(Error::invalid_args(message).with_hint(hint))
}

fn tasks_of(function: &str, list: &Table) -> mlua::Result<Vec<Task>> {
    let state = State::current()?;
    let length = convert::list_length(list).unwrap_or_default();
    (1..=length)
        .map(|position| task_of(&state, function, list.raw_get(position)?))
        .collect()
}

/// Cancels tasks when those who wait for them stop waiting.
pub(super) struct CancelOnDrop(pub(super) Vec<Task>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        for task in &self.0 {
            task.cancel("the others of its group ended");
        }
    }
}

/// `async(fn, …)`.
pub(super) fn start(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, mut args: MultiValue| {
        let given = args.pop_front().unwrap_or(Value::Nil);
        match callable::function_of(lua, &given)? {
            Some(function) => Task::start(&*State::current()?, function, args, None).into_lua(),
            None => Err(not_a_task("async", given.type_name())),
        }
    })
}

/// `await(task…)`.
pub(super) fn wait(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, args: MultiValue| {
        let tasks: mlua::Result<Vec<Task>> = State::current().and_then(|state| {
            args.into_iter()
                .map(|arg| task_of(&state, "await", arg))
                .collect()
        });
        async move {
            let tasks = tasks?;
            let only = tasks.len() == 1;
            let mut all = MultiValue::new();
            for task in tasks {
                let values = within(task.result()).await?;
                if only {
                    return Ok(values);
                }
                all.push_back(values.into_iter().next().unwrap_or(Value::Nil));
            }
            Ok(all)
        }
    })
}

/// `gather{…}`.
pub(super) fn gather(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|lua, list: Table| {
        let tasks = tasks_of("gather", &list);
        held(async move {
            let tasks = CancelOnDrop(tasks?);
            let waiting = tasks.0.iter().map(|task| task.clone().result());
            let results = within(futures::future::try_join_all(waiting)).await?;
            let gathered = lua.create_table_with_capacity(results.len(), 0)?;
            for (index, values) in results.into_iter().enumerate() {
                let first = values.into_iter().next().unwrap_or(Value::Nil);
                gathered.raw_set(index + 1, first)?;
            }
            Ok(gathered)
        })
    })
}

/// `race{…}`.
pub(super) fn race(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, list: Table| {
        let tasks = tasks_of("race", &list);
        held(async move {
            let tasks = CancelOnDrop(tasks?);
            if tasks.0.is_empty() {
                let message = "`race` needs at least one task";
                let hint = "give a list of tasks and functions";
                return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
            }
            let waiting = tasks.0.iter().map(|task| Box::pin(task.clone().result()));
            let waiting: Vec<_> = waiting.collect();
            let (first, _, _) = within(async { Ok(select_all(waiting).await) }).await?;
            first
        })
    })
}

/// `timeout(seconds, fn)`.
pub(super) fn timeout(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, (seconds, function): (f64, Function)| {
        let task = duration("timeout", seconds).and_then(|limit| {
            let state = State::current()?;
            Task::start(&state, function, MultiValue::new(), Some(limit)).into_lua()
        });
        held(async move {
            let task = CancelOnDrop(vec![task?]);
            within(task.0[0].clone().result()).await
        })
    })
}

/// `sleep(seconds)`.
pub(super) fn sleep(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|_, seconds: f64| async move {
        let duration = duration("sleep", seconds)?;
        let cx: Context = State::current()?.run()?.cx.clone();
        within(async move {
            cx.clock().sleep(duration).await;
            Ok(())
        })
        .await
    })
}

pub(super) fn duration(function: &str, seconds: f64) -> mlua::Result<Duration> {
    clock::length(seconds).ok_or_else(|| {
        let message = format!("`{function}`: `{seconds}` is no length of time in seconds");
        error::to_lua(Error::invalid_args(message).with_hint("give a number from 0 on"))
    })
}
