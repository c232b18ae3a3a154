//! The Lua engine: the Lua thread behind the trait of script engines.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::Overrides,
    engine::{Cell, Completeness, Completion, LanguageInfo, OutputSink, ScriptEngine, Span},
    io::{self, AbortOnDrop},
    value::Map,
};
use futures::future::{BoxFuture, Either, select};
use mlua::Lua;
use tokio::sync::oneshot;

use super::{
    cell,
    complete::{self, Names},
    inspect,
    interrupt::Control,
    lexer,
    progress::Shown,
    run::{OfCell, Run},
    source, spans,
    task::FailedTasks,
    thread::{self, Ended, Job, LuaThread},
};
use crate::api::Host;

/// Lua 5.4 with the state of one session.
#[derive(Debug)]
pub struct LuaEngine {
    thread: LuaThread,
    host: Arc<dyn Host>,
    names: Arc<RwLock<Names>>,
    /// By shell: held by its cell that runs.
    shells: Mutex<HashMap<Option<Arc<str>>, Turn>>,
    /// The cells that run.
    running: Arc<Mutex<Vec<Running>>>,
    /// Compiles only, to tell whether code is complete while a cell runs.
    scratch: Mutex<Lua>,
}

/// What the cells of one shell hold while they run.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// How long a cell may compute while one of a subshell waits for its turn.
const SLICE: Duration = Duration::from_millis(5);

/// A cell that runs.
#[derive(Debug)]
struct Running {
    cx: Context,
    cell: Arc<OfCell>,
    is_over: Arc<AtomicBool>,
    is_stopping: bool,
}

impl LuaEngine {
    /// Starts an engine whose calls go to `host`.
    ///
    /// # Errors
    ///
    /// `internal` when the system gives no thread.
    pub fn new(host: Arc<dyn Host>) -> Result<Self> {
        let names = Arc::new(RwLock::new(Names::default()));
        Ok(Self {
            thread: LuaThread::start(Arc::clone(&host), Arc::clone(&names))?,
            host,
            names,
            shells: Mutex::default(),
            running: Arc::default(),
            scratch: Mutex::new(Lua::new()),
        })
    }

    /// The turn of a shell.
    fn turn(&self, shell: Option<&Arc<str>>) -> Turn {
        let mut shells = self.shells.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a shell without a cell nothing stays.
        shells.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(shells.entry(shell.cloned()).or_default())
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a cell runs; the answer is called when it is over, and sets the flag.
    fn begin(&self, cx: &Context, cell: &Arc<OfCell>, is_over: &Arc<AtomicBool>) -> Ended {
        self.running().push(Running {
            cx: cx.clone(),
            cell: Arc::clone(cell),
            is_over: Arc::clone(is_over),
            is_stopping: false,
        });
        let (cell, is_over) = (Arc::clone(cell), Arc::clone(is_over));
        let running = Arc::clone(&self.running);
        Ended(Some(Box::new(move || {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            running.retain(|it| !Arc::ptr_eq(&it.is_over, &is_over));
            is_over.store(true, Ordering::SeqCst);
            // Under the lock: nobody asks it from now on. What its tasks do later is theirs.
            cell.asked.store(false, Ordering::SeqCst);
            cell.is_over.store(true, Ordering::SeqCst);
        })))
    }

    /// Stops what tasks run while no cell does.
    fn stop_tasks(&self) {
        let control = self.thread.control;
        // Under the lock no cell begins, and what a cell runs is not a task's.
        let running = self.running();
        if running.is_empty()
            && let Some(poll) = control.ask_poll()
        {
            thread::stop_until(control, &Context::default(), move || !control.is_in(poll));
        }
    }

    /// Stops for `reason` those of the running cells that `is_wanted` means.
    fn stop(&self, (kind, reason): (ErrorKind, &str), is_wanted: impl Fn(&Running) -> bool) {
        let mut running = self.running();
        for cell in running.iter_mut().filter(|cell| is_wanted(cell)) {
            cell.cx.cancel(kind, reason);
            if std::mem::replace(&mut cell.is_stopping, true) {
                continue;
            }
            cell.cell.asked.store(true, Ordering::SeqCst);
            let is_over = Arc::clone(&cell.is_over);
            let is_over = move || is_over.load(Ordering::SeqCst);
            thread::stop_until(self.thread.control, &cell.cx, is_over);
        }
    }

    async fn run(
        &self,
        cx: &Context,
        cell: Cell,
        sink: Arc<dyn OutputSink>,
    ) -> Result<Option<Map>> {
        let turn = self.turn(cell.shell.as_ref()).lock_owned().await;
        // It may have been cancelled while it waited for its turn.
        cx.check()?;
        let cx = cx.part(Overrides {
            progress: Some(Arc::new(Shown(Arc::clone(&sink)))),
            ..Overrides::default()
        });
        let (reply, answer) = oneshot::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let of_cell = Arc::new(OfCell {
            shell: cell.shell.clone(),
            ..OfCell::default()
        });
        let ended = self.begin(&cx, &of_cell, &is_over);
        let run = Arc::new(Run {
            cx: cx.clone(),
            sink,
            cell: of_cell,
            failed_tasks: Arc::new(FailedTasks::new()),
            fate: None,
            frame: None,
        });
        // A cell of a subshell does not wait for whoever computes in another.
        let _slices = cell.shell.as_ref().map(|_| {
            let slices = io::spawn(slice(self.thread.control, cx.clone()));
            AbortOnDrop(slices.abort_handle())
        });
        let job = Job::Execute {
            run,
            cell,
            reply,
            turn,
            ended,
        };
        self.thread.jobs.send(job).map_err(|_| gone())?;
        let abandoned = Abandoned {
            engine: self,
            is_over,
        };
        // A deadline or a cancellation from above stops tight loops as well.
        let answer = match select(answer, std::pin::pin!(cx.stopped())).await {
            Either::Left((answer, _)) => answer,
            Either::Right((reason, answer)) => {
                abandoned.stop((reason.kind(), reason.message()));
                answer.await
            }
        };
        answer.map_err(|_| gone())?
    }
}

/// Preempts whoever computes for longer than a slice of time.
async fn slice(control: &'static Control, cx: Context) {
    let mut seen = None;
    loop {
        cx.clock().sleep(SLICE).await;
        seen = control.preempt(seen);
    }
}

/// Stops a cell whose caller has gone.
struct Abandoned<'a> {
    engine: &'a LuaEngine,
    is_over: Arc<AtomicBool>,
}

