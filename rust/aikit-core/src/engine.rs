//! A script language as the kernel and the shell see it.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::{
    Error, ErrorKind, Result, Value,
    context::{Context, Overrides},
    hook::{CELL, Hooked, apart_from, around},
    progress::Progress,
    tracker::{Operation, track},
    value::Map,
};

/// What a front end needs to know about a language.
#[derive(Clone, Debug)]
pub struct LanguageInfo {
    /// Name, lower case.
    pub name: &'static str,
    /// Version of the language.
    pub version: String,
    /// Media type of its source.
    pub mimetype: &'static str,
    /// Extension of its files, with the dot.
    pub file_extension: &'static str,
    /// What Pygments calls it.
    pub pygments_lexer: &'static str,
    /// What `CodeMirror` calls it.
    pub codemirror_mode: &'static str,
}

/// Code to run.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Source text.
    pub code: String,
    /// Name shown in tracebacks, such as `cell [3]` or a file's path.
    pub name: String,
    /// Which shell of the session it belongs to, the main one when `None`. Cells of one shell run
    /// one at a time; those of different shells take turns where [`ScriptEngine::has_shells`].
    pub shell: Option<Arc<str>>,
}

/// Which stream a text goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamName {
    /// What a program says.
    Stdout,
    /// What a program complains about.
    Stderr,
}

/// What a cell produces while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Text of a stream.
    Stream {
        /// Which stream.
        name: StreamName,
        /// The text, of any length.
        text: String,
    },
    /// Something to show.
    Display {
        /// One representation a media type.
        bundle: Map,
        /// Metadata of the representations.
        metadata: Map,
        /// Identity by which a later display can replace this one.
        display_id: Option<String>,
        /// Whether to replace what has the same identity instead of adding.
        update: bool,
    },
    /// How far some work is; replaces what was shown of the same work.
    Progress(Progress),
    /// Clears what the cell has shown.
    Clear {
        /// Whether to wait for the next output before clearing.
        wait: bool,
    },
}

/// Where the output of a cell goes.
pub trait OutputSink: fmt::Debug + Send + Sync {
    /// Takes one piece of output, in order. May block a script's thread for a short while when
    /// the reader is slow; never called on a worker of the I/O runtime.
    fn emit(&self, output: Output);

    /// Ends the program that runs the script with this exit status, once the script has stopped.
    ///
    /// # Errors
    ///
    /// `unavailable` where the script is not a program: a cell of a notebook.
    fn exit(&self, _status: u8) -> Result<()> {
        let message = "a cell cannot end the kernel";
        Err(Error::new(ErrorKind::Unavailable, message).with_hint(
            "restart it or shut it down from the front end: in JupyterLab and Jupyter Notebook, in \
             the menu `Kernel`",
        ))
    }

    /// Whether lists of records are shown as tables in plain text, because there is only that.
    fn shows_tables(&self) -> bool {
        false
    }

    /// Hears of a task that failed and that nobody awaited; its error is in the output already.
    fn task_failed(&self, _error: &Error) {}
}

/// What a piece of code is, for editors that colour it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SpanKind {
    /// A reserved word.
    Keyword,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A comment.
    Comment,
    /// A name that is called.
    Call,
    /// Anything else: names, operators, white space.
    Plain,
}

/// A piece of code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// What it is.
    pub kind: SpanKind,
    /// Byte offset where it begins.
    pub start: usize,
    /// Byte offset where it ends.
    pub end: usize,
}

/// One candidate of a completion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompletionMatch {
    /// Text that replaces the range.
    pub text: String,
    /// What it is: `function`, `module`, `keyword`, `field`, `variable`, `option`,
    /// `value`, `file`, `folder`.
    pub kind: &'static str,
}

/// Candidates for the text before the cursor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Completion {
    /// Candidates, best first.
    pub matches: Vec<CompletionMatch>,
    /// Byte offset where the replaced range begins.
    pub start: usize,
    /// Byte offset where it ends.
    pub end: usize,
}

/// Whether code can be run as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Completeness {
    /// It can.
    Complete,
    /// More lines are needed.
    Incomplete {
        /// White space for the next line.
        indent: String,
    },
    /// It never can.
    Invalid,
}

/// One script language with the state of one session.
pub trait ScriptEngine: fmt::Debug + Send + Sync {
    /// What a front end needs to know.
    fn language(&self) -> LanguageInfo;

