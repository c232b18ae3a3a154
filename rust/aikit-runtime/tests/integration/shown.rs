//! What a script shows is drawn when it is shown, and what it holds to be shown is bounded.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    broadcast::Delivery,
    context::Overrides,
    engine::{Cell, Output, ScriptEngine as _},
    io,
    value::Map,
};
use aikit_runtime::{
    api::{Appearance, Arg, Host, Resource, Return, StreamId, Target},
    lua::LuaEngine,
};
use futures::future::BoxFuture;

use super::support::{Border, Fixture, Sink, text};

/// Answers every call in one way, which counts what a test looks at.
#[derive(Debug)]
struct Answering {
    count: Arc<AtomicUsize>,
    answer: fn(&Arc<AtomicUsize>) -> Result<Return>,
}

impl Host for Answering {
    fn call<'a>(&'a self, _: &'a Context, _: Target, _: Vec<Arg>) -> BoxFuture<'a, Result<Return>> {
        Box::pin(async { (self.answer)(&self.count) })
    }

    fn next<'a>(&'a self, _: &'a Context, _: StreamId) -> BoxFuture<'a, Result<Option<Delivery>>> {
        Box::pin(async { Ok(None) })
    }

    fn release(&self, _: Resource) {}
}

/// Data; how often any of it was drawn is counted.
#[expect(clippy::unnecessary_wraps, reason = "one answer among others")]
fn counting(count: &Arc<AtomicUsize>) -> Result<Return> {
    let count = Arc::clone(count);
    let appearance = Appearance::new(move || {
        let drawn = 1 + count.fetch_add(1, Ordering::SeqCst);
        let text = Value::from(format!("drawing {drawn}"));
        Ok(Map::from_iter([("text/plain".to_owned(), text)]))
    });
    let value = Value::map([("output", Value::from("hello"))]);
    Ok(Return::Shown(value, appearance))
}

/// An error that is none for lack of room; the calls are counted.
fn refusing(count: &Arc<AtomicUsize>) -> Result<Return> {
    count.fetch_add(1, Ordering::SeqCst);
    Err(Error::new(ErrorKind::LimitExceeded, "too much"))
}

/// An engine whose host answers like that, and what is counted.
fn answering(
    answer: fn(&Arc<AtomicUsize>) -> Result<Return>,
) -> (Arc<LuaEngine>, Arc<AtomicUsize>) {
    let count = Arc::<AtomicUsize>::default();
    let host = Answering {
        count: Arc::clone(&count),
        answer,
    };
    (Arc::new(LuaEngine::new(Arc::new(host)).unwrap()), count)
}

#[test]
fn what_is_not_shown_is_not_drawn() {
    let (engine, drawn) = answering(counting);
    let sink = Arc::<Sink>::default();
    let shown = |code: &str| {
        let cell = Cell {
            code: code.to_owned(),
            name: "cell".to_owned(),
            shell: None,
        };
        let (engine, sink) = (Arc::clone(&engine), sink.clone());
        let running = async move { engine.execute(&Context::default(), cell, sink).await };
        let bundle = io::wait(running, || Ok(())).unwrap().unwrap();
        bundle.map_or_else(String::new, |it| text(&it, "text/plain"))
    };
    shown("kept = {} for i = 1, 1000 do kept[i] = Tool.list() end");
    assert_eq!(shown("kept[1].output"), "\"hello\"");
    assert_eq!(drawn.load(Ordering::SeqCst), 0);
    assert_eq!(shown("kept[1]"), "drawing 1");
    assert_eq!(shown("kept[1]"), "drawing 2");
    shown("display(kept[2])");
    assert_eq!(drawn.load(Ordering::SeqCst), 3);
}

#[test]
fn the_run_of_an_agent_shows_its_answer_and_its_executions_each_time() {
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        fixture
            .run("run = Agent{name = 'greeter', model = Model('scripted:s', {answers = {'hello'}})}:run('hi')")
            .unwrap();
        let first = fixture.shown("run");
        assert!(first.starts_with("hello\n\n"), "{first}");
        assert!(first.contains("greeter") && first.contains("✓"), "{first}");
        assert_eq!(fixture.shown("run"), first);
    }
}

