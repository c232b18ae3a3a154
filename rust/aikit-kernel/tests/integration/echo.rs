//! A language of single words, one a line, for talking to a kernel.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    engine::{
        Cell, Completeness, Completion, CompletionMatch, LanguageInfo, Output, OutputSink,
        ScriptEngine, StreamName,
    },
    io,
    services::{Ask, Question},
    value::Map,
};
use aikit_kernel::{Asker, kernel::Program};
use futures::future::BoxFuture;

/// Runs lines `word argument`; the last `echo` is the value of the cell.
#[derive(Debug, Default)]
pub(crate) struct EchoEngine {
    running: Arc<Running>,
    asker: Arc<Asker>,
}

impl EchoEngine {
    /// A program in this language.
    pub(crate) fn into_program(self) -> Program {
        Program {
            asker: Some(Arc::clone(&self.asker)),
            history: None,
            engine: Arc::new(self),
            context: Context::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Running {
    stopped: Mutex<bool>,
    told: Condvar,
    busy: AtomicBool,
}

impl Running {
    /// Blocks like a tight loop that only an interrupt ends.
    fn spin(&self) -> Error {
        let mut interrupted = self.stopped.lock().unwrap();
        while !*interrupted {
            interrupted = self.told.wait(interrupted).unwrap();
        }
        Error::new(ErrorKind::Interrupted, "the cell was interrupted")
    }
}

pub(crate) fn text(text: &str) -> Map {
    Map::from_iter([("text/plain".to_owned(), Value::from(text))])
}

fn run_line(line: &str, running: &Running, sink: &dyn OutputSink) -> Result<Option<Map>> {
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    let print = |name, text: String| sink.emit(Output::Stream { name, text });
    let display = |update| {
        sink.emit(Output::Display {
            bundle: text(argument),
            metadata: Map::new(),
            display_id: Some("d".to_owned()),
            update,
        });
    };
    match word {
        "echo" => return Ok(Some(text(argument))),
        "print" => print(StreamName::Stdout, format!("{argument}\n")),
        "warn" => print(StreamName::Stderr, format!("{argument}\n")),
        "flood" => {
            let line_bytes: usize = 100;
            for _ in 0..argument.parse::<usize>().unwrap() {
                print(StreamName::Stdout, "x".repeat(line_bytes));
            }
        }
        "display" => display(false),
        "update" => display(true),
        "clear" => sink.emit(Output::Clear {
            wait: argument == "wait",
        }),
        "spin" => return Err(running.spin()),
        "panic" => panic!("as asked"),
        "fail" => {
            return Err(Error::new(ErrorKind::Script, argument)
                .with_traceback(vec!["cell [1]:1".to_owned()])
                .with_hint("write `echo`"));
        }
        _ => return Err(Error::new(ErrorKind::Script, format!("no word `{word}`"))),
    }
    Ok(None)
}

impl ScriptEngine for EchoEngine {
    fn language(&self) -> LanguageInfo {
        LanguageInfo {
            name: "echo",
            version: "1".to_owned(),
            mimetype: "text/x-echo",
            file_extension: ".echo",
            pygments_lexer: "text",
            codemirror_mode: "text",
        }
    }

    fn execute<'a>(
        &'a self,
        cx: &'a Context,
        cell: Cell,
        sink: Arc<dyn OutputSink>,
    ) -> BoxFuture<'a, Result<Option<Map>>> {
        Box::pin(async move {
            if let Some(prompt) = cell.code.strip_prefix("ask ") {
                let question = Question {
                    prompt: prompt.to_owned(),
                    choices: vec!["yes".to_owned(), "no".to_owned()],
                    secret: true,
                };
                return Ok(Some(text(&self.asker.ask(cx, question).await?)));
            }
            // A wait that only the Context ends, like that for a model.
            if cell.code == "wait" {
                return cx.within(std::future::pending()).await;
            }
            // Where it stands among the calls.
            if cell.code == "node" {
                let node = cx.node().map(|node| (node.name.to_string(), cx.depth()));
                return Ok(Some(text(&format!("{node:?}"))));
            }
            // What nothing ends.
            if cell.code == "hang" {
                return std::future::pending().await;
            }
            let running = Arc::clone(&self.running);
            *running.stopped.lock().unwrap() = false;
            running.busy.store(true, Ordering::SeqCst);
            let ended = Arc::clone(&running);
            let result = io::spawn_blocking(move || {
                let mut value = None;
                for line in cell.code.lines() {
                    value = run_line(line, &running, &*sink)?.or(value);
                }
                Ok(value)
            })
            .await;
            ended.busy.store(false, Ordering::SeqCst);
            result
        })
    }

    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Result<Completion>> {
        let start = code[..cursor]
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + 1);
        let typed = &code[start..cursor];
        let candidates = ["display", "echo", "print"].into_iter();
        let matches = candidates
            .filter(|word| word.starts_with(typed))
            .map(|word| CompletionMatch {
                text: word.to_owned(),
                kind: "function",
            });
        let completion = Completion {
            matches: matches.collect(),
            start,
            end: cursor,
        };
        Box::pin(async { Ok(completion) })
    }

    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail: u8,
    ) -> BoxFuture<'a, Result<Option<Map>>> {
        let found = code[..cursor]
            .ends_with("echo")
            .then(|| text(&format!("detail {detail}")));
        Box::pin(async { Ok(found) })
    }

    fn is_complete(&self, code: &str) -> Completeness {
        match code {
            "" => Completeness::Invalid,
            code if code.ends_with('\\') => Completeness::Incomplete {
                indent: "  ".to_owned(),
            },
            _ => Completeness::Complete,
        }
    }

    fn interrupt(&self) {
        if self.running.busy.load(Ordering::SeqCst) {
            *self.running.stopped.lock().unwrap() = true;
            self.running.told.notify_all();
        }
    }
}