    /// Whether cells of different shells can run at the same time.
    fn has_shells(&self) -> bool {
        false
    }

    /// Runs a cell; of each shell one at a time. Answers the MIME bundle of its last expression,
    /// if it has one.
    fn execute<'a>(
        &'a self,
        cx: &'a Context,
        cell: Cell,
        sink: Arc<dyn OutputSink>,
    ) -> BoxFuture<'a, Result<Option<Map>>>;

    /// Completes the text before `cursor`, a byte offset; runs no code, answers while a cell runs.
    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Result<Completion>>;

    /// Describes the name at `cursor`, a byte offset, as a MIME bundle; `detail` 1 asks for more.
    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail: u8,
    ) -> BoxFuture<'a, Result<Option<Map>>>;

    /// What the pieces of the code are, in order and without gaps; runs no code.
    fn spans(&self, code: &str) -> Vec<Span> {
        let whole = Span {
            kind: SpanKind::Plain,
            start: 0,
            end: code.len(),
        };
        vec![whole]
    }

    /// Whether the code can be run as it is.
    fn is_complete(&self, code: &str) -> Completeness;

    /// The names of the hooks that the code takes away, when it does nothing else; runs no code.
    fn removed_hooks(&self, code: &str) -> Vec<String> {
        let _ = code;
        Vec::new()
    }

    /// Stops the running cells from any thread, tight loops included; without one, what tasks of
    /// earlier cells compute.
    fn interrupt(&self);

    /// Stops the cell that runs under `cx` and no other, where shells run side by side.
    fn interrupt_cell(&self, cx: &Context) {
        let _ = cx;
        self.interrupt();
    }
}

/// Name of the procedure that a cell is, whoever runs it: a kernel, a script file, a prompt.
pub const CELL_PROCEDURE: &str = "cell";

/// Runs a cell as a procedure below `root`, with the hooks around it; the only caller of
/// [`ScriptEngine::execute`] in a program. A cell that only takes hooks away runs without those, so
/// that nobody is locked up by a hook that refuses every cell. An engine that panics has lost its
/// cell, not the program.
///
/// `begin` is given the Context of the cell, which an interrupt may cancel, before anything runs;
/// what it answers lives until the cell has ended.
///
/// # Errors
///
/// The script's own, and those of [`around`]; `internal` when the engine panicked.
pub async fn run_cell<T>(
    engine: &dyn ScriptEngine,
    root: &Context,
    cell: Cell,
    sink: Arc<dyn OutputSink>,
    begin: impl FnOnce(&Context) -> T,
) -> Result<Option<Map>> {
    let tracked = track(root, Operation::new(CELL_PROCEDURE), |cx| async move {
        // One below: the procedure ends when the engine has, not when it is told to.
        let cx = cx.part(Overrides::default());
        let _running = begin(&cx);
        cx.run(hooked(engine, &cx, cell, sink)).await
    });
    // A cell has room for its hooks, and whoever runs it for a cell.
    Box::pin(tracked).await
}

/// Runs a cell with the hooks of `cx` around it.
async fn hooked(
    engine: &dyn ScriptEngine,
    cx: &Context,
    cell: Cell,
    sink: Arc<dyn OutputSink>,
) -> Result<Option<Map>> {
    let cx = cx.part(Overrides {
        host: Some(Arc::new(CellSink(Arc::clone(&sink)))),
        ..Overrides::default()
    });
    let removed = engine.removed_hooks(&cell.code);
    let cx = apart_from(&cx, &removed);
    let mut running = CellCall {
        engine,
        cx: &cx,
        sink,
    };
    around(&cx, &CELL, &mut running, cell).await
}

/// Where a hook of the cell prints: host data of the cell's Context.
#[derive(Debug)]
pub struct CellSink(pub Arc<dyn OutputSink>);

/// A cell with hooks around it.
struct CellCall<'a> {
    engine: &'a dyn ScriptEngine,
    cx: &'a Context,
    sink: Arc<dyn OutputSink>,
}