impl Abandoned<'_> {
    fn stop(&self, reason: (ErrorKind, &str)) {
        // By now another cell may be the one that runs.
        let is_own = |running: &Running| Arc::ptr_eq(&running.is_over, &self.is_over);
        self.engine.stop(reason, is_own);
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.stop((ErrorKind::Cancelled, "the caller stopped waiting"));
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the Lua engine has ended")
        .with_hint("restart the kernel or open a new session")
}

impl Drop for LuaEngine {
    fn drop(&mut self) {
        // Tasks that begin from now on stop at once. The control is still the thread's own: it
        // cannot end before it is told to.
        self.thread.control.ask();
        let cells: Vec<Context> = self.running().iter().map(|it| it.cx.clone()).collect();
        for cx in &cells {
            cx.cancel(ErrorKind::Cancelled, "the engine is ending");
        }
        let is_busy = self.thread.control.ask_poll().is_some();
        // The thread ends by itself; it is not waited for, because it may be inside a long call.
        drop(self.thread.jobs.send(Job::Stop));
        if !cells.is_empty() || is_busy {
            let cx = cells.into_iter().next().unwrap_or_default();
            let ended = Arc::clone(&self.thread.ended);
            thread::stop_until(self.thread.control, &cx, move || {
                ended.load(Ordering::SeqCst)
            });
        }
    }
}

impl LuaEngine {
    /// What a front end needs to know.
    pub(crate) fn language_info() -> LanguageInfo {
        LanguageInfo {
            name: "lua",
            version: "5.4".to_owned(),
            mimetype: "text/x-lua",
            file_extension: ".lua",
            pygments_lexer: "lua",
            codemirror_mode: "lua",
        }
    }
}

impl ScriptEngine for LuaEngine {
    fn language(&self) -> LanguageInfo {
        Self::language_info()
    }

    fn has_shells(&self) -> bool {
        true
    }

    fn execute<'a>(
        &'a self,
        cx: &'a Context,
        cell: Cell,
        sink: Arc<dyn OutputSink>,
    ) -> BoxFuture<'a, Result<Option<Map>>> {
        Box::pin(self.run(cx, cell, sink))
    }

    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Result<Completion>> {
        Box::pin(
            async move { Ok(complete::complete(&self.names, &*self.host, code, cursor).await) },
        )
    }

    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail: u8,
    ) -> BoxFuture<'a, Result<Option<Map>>> {
        Box::pin(async move {
            let path = inspect::name_at(code, cursor);
            Ok(inspect::describe(&self.names, &*self.host, &path, detail).await)
        })
    }

    fn spans(&self, code: &str) -> Vec<Span> {
        spans::spans(code)
    }

    fn removed_hooks(&self, code: &str) -> Vec<String> {
        let Some(literals) = lexer::removed_hooks(code) else {
            return Vec::new();
        };
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |literal: &&str| {
            scratch
                .load(format!("return {literal}"))
                .eval::<String>()
                .ok()
        };
        literals.iter().filter_map(text).collect()
    }

    fn is_complete(&self, code: &str) -> Completeness {
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = source::prepare(code);
        let (as_shown, as_written) = (
            cell::load(&scratch, &prepared.plain, "cell"),
            cell::load(&scratch, source::without_shebang(code), "cell"),
        );
        let is_incomplete = |result: &mlua::Result<mlua::Function>| {
            matches!(
                result,
                Err(mlua::Error::SyntaxError {
                    incomplete_input: true,
                    ..
                })
            )
        };
        if as_shown.is_ok() || as_written.is_ok() {
            Completeness::Complete
        } else if source::is_broken(code) {
            Completeness::Invalid
        } else if is_incomplete(&as_shown) || is_incomplete(&as_written) {
            Completeness::Incomplete {
                indent: "  ".repeat(source::open_blocks(code)),
            }
        } else {
            Completeness::Invalid
        }
    }

    fn interrupt(&self) {
        let reason = (ErrorKind::Interrupted, "the cell was interrupted");
        self.stop(reason, |_| true);
        self.stop_tasks();
    }

    fn interrupt_cell(&self, cx: &Context) {
        let reason = (ErrorKind::Interrupted, "the cell was interrupted");
        self.stop(reason, |it| it.cx.request_id() == cx.request_id());
    }
}
