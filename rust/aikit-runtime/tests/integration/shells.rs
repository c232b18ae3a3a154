//! Cells of several shells take turns in one state.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::Overrides,
    engine::{Cell, ScriptEngine as _},
    io,
    value::Map,
};

use super::support::{Border, Fixture, Sink, text};

/// Far more than any of these cells needs.
const LIMIT: Duration = Duration::from_secs(20);

/// A cell that was begun.
struct Begun {
    cx: Context,
    sink: Arc<Sink>,
    outcome: mpsc::Receiver<Result<Option<Map>>>,
}

impl Begun {
    fn end(&self) -> Result<Option<Map>> {
        self.outcome.recv_timeout(LIMIT).expect("the cell ends")
    }

    fn shown(&self) -> String {
        self.end()
            .unwrap()
            .map_or_else(String::new, |it| text(&it, "text/plain"))
    }

    /// Waits until it has printed something.
    fn wait_for_print(&self) {
        self.sink.wait_for_text();
    }
}

/// Begins a cell of a shell, with a Context and a place for its output of its own.
fn begin(fixture: &Fixture, shell: Option<&str>, code: &str) -> Begun {
    let context = &fixture.session.components().context;
    let cx = context.root_child(Overrides {
        request_id: Some(context.clock().uuid().to_string()),
        ..Overrides::default()
    });
    let cell = Cell {
        code: code.to_owned(),
        name: format!("cell of {}", shell.unwrap_or("the main shell")),
        shell: shell.map(Into::into),
    };
    let (engine, sink) = (Arc::clone(&fixture.engine), Arc::<Sink>::default());
    let (sender, outcome) = mpsc::channel();
    let (running, output) = (cx.clone(), Arc::clone(&sink));
    drop(io::spawn(async move {
        let _gone = sender.send(engine.execute(&running, cell, output).await);
    }));
    Begun { cx, sink, outcome }
}

/// Loops that never wait, until somebody says `done`.
const LOOPS: &[(&str, &str)] = &[
    ("tight", "while not done do end"),
    (
        "counted",
        "for i = 1, math.huge do if done then break end end",
    ),
    (
        "nested calls",
        "local function f() return done end while not f() do end",
    ),
    (
        "pcall",
        "while not done do pcall(function() for i = 1, 1000 do end end) end",
    ),
    (
        "pcall around all",
        "assert(pcall(function() while not done do end end))",
    ),
    (
        "xpcall around all",
        "assert(xpcall(function() while not done do end end, print))",
    ),
    (
        "a coroutine",
        "assert(coroutine.resume(coroutine.create(function() while not done do end end)))",
    ),
    (
        "a coroutine in a coroutine",
        "coroutine.wrap(function() coroutine.wrap(function() while not done do end end)() end)()",
    ),
    (
        "a coroutine that yields",
        "local next = coroutine.wrap(function() while true do coroutine.yield(done) end end) \
         while not next() do end",
    ),
    (
        "what a coroutine yields is not lost",
        "local next = coroutine.wrap(function() local n = 0 while true do n = n + 1 \
         coroutine.yield(n) end end) local last = 0 \
         while not done do local n = next() assert(n == last + 1) last = n end",
    ),
    (
        "a metamethod",
        "local t = setmetatable({}, {__index = function() while not done do end return 1 end}) \
         assert(t.x == 1)",
    ),
    (
        "where nothing can yield, now and then",
        "local t = {3, 2, 1} while not done do \
         table.sort(t, function(a, b) for i = 1, 10000 do end return a < b end) end",
    ),
    (
        "a coroutine where nothing can yield, now and then",
        "while not done do ('x'):gsub('x', function() \
         coroutine.wrap(function() for i = 1, 10000 do end end)() end) end",
    ),
    (
        "a task",
        "await(async(function() while not done do end end))",
    ),
    (
        "a procedure",
        "Procedure.create{name = 'loops', function() while not done do end return true end}:run()",
    ),
    (
        "a generator of a procedure",
        "local p = Procedure.create{name = 'items', generator = true, function() \
         while not done do coroutine.yield(1) end end} for item in p:stream() do assert(item == 1) end",
    ),
    (
        "code that is named as ours",
        "assert(load('while not done do end', '@[aikit]'))()",
    ),
    (
        "code that begins as the names of ours do",
        "assert(load('\\n__mlua_x = 1 while not done do end'))()",
    ),
    (
        "a variable to be closed",
        "do local x <close> = setmetatable({}, {__close = function() while not done do end end}) \
         end",
    ),
];

