//! The Lua engine: the Lua thread behind the trait of script engines.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::Overrides,
    engine::{Cell, Completeness, Completion, LanguageInfo, OutputSink, ScriptEngine, Span},
    value::Map,
};
use futures::future::{BoxFuture, Either, select};
use mlua::Lua;
use tokio::sync::oneshot;

use super::{
    cell,
    complete::{self, Names},
    inspect, lexer,
    progress::Shown,
    run::Run,
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
    /// Held by the cell that runs.
    turn: Arc<tokio::sync::Mutex<()>>,
    running: Arc<Mutex<Option<Running>>>,
    /// Compiles only, to tell whether code is complete while a cell runs.
    scratch: Mutex<Lua>,
}

/// The cell that runs.
#[derive(Debug)]
struct Running {
    cx: Context,
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
            turn: Arc::default(),
            running: Arc::default(),
            scratch: Mutex::new(Lua::new()),
        })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a cell runs; the answer is called when it is over, and sets the flag.
    fn begin(&self, cx: &Context, is_over: &Arc<AtomicBool>) -> Ended {
        *self.running() = Some(Running {
            cx: cx.clone(),
            is_over: Arc::clone(is_over),
            is_stopping: false,
        });
        let is_over = Arc::clone(is_over);
        let (running, control) = (Arc::clone(&self.running), self.thread.control);
        Ended(Some(Box::new(move || {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            *running = None;
            is_over.store(true, Ordering::SeqCst);
            // Under the lock: a later request belongs to a later cell.
            control.settle();
        })))
    }

    /// Stops what tasks run while no cell does.
    fn stop_tasks(&self) {
        let control = self.thread.control;
        // Under the lock no cell begins, and what a cell runs is not a task's.
        let running = self.running();
        if running.is_none()
            && let Some(poll) = control.ask_poll()
        {
            thread::stop_until(control, &Context::default(), move || !control.is_in(poll));
        }
    }

    /// Stops the running cell for `reason`, when it is the one that `is_wanted` means.
    fn stop(&self, (kind, reason): (ErrorKind, &str), is_wanted: impl Fn(&Running) -> bool) {
        let mut running = self.running();
        let Some(cell) = running.as_mut().filter(|cell| is_wanted(cell)) else {
            return;
        };
        cell.cx.cancel(kind, reason);
        if cell.is_stopping {
            return;
        }
        cell.is_stopping = true;
        self.thread.control.ask();
        let is_over = Arc::clone(&cell.is_over);
        let is_over = move || is_over.load(Ordering::SeqCst);
        thread::stop_until(self.thread.control, &cell.cx, is_over);
    }

    async fn run(
        &self,
        cx: &Context,
        cell: Cell,
        sink: Arc<dyn OutputSink>,
    ) -> Result<Option<Map>> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // It may have been cancelled while it waited for its turn.
        cx.check()?;
        let cx = cx.part(Overrides {
            progress: Some(Arc::new(Shown(Arc::clone(&sink)))),
            ..Overrides::default()
        });
        let (reply, answer) = oneshot::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = self.begin(&cx, &is_over);
        let run = Arc::new(Run {
            cx: cx.clone(),
            sink,
            failed_tasks: Arc::new(FailedTasks::new()),
            fate: None,
            frame: None,
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
        let cx = self.running().as_ref().map(|running| running.cx.clone());
        if let Some(cx) = &cx {
            cx.cancel(ErrorKind::Cancelled, "the engine is ending");
        }
        let is_busy = self.thread.control.ask_poll().is_some();
        // The thread ends by itself; it is not waited for, because it may be inside a long call.
        drop(self.thread.jobs.send(Job::Stop));
        if cx.is_some() || is_busy {
            let cx = cx.unwrap_or_default();
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
}