/// The bundles that were displayed so far.
fn displayed(fixture: &Fixture) -> Vec<Map> {
    let outputs = fixture.sink.take().into_iter();
    let bundles = outputs.filter_map(|output| match output {
        Output::Display { bundle, .. } => Some(bundle),
        _ => None,
    });
    bundles.collect()
}

#[test]
fn a_chart_that_is_shown_again_looks_the_same() {
    let fixture = Fixture::new();
    fixture
        .run("chart = plot{kind = 'bar', data = {3, 1, 2}, title = 'T'} display(chart)")
        .unwrap();
    let shown = fixture.run("chart").unwrap().unwrap();
    let all = displayed(&fixture);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|bundle| *bundle == shown), "{all:#?}");
    assert!(shown.contains_key("image/svg+xml"));
    fixture.run("chart:update{data = {7}}").unwrap();
    let updated = displayed(&fixture);
    assert_eq!(fixture.run("chart").unwrap().as_ref(), updated.first());
    assert_ne!(updated.first(), Some(&shown));
}

/// A chart that is drawn in no time, and made of a mebibyte.
const LARGE: &str = "local function large() \
     return plot{data = {x = {1}, y = {2}, note = {('x'):rep(1 << 20)}}} end ";
const MIB: usize = 1 << 20;

#[test]
fn charts_that_a_loop_drops_take_little() {
    for (border, cells) in [(Border::Local, 20), (Border::Pipe, 1)] {
        let fixture = Fixture::with(border);
        for _ in 0..cells {
            fixture
                .run(&format!("{LARGE} for _ = 1, 20 do large() end"))
                .unwrap();
            let held = fixture.session.object_bytes();
            assert!((1..10 * MIB).contains(&held), "{border:?}: {held}");
            drop(fixture.sink.take());
        }
    }
}

#[test]
fn what_a_chart_has_shown_before_takes_nothing() {
    let fixture = Fixture::new();
    let code = format!(
        "{LARGE} chart = large() for i = 1, 300 do \
         chart:update{{data = {{x = {{i}}, y = {{2}}, note = {{('x'):rep(1 << 20)}}}}}} end"
    );
    fixture.run(&code).unwrap();
    let held = fixture.session.object_bytes();
    assert!((MIB..2 * MIB).contains(&held), "{held}");
}

#[test]
fn charts_that_are_kept_are_bounded_and_room_that_is_freed_is_found() {
    let fixture = Fixture::new();
    let error = fixture.fails(&format!(
        "{LARGE} kept = {{}} for i = 1, 300 do kept[i] = large() end"
    ));
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.message().contains("257 MiB"), "{error}");
    assert!(error.hint().unwrap_or_default().contains("nil"));
    assert_eq!(fixture.shown("#kept"), "255");
    assert!(fixture.session.object_bytes() <= 256 * MIB);
    // What is refused has no effect, and one that becomes smaller is not.
    let grow = "note = {('x'):rep(2 << 20)}";
    let update = |note: &str| format!("kept[1]:update{{data = {{x = {{1}}, y = {{5}}, {note}}}}}");
    assert_eq!(
        fixture.fails(&update(grow)).kind(),
        ErrorKind::LimitExceeded
    );
    assert_eq!(fixture.shown("kept[1]:vega_lite().data.values[1].y"), "2.0");
    fixture.run(&update("note = {'x'}")).unwrap();
    assert_eq!(fixture.shown("kept[1]:vega_lite().data.values[1].y"), "5.0");
    fixture.run(&update("note = {'x'}")).unwrap();
    // Collected when there is no room otherwise.
    fixture
        .run(&format!(
            "{LARGE} kept = {{}} for i = 1, 200 do kept[i] = large() end"
        ))
        .unwrap();
}

