//! Sessions, engines and sinks for tests.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use aikit_components::{
    config::Variables,
    registry::{Components, Setup},
    security::policy::Profile,
};
use aikit_core::{
    Context, Error, Result, Value,
    context::{Overrides, Principal},
    engine::{Cell, Output, OutputSink, ScriptEngine as _},
    io,
    services::{Ask, Question},
    value::Map,
};
use aikit_runtime::{
    api::{Host, LocalHost, Session, pipe},
    lua::LuaEngine,
};
use futures::future::BoxFuture;

/// How long a cell may take to print something; far more than any needs.
const PRINT_LIMIT: Duration = Duration::from_secs(20);

/// Keeps what a cell produces.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    outputs: Mutex<Vec<Output>>,
    came: Condvar,
}

impl OutputSink for Sink {
    fn emit(&self, output: Output) {
        self.outputs.lock().unwrap().push(output);
        self.came.notify_all();
    }
}

impl Sink {
    /// Takes everything so far.
    pub(crate) fn take(&self) -> Vec<Output> {
        std::mem::take(&mut self.outputs.lock().unwrap())
    }

    /// Waits until something was printed, and takes everything so far.
    pub(crate) fn wait_for_text(&self) {
        let has_text =
            |output: &Output| matches!(output, Output::Stream { text, .. } if !text.is_empty());
        let mut outputs = self.outputs.lock().unwrap();
        while !outputs.iter().any(has_text) {
            let (later, waited) = self.came.wait_timeout(outputs, PRINT_LIMIT).unwrap();
            outputs = later;
            assert!(
                !waited.timed_out(),
                "nothing was printed within {PRINT_LIMIT:?}"
            );
        }
        outputs.clear();
    }

    /// Takes everything so far; the texts of all streams.
    pub(crate) fn text(&self) -> String {
        let texts = self.take().into_iter().filter_map(|output| match output {
            Output::Stream { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }
}

/// Answers every question with its prompt in capitals.
#[derive(Debug)]
struct Loud;

impl Ask for Loud {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move { Ok(question.prompt.to_uppercase()) })
    }
}

/// How the engine reaches the session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Border {
    /// In the same process.
    Local,
    /// Over a pipe of a few bytes.
    Pipe,
}

/// An engine with its session, in a folder of its own.
pub(crate) struct Fixture {
    pub(crate) engine: Arc<LuaEngine>,
    pub(crate) session: Session,
    pub(crate) sink: Arc<Sink>,
    pub(crate) folder: PathBuf,
    count: Mutex<usize>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Border::Local)
    }

    pub(crate) fn with(border: Border) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let components = Components::assemble(Setup {
            profile: Profile::Notebook,
            working_directory: folder.path().to_owned(),
            variables: Variables::none(),
            ask: Some(Arc::new(Loud)),
            principal: Principal::default(),
        })
        .unwrap();
        let session = Session::new(components);
        let host: Arc<dyn Host> = match border {
            Border::Local => Arc::new(LocalHost::new(session.clone())),
            Border::Pipe => {
                let (ours, theirs) = tokio::io::duplex(64);
                let (reader, writer) = tokio::io::split(theirs);
                let (served, cx) = (session.clone(), session.components().context.clone());
                drop(io::spawn(async move {
                    pipe::serve(served, cx, reader, writer).await
                }));
                let (reader, writer) = tokio::io::split(ours);
                Arc::new(pipe::PipeHost::new(reader, writer))
            }
        };
        Self {
            engine: Arc::new(LuaEngine::new(host).unwrap()),
            session,
            sink: Arc::default(),
            folder: folder.path().to_owned(),
            count: Mutex::new(0),
            _folder: folder,
        }
    }

    /// Runs a cell; what it shows.
    pub(crate) fn run(&self, code: &str) -> Result<Option<Map>> {
        let context = &self.session.components().context;
        self.run_in(&context.root_child(Overrides::default()), code)
    }

    /// Runs a cell in a Context.
    pub(crate) fn run_in(&self, cx: &Context, code: &str) -> Result<Option<Map>> {
        let number = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            *count
        };
        let cell = Cell {
            code: code.to_owned(),
            name: format!("cell [{number}]"),
            shell: None,
        };
        let (engine, sink, cx) = (Arc::clone(&self.engine), self.sink.clone(), cx.clone());
        let outcome = io::wait(async move { engine.execute(&cx, cell, sink).await }, || {
            Ok(())
        });
        outcome.unwrap()
    }

    /// The text that a cell shows; empty when it shows nothing.
    pub(crate) fn shown(&self, code: &str) -> String {
        let bundle = self
            .run(code)
            .unwrap_or_else(|error| panic!("{code}: {error:?}\n{:#?}", error.traceback()));
        let text = bundle.and_then(|mut bundle| bundle.shift_remove("text/plain"));
        text.and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The error that a cell ends with.
    pub(crate) fn fails(&self, code: &str) -> Error {
        self.run(code).expect_err(code)
    }
}

/// A map of one text.
pub(crate) fn text(bundle: &Map, key: &str) -> String {
    bundle
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Runs cells in one session; each shows what stands beside it.
pub(crate) fn check(cells: &[(&str, &str)]) {
    let fixture = Fixture::new();
    for (code, expected) in cells {
        assert_eq!(fixture.shown(code), *expected, "{code}");
    }
}

/// What the last display of a cell showed.
pub(crate) fn displayed(fixture: &Fixture, code: &str) -> Map {
    drop(fixture.sink.take());
    fixture.run(code).unwrap();
    let shown = fixture.sink.take().into_iter().filter_map(|it| match it {
        Output::Display { bundle, .. } => Some(bundle),
        _ => None,
    });
    shown.last().unwrap()
}