impl Hooked for CellCall<'_> {
    type Input = Cell;
    type Output = Option<Map>;

    fn show(&self, cell: &Cell) -> Result<Map> {
        Ok(Map::from_iter([
            ("code".to_owned(), Value::from(cell.code.as_str())),
            ("name".to_owned(), Value::from(cell.name.as_str())),
        ]))
    }

    fn change(&self, cell: &mut Cell, mut changes: Map) -> Result<()> {
        match changes.shift_remove("code") {
            None => Ok(()),
            Some(Value::String(code)) => {
                cell.code = code;
                Ok(())
            }
            Some(other) => {
                let message = format!("`code` is a value of type {}", other.type_name());
                Err(Error::invalid_args(message).with_hint("give a text"))
            }
        }
    }

    async fn call(&mut self, cell: Cell) -> Result<Option<Map>> {
        let sink = Arc::clone(&self.sink);
        self.engine.execute(self.cx, cell, sink).await
    }

    fn result(&self, shown: &Option<Map>) -> Result<Value> {
        Ok(shown.clone().map_or(Value::Null, Value::Map))
    }

    fn replace(&self, _: &Cell, value: Value, _: Option<&Option<Map>>) -> Result<Option<Map>> {
        Ok(match value {
            Value::Null => None,
            // A MIME bundle: its keys are media types.
            Value::Map(map) if map.keys().all(|key| key.contains('/')) => Some(map),
            Value::String(text) => Some(plain(text)),
            other => Some(plain(other.to_string())),
        })
    }
}

fn plain(text: String) -> Map {
    Map::from_iter([("text/plain".to_owned(), Value::from(text))])
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use futures::executor::block_on;

    use super::*;
    use crate::graph::Status;

    /// A language whose cells fail as their code says.
    #[derive(Debug)]
    struct Fragile;

    impl ScriptEngine for Fragile {
        fn language(&self) -> LanguageInfo {
            LanguageInfo {
                name: "fragile",
                version: String::new(),
                mimetype: "text/plain",
                file_extension: ".txt",
                pygments_lexer: "text",
                codemirror_mode: "text",
            }
        }

        fn execute<'a>(
            &'a self,
            cx: &'a Context,
            cell: Cell,
            _: Arc<dyn OutputSink>,
        ) -> BoxFuture<'a, Result<Option<Map>>> {
            Box::pin(async move {
                assert!(cell.code != "panic", "as asked");
                cx.check()?;
                let name = cx.node().map(|node| node.name.to_string());
                Ok(Some(plain(name.unwrap_or_default())))
            })
        }

        fn complete<'a>(&'a self, _: &'a str, _: usize) -> BoxFuture<'a, Result<Completion>> {
            Box::pin(async { Ok(Completion::default()) })
        }

        fn inspect<'a>(
            &'a self,
            _: &'a str,
            _: usize,
            _: u8,
        ) -> BoxFuture<'a, Result<Option<Map>>> {
            Box::pin(async { Ok(None) })
        }

        fn is_complete(&self, _: &str) -> Completeness {
            Completeness::Complete
        }

        fn interrupt(&self) {}
    }

    #[derive(Debug)]
    struct Nowhere;

    impl OutputSink for Nowhere {
        fn emit(&self, _: Output) {}
    }

    /// Says when it is dropped.
    struct Guard(Arc<Mutex<bool>>);

    impl Drop for Guard {
        fn drop(&mut self) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
    }

    fn run<T>(
        root: &Context,
        code: &str,
        begin: impl FnOnce(&Context) -> T,
    ) -> Result<Option<Map>> {
        let cell = Cell {
            code: code.to_owned(),
            name: "cell [1]".to_owned(),
            shell: None,
        };
        block_on(run_cell(&Fragile, root, cell, Arc::new(Nowhere), begin))
    }

    fn status(root: &Context) -> Status {
        root.graph().root().unwrap().status()
    }

    #[test]
    fn a_cell_is_a_procedure_and_a_panic_of_its_engine_an_error() {
        let root = Context::default();
        let shown = run(&root, "name", |_| ()).unwrap();
        assert_eq!(shown, Some(plain(CELL_PROCEDURE.to_owned())));
        assert_eq!(status(&root), Status::Completed);
        let (root, ended) = (Context::default(), Arc::new(Mutex::new(false)));
        let error = run(&root, "panic", |_| Guard(Arc::clone(&ended))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.message(), "`cell` panicked: as asked");
        assert_eq!(status(&root), Status::Failed);
        assert!(*ended.lock().unwrap());
    }

    #[test]
    fn who_runs_a_cell_can_cancel_it_before_it_begins() {
        let root = Context::default();
        let cancel = |cx: &Context| cx.cancel(ErrorKind::Interrupted, "interrupted");
        let error = run(&root, "name", cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(!root.is_cancelled());
    }
}