/// Answers every call with data whose drawing says that it has begun and goes on when it is told.
#[derive(Debug)]
struct Gated {
    begun: mpsc::Sender<()>,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Host for Gated {
    fn call<'a>(&'a self, _: &'a Context, _: Target, _: Vec<Arg>) -> BoxFuture<'a, Result<Return>> {
        let (begun, gate) = (self.begun.clone(), Arc::clone(&self.gate));
        let appearance = Appearance::new(move || {
            let _sent = begun.send(());
            let _told = gate.lock().unwrap().recv_timeout(LIMIT);
            Ok(Map::from_iter([("text/plain".to_owned(), "drawn".into())]))
        });
        Box::pin(async move {
            Ok(Return::Shown(
                Value::map([("a", Value::from(true))]),
                appearance,
            ))
        })
    }

    fn next<'a>(&'a self, _: &'a Context, _: StreamId) -> BoxFuture<'a, Result<Option<Delivery>>> {
        Box::pin(async { Ok(None) })
    }

    fn release(&self, _: Resource) {}
}

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs a cell of a shell; its outcome comes later.
fn begin(
    engine: &Arc<LuaEngine>,
    shell: Option<&str>,
    code: &str,
) -> mpsc::Receiver<Result<Option<Map>>> {
    let cell = Cell {
        code: code.to_owned(),
        name: "cell".to_owned(),
        shell: shell.map(Arc::from),
    };
    let (engine, (sender, outcome)) = (Arc::clone(engine), mpsc::channel());
    drop(io::spawn(async move {
        let outcome = engine
            .execute(&Context::default(), cell, Arc::<Sink>::default())
            .await;
        drop(sender.send(outcome));
    }));
    outcome
}

#[test]
fn what_is_drawn_can_be_interrupted_and_holds_up_no_other_shell() {
    let ((begun, has_begun), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let host = Gated {
        begun,
        gate: Arc::new(Mutex::new(gate)),
    };
    let engine = Arc::new(LuaEngine::new(Arc::new(host)).unwrap());
    let run = |code| begin(&engine, None, code).recv_timeout(LIMIT).unwrap();
    run("kept = Tool.list() first = display('first')").unwrap();
    let cases = [
        "kept",
        "display(kept)",
        "while true do pcall(display, kept) end",
        "update_display(kept, {display_id = 'x'})",
        "first:update(kept)",
        "coroutine.wrap(function() display(kept) end)()",
    ];
    for code in cases {
        let outcome = begin(&engine, None, code);
        has_begun.recv_timeout(LIMIT).unwrap();
        let other = begin(&engine, Some("other"), "return 1 + 1");
        let other = other.recv_timeout(LIMIT / 2);
        assert!(other.is_ok_and(|it| it.is_ok()), "{code}");
        engine.interrupt();
        let outcome = outcome.recv_timeout(LIMIT / 2);
        let error = outcome.expect(code).expect_err(code);
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{code}");
        // What was given up goes on by itself.
        open.send(()).unwrap();
    }
}

#[test]
fn only_what_there_is_no_room_for_is_asked_for_again() {
    let (engine, calls) = answering(refusing);
    let outcome = begin(&engine, None, "plot{data = {1, 2}}");
    let error = outcome.recv_timeout(LIMIT).unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::LimitExceeded, "too much")
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A run of an agent that is kept.
const RUN: &str = "run = Agent{name = 'greeter', model = Model('scripted:s', {answers = \
                   {'hello'}})}:run('hi') ";

#[test]
fn a_run_shows_its_executions_whatever_the_cell_called_later() {
    let fixture = Fixture::new();
    let more = "local step = Procedure.create{name = 'step', function() end} \
                for i = 1, 10100 do step() end";
    let shown = fixture.shown(&format!("{RUN} {more} return run"));
    assert!(shown.contains("greeter") && shown.contains("✓"), "{shown}");
}

#[test]
fn a_run_that_is_kept_holds_no_graph() {
    let fixture = Fixture::new();
    let context = &fixture.session.components().context;
    let cx = context.root_child(Overrides::default());
    let graph = Arc::downgrade(cx.graph());
    fixture.run_in(&cx, RUN).unwrap();
    drop(cx);
    fixture.run("collectgarbage()").unwrap();
    assert!(graph.upgrade().is_none());
    assert!(fixture.shown("run").contains("greeter"));
}