#[test]
fn a_cell_of_a_subshell_runs_while_another_computes() {
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        for (name, code) in LOOPS {
            fixture.run("done = false").unwrap();
            let main = begin(&fixture, None, &format!("print('on') {code}"));
            main.wait_for_print();
            let beside = begin(&fixture, Some("1"), "seen = 6 * 7; return seen");
            assert_eq!(beside.shown(), "42", "{name}");
            assert!(main.outcome.try_recv().is_err(), "{name} goes on");
            begin(&fixture, Some("1"), "done = true").end().unwrap();
            main.end()
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(fixture.shown("seen"), "42", "{name}");
        }
    }
}

#[test]
fn cells_of_one_shell_run_one_after_the_other() {
    let fixture = Fixture::new();
    for shell in [None, Some("1")] {
        let first = begin(
            &fixture,
            shell,
            "order = {} print('on') sleep(0.02) order[1] = 'first'",
        );
        first.wait_for_print();
        let second = begin(&fixture, shell, "order[#order + 1] = 'second'");
        second.end().unwrap();
        first.end().unwrap();
        assert_eq!(
            fixture.shown("table.concat(order, ' ')"),
            "\"first second\""
        );
    }
}

#[test]
fn what_is_preempted_is_not_overtaken_by_tasks_of_its_own_shell() {
    let fixture = Fixture::new();
    // No task sees the others between two lines that do not wait, although they are preempted.
    let code = "steps, torn = 0, 0 \
        local function work() for i = 1, 20 do local before = steps \
          for j = 1, 200000 do end \
          if steps ~= before then torn = torn + 1 end steps = steps + 1 sleep(0) end end \
        print('on') gather{async(work), async(work), async(work)} ended = true";
    let main = begin(&fixture, None, code);
    main.wait_for_print();
    // It computes all along, so that whoever else does is preempted.
    let beside = begin(
        &fixture,
        Some("1"),
        "turns = 0 while not ended do turns = turns + 1 end",
    );
    main.end().unwrap();
    beside.end().unwrap();
    assert_eq!(fixture.shown("steps"), "60");
    assert_eq!(fixture.shown("torn"), "0");
}

#[test]
fn one_of_several_cells_is_stopped_and_all_are() {
    let fixture = Fixture::new();
    let code = "print('on') while true do pcall(function() while not never do end end) end";
    let cells: Vec<_> = [None, Some("1"), Some("2")]
        .map(|shell| begin(&fixture, shell, code))
        .into_iter()
        .collect();
    cells.iter().for_each(Begun::wait_for_print);
    let kind = |outcome: Result<Option<Map>>| outcome.err().as_ref().map(Error::kind);
    fixture.engine.interrupt_cell(&cells[1].cx);
    assert_eq!(kind(cells[1].end()), Some(ErrorKind::Interrupted));
    assert!(cells[0].outcome.try_recv().is_err() && cells[2].outcome.try_recv().is_err());
    // A cell that is cancelled from above ends alone as well.
    cells[2].cx.cancel(ErrorKind::Cancelled, "as asked");
    assert_eq!(kind(cells[2].end()), Some(ErrorKind::Cancelled));
    assert!(cells[0].outcome.try_recv().is_err());
    let more = begin(&fixture, Some("1"), code);
    more.wait_for_print();
    fixture.engine.interrupt();
    for cell in [&cells[0], &more] {
        assert_eq!(kind(cell.end()), Some(ErrorKind::Interrupted));
    }
    assert_eq!(fixture.shown("1 + 1"), "2");
}

