//! How soon a cancelled Context ends what runs in it: a future of Rust, an HTTP request, a Lua cell
//! that waits, and one in a tight loop. Coroutines and functions of Python are measured by
//! `core/procedures.py`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    io::Read as _,
    net::TcpListener,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use aikit_components::{
    config::Variables,
    registry::{Components, Setup},
    security::policy::Profile,
    tools,
};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    clock::{Clock as _, SystemClock},
    context::{Overrides, Principal},
    engine::{Cell, Output, OutputSink, ScriptEngine as _},
    io,
    procedure::Procedure,
};
use aikit_runtime::{
    api::{LocalHost, Session},
    lua::LuaEngine,
};

/// Cancellations of each kind.
const RUNS: usize = 100;

/// From the moment in which the work has begun to its cancellation: nobody cancels sooner.
const SETTLE: Duration = Duration::from_millis(2);

/// How long the work would take; longer than any run of this program.
const LONG_SECONDS: u32 = 600;

/// Tells that a cell has printed something.
#[derive(Debug)]
struct Began(Sender<()>);

impl OutputSink for Began {
    fn emit(&self, _: Output) {
        // A cell that prints again is heard no more.
        let _ = self.0.send(());
    }
}

/// What is cancelled: begins the work and tells when it has begun.
type Begin = Box<dyn Fn(&Context, Sender<()>) -> Result<()>>;

fn main() -> Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("aikit-cancel-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let components = Components::assemble(Setup {
        profile: Profile::Notebook,
        working_directory: folder.clone(),
        variables: Variables::none(),
        ask: None,
        principal: Principal::default(),
    })?;
    let session = Session::new(components);
    let outcome = measure_all(&session);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure_all(session: &Session) -> Result<ExitCode> {
    let engine = Arc::new(LuaEngine::new(Arc::new(LocalHost::new(session.clone())))?);
    let ways: [(&str, u32, Begin); 4] = [
        ("a future of Rust", 100, Box::new(wait_in_rust)),
        ("an HTTP request", 100, request(session)?),
        (
            "a Lua cell that waits",
            100,
            cell(&engine, format!("print('on') sleep({LONG_SECONDS})")),
        ),
        (
            "a tight Lua loop",
            20,
            cell(&engine, "print('on') while true do end".to_owned()),
        ),
    ];
    let mut is_missed = false;
    for (name, target_ms, begin) in ways {
        let mut times = (0..RUNS)
            .map(|_| measure(session, &begin))
            .collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        let (median, slowest) = (times[RUNS / 2], times[RUNS - 1]);
        let has_missed = slowest > Duration::from_millis(target_ms.into());
        is_missed |= has_missed;
        println!(
            "cancel: {name}: median {median:.2?}, slowest {slowest:.2?} (target {target_ms} ms){}",
            if has_missed { "   MISSED" } else { "" }
        );
    }
    Ok(ExitCode::from(u8::from(is_missed)))
}

/// From the cancellation of a Context to the end of what runs in it.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of this program's own pauses"
)]
fn measure(session: &Session, begin: &Begin) -> Result<Duration> {
    let cx = session
        .components()
        .context
        .root_child(Overrides::default());
    let (sender, has_begun): (_, Receiver<()>) = mpsc::channel();
    let doomed = cx.clone();
    let canceller = thread::spawn(move || {
        // An error means that the work has failed, which its own error tells.
        let _ = has_begun.recv();
        thread::sleep(SETTLE);
        let at = SystemClock.monotonic();
        doomed.cancel(ErrorKind::Cancelled, "enough");
        at
    });
    let outcome = begin(&cx, sender);
    let ended = SystemClock.monotonic();
    let at = canceller
        .join()
        .map_err(|_| Error::new(ErrorKind::Internal, "the thread that cancels has panicked"))?;
    match outcome {
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(ended.saturating_sub(at)),
        Err(error) => Err(error),
        Ok(()) => Err(Error::new(
            ErrorKind::Internal,
            "the work has ended by itself",
        )),
    }
}

fn wait<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<()> {
    io::wait(work, || Ok(()))?.map(drop)
}

fn wait_in_rust(cx: &Context, began: Sender<()>) -> Result<()> {
    let procedure = Procedure::new("waits", move |_, _| {
        let _ = began.send(());
        std::future::pending::<Result<Value>>()
    });
    let cx = cx.clone();
    wait(async move { procedure.call(&cx, Value::Null).await })
}

/// A request to a server that reads it and never answers.
fn request(session: &Session) -> Result<Begin> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (accepted, has_accepted) = mpsc::channel::<Sender<()>>();
    thread::spawn(move || {
        for began in has_accepted {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            drop(stream.read(&mut [0; 1024]));
            let _ = began.send(());
            // Until the client has hung up.
            while stream.read(&mut [0; 1024]).is_ok_and(|it| it > 0) {}
        }
    });
    let tool = tools::Registry::with_built_ins().find("request_http")?;
    let session = session.clone();
    Ok(Box::new(move |cx, began| {
        // The server lives as long as the program.
        drop(accepted.send(began));
        let cx = session.components().tool_context().with_context(cx.clone());
        let (tool, url) = (tool.clone(), Value::from(url.as_str()));
        wait(async move { tools::invoke(&cx, &tool, Value::map([("url", url)])).await })
    }))
}

fn cell(engine: &Arc<LuaEngine>, code: String) -> Begin {
    let engine = Arc::clone(engine);
    Box::new(move |cx, began| {
        let cell = Cell {
            code: code.clone(),
            name: "cell [1]".to_owned(),
            shell: None,
        };
        let (engine, cx) = (Arc::clone(&engine), cx.clone());
        wait(async move { engine.execute(&cx, cell, Arc::new(Began(began))).await })
    })
}