#[test]
fn output_belongs_to_the_cell_that_made_it() {
    let fixture = Fixture::new();
    fixture
        .run("Tool.create{name = 'says', summary = 'x', fn = function() print('tool') end}")
        .unwrap();
    let code = |name: &str| {
        format!("for i = 1, 50 do async(function() print('{name}') end) Tool.says{{}} sleep(0) end")
    };
    let cells = [(None, "main"), (Some("1"), "beside")];
    let cells = cells.map(|(shell, name)| (name, begin(&fixture, shell, &code(name))));
    for (name, cell) in cells {
        cell.end().unwrap();
        let text = cell.sink.text();
        let count = |wanted: &str| text.lines().filter(|line| *line == wanted).count();
        assert_eq!(
            (count(name), count("tool"), text.lines().count()),
            (50, 50, 100),
            "{text}"
        );
    }
}

#[test]
fn a_coroutine_that_was_preempted_is_that_of_its_resumer() {
    // Each way to resume `co`, which computes until `done`.
    let ways = [
        "return select(2, coroutine.resume(co))",
        "return select(2, coroutine.resume(coroutine.create(function() \
           return select(2, coroutine.resume(co)) end)))",
        "return coroutine.wrap(function() return select(2, coroutine.resume(co)) end)()",
        "return await(async(function() return select(2, coroutine.resume(co)) end))",
    ];
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        for way in ways {
            fixture
                .run(
                    "done = false co = coroutine.create(function() local n = 0 print('on') \
                     while not done do n = n + 1 end return n > 0 end)",
                )
                .unwrap();
            let main = begin(&fixture, None, way);
            main.wait_for_print();
            for (code, expected) in [
                ("return coroutine.status(co)", "normal"),
                (
                    "return select(2, coroutine.resume(co, 1))",
                    "cannot resume non-suspended coroutine",
                ),
                (
                    "return select(2, pcall(coroutine.close, co))",
                    "cannot close a normal coroutine",
                ),
            ] {
                let shown = begin(&fixture, Some("1"), code).shown();
                assert_eq!(shown, format!("\"{expected}\""), "{way}");
            }
            begin(&fixture, Some("1"), "done = true").end().unwrap();
            assert_eq!(main.shown(), "true", "{way}");
            assert_eq!(fixture.shown("coroutine.status(co)"), "\"dead\"", "{way}");
        }
    }
}

#[test]
fn a_wrapped_coroutine_that_was_preempted_is_that_of_its_caller() {
    let fixture = Fixture::new();
    fixture
        .run(
            "done = false next_one = coroutine.wrap(function() print('on') \
             while not done do end coroutine.yield(1) return 2 end)",
        )
        .unwrap();
    let main = begin(&fixture, None, "return next_one()");
    main.wait_for_print();
    let beside = begin(&fixture, Some("1"), "return select(2, pcall(next_one))");
    let shown = beside.shown();
    assert!(
        shown.contains("cannot resume non-suspended coroutine"),
        "{shown}"
    );
    begin(&fixture, Some("1"), "done = true").end().unwrap();
    assert_eq!(main.shown(), "1");
    // Once it has handed something out, it is anybody's.
    assert_eq!(begin(&fixture, Some("1"), "return next_one()").shown(), "2");
}

#[test]
fn what_a_stopped_cell_had_resumed_is_dead_to_all() {
    let fixture = Fixture::new();
    fixture
        .run(
            "co = coroutine.create(function() \
               inner = coroutine.create(function() print('on') while true do end end) \
               coroutine.resume(inner) end)",
        )
        .unwrap();
    let main = begin(&fixture, None, "coroutine.resume(co) while true do end");
    main.wait_for_print();
    let seen = begin(&fixture, Some("1"), "return coroutine.status(inner)");
    assert_eq!(seen.shown(), "\"normal\"");
    fixture.engine.interrupt_cell(&main.cx);
    main.end().unwrap_err();
    for name in ["inner", "co"] {
        let shown = fixture.shown(&format!("coroutine.status({name})"));
        assert_eq!(shown, "\"dead\"", "{name}");
    }
}
