//! The engine: what cells keep, what waits, how sessions live side by side.

use std::sync::Arc;

use aikit_core::{
    Context, ErrorKind,
    context::Overrides,
    engine::{Cell, ScriptEngine as _},
    io,
};

use crate::support::{Fixture, check, text};

#[test]
fn memory_can_be_released_in_a_cell() {
    check(&[
        (
            "before = collectgarbage('count') kept = ('x'):rep(1 << 24)",
            "",
        ),
        ("collectgarbage('count') - before > 16000", "true"),
        (
            "kept = nil return collectgarbage(), collectgarbage('count') - before < 8000",
            "(0, true)",
        ),
        (
            "collectgarbage('collect'), type(collectgarbage('step', 1))",
            "(0, \"boolean\")",
        ),
    ]);
}

#[test]
fn local_variables_live_on() {
    check(&[
        ("local x = 1", ""),
        ("x", "1"),
        ("x = x + 1\nx", "2"),
        ("local x = x * 10", ""),
        ("x", "20"),
        ("local a, b <const> = 1, 'fixed'", ""),
        ("a, b", "(1, \"fixed\")"),
        (
            "do local hidden = 1 end for i = 1, 2 do local inner = i end",
            "",
        ),
        ("hidden == nil and inner == nil and i == nil", "true"),
        ("local function twice(n) return n * 2 end", ""),
        ("twice(21)", "42"),
        (
            "local function fact(n) return n < 2 and 1 or n * fact(n - 1) end",
            "",
        ),
        ("fact(5)", "120"),
        ("local print_now = 3; print_now", "3"),
    ]);
}

#[test]
fn functions_and_later_cells_share_one_variable() {
    check(&[
        (
            "local count = 0\nfunction add() count = count + 1 return count end",
            "",
        ),
        ("add()\nadd()", "2"),
        ("count", "2"),
        ("count = 10", ""),
        ("add()", "11"),
        ("local function peek() return count end\ncount = 50", ""),
        ("peek(), add()", "(50, 51)"),
        // A new variable of the same name leaves the function its own.
        ("local count = 'new'", ""),
        ("count, add()", "(\"new\", 52)"),
    ]);
}

#[test]
fn shadowing_inside_a_cell_is_luas() {
    check(&[(
        "local x = 1\nlocal function first() return x end\nlocal x = 2\nlocal function second() return x end\nfirst(), second(), x",
        "(1, 2, 2)",
    )]);
}

#[test]
fn variables_before_an_error_or_an_early_return_live_on() {
    let fixture = Fixture::new();
    assert_eq!(
        fixture
            .fails("local x = 7\nerror('no')\nlocal y = 8")
            .kind(),
        ErrorKind::Script
    );
    assert_eq!(fixture.shown("x, y"), "(7, nil)");
    assert_eq!(
        fixture.shown("local z = 1\nif z then return end\nlocal w = 2"),
        ""
    );
    assert_eq!(fixture.shown("z, w"), "(1, nil)");
}

#[test]
fn a_closed_variable_is_closed_at_the_end_of_its_cell() {
    check(&[
        (
            "closed = 0\nlocal c <close> = setmetatable({}, {__close = function() closed = closed + 1 end})",
            "",
        ),
        ("closed, c", "(1, nil)"),
    ]);
}

#[test]
fn goto_and_labels_keep_their_rules() {
    check(&[
        (
            "local n = 0\n::again::\nn = n + 1\nif n < 3 then goto again end\nn",
            "3",
        ),
        (
            "for i = 1, 3 do if i == 2 then goto continue end n = n + i ::continue:: end",
            "",
        ),
        ("n", "7"),
    ]);
}

#[test]
fn an_end_too_many_is_a_syntax_error() {
    let fixture = Fixture::new();
    for code in [
        "end",
        "x = 1 end print(1) do",
        "return 1 end function f()",
        "f(",
        "x =",
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::Script, "{code}");
        assert!(error.message().starts_with("cell ["), "{code}: {error}");
    }
}

#[test]
fn tasks_run_while_others_wait() {
    check(&[
        (
            "local order = {}\nlocal function step(name, wait) return async(function() wait() order[#order + 1] = name return name end) end\n\
             local a = step('a', function() repeat sleep(0) until order[1] end)\n\
             local b = step('b', function() sleep(0.001) end)\nlocal first, second = await(a, b)\nfirst, second, order",
            "(\"a\", \"b\", {\"b\", \"a\"})",
        ),
        (
            "await(async(function(x, y) return x + y, 'more' end, 1, 2))",
            "(3, \"more\")",
        ),
        (
            "gather{function() sleep(0.01) return 1 end, function() return 2 end}",
            "{1, 2}",
        ),
        (
            "race{function() sleep(60) end, function() return 'fast' end}",
            "\"fast\"",
        ),
        ("timeout(60, function() return 5, 6 end)", "(5, 6)"),
        (
            "local ok, err = pcall(timeout, 0.01, function() sleep(60) end)\nok, err.kind",
            "(false, \"timeout\")",
        ),
        (
            "local t = async(function() sleep(60) end)\nt:cancel()\nlocal ok, err = pcall(t.await, t)\nok, err.kind, t:status()",
            "(false, \"cancelled\", \"cancelled\")",
        ),
        (
            "local t = async(function() error('inside') end)\nlocal ok, err = pcall(await, t)\nok, err.kind, err.message",
            "(false, \"script\", \"cell [8]:1: inside\")",
        ),
    ]);
}

#[test]
fn waiting_passes_through_coroutines_of_the_script() {
    check(&[
        (
            "local co = coroutine.wrap(function(a) sleep(0.001) local b = coroutine.yield(a + 1) sleep(0.001) return b * 2 end)\nco(1), co(21)",
            "(2, 42)",
        ),
        (
            "local inner = coroutine.create(function() sleep(0.001) return 'in' end)\n\
             local outer = coroutine.create(function() return coroutine.resume(inner) end)\ncoroutine.resume(outer)",
            "(true, true, \"in\")",
        ),
        ("pcall(function() sleep(0.001) return 1 end)", "(true, 1)"),
        (
            "local function numbers() return coroutine.wrap(function() for i = 1, 3 do sleep(0.001) coroutine.yield(i) end end) end\n\
             local sum = 0 for n in numbers() do sum = sum + n end\nsum",
            "6",
        ),
    ]);
}

#[test]
fn where_lua_cannot_wait_the_error_says_what_to_do() {
    let fixture = Fixture::new();
    let error =
        fixture.fails("table.sort({1, 2, 3}, function(a, b) sleep(0.001) return a < b end)");
    assert!(error.hint().unwrap().contains("async"), "{error:?}");
}

#[test]
fn the_environment_is_what_the_list_allows() {
    let fixture = Fixture::new();
    let absent = [
        "os.execute",
        "os.remove",
        "os.getenv",
        "os.rename",
        "os.tmpname",
        "os.setlocale",
        "io.open",
        "io.popen",
        "loadfile",
        "dofile",
        "package",
        "debug",
        "require",
        "string.dump",
        "warn",
    ];
    for name in absent {
        assert_eq!(fixture.shown(name), "", "{name}");
    }
    let refused = [
        ("load('\\27Lua')()", "call a nil"),
        ("load('return 1', 'x', 'b')", "bytecode"),
        ("load('return 1', '=[aikit]')", "name the chunk otherwise"),
        (
            "load('return 1', '=[aikit] of mine')",
            "name the chunk otherwise",
        ),
        (
            "load('return 1', '=__mlua_async_poll')",
            "name the chunk otherwise",
        ),
        ("collectgarbage('stop')", "count"),
        ("collectgarbage('generational')", "count"),
        ("setmetatable({}, {__gc = function() end})", "__gc"),
        ("os.exit()", "cannot end the kernel"),
        ("exit()", "cannot end the kernel"),
        ("exit", "cannot end the kernel"),
        ("quit()", "cannot end the kernel"),
        (" quit\n", "cannot end the kernel"),
        ("io.lines('x')", "standard input only"),
        ("getmetatable('').__index = {}", "boolean"),
        ("setmetatable(Tool, {})", "protected"),
    ];
    for (code, expected) in refused {
        let error = fixture.fails(code);
        assert!(error.message().contains(expected), "{code}: {error}");
    }
    assert_eq!(fixture.shown("load('return 1 + 1')()"), "2");
    assert_eq!(fixture.shown("load('return a', 'c', 't', {a = 3})()"), "3");
    assert_eq!(fixture.shown("getmetatable('')"), "false");
}

#[test]
fn questions_go_to_the_host() {
    check(&[
        ("input('name')", "\"NAME\""),
        ("getpass('key')", "\"KEY\""),
        ("io.read()", "\"\""),
    ]);
}

#[test]
fn a_cell_ends_at_the_deadline_of_its_caller() {
    let fixture = Fixture::new();
    for code in ["while true do end", "sleep(60)"] {
        let cx = Context::create(Overrides {
            timeout: Some(std::time::Duration::from_millis(20)),
            ..Overrides::default()
        });
        assert_eq!(
            fixture.run_in(&cx, code).unwrap_err().kind(),
            ErrorKind::Timeout,
            "{code}"
        );
    }
    assert_eq!(fixture.shown("1 + 1"), "2");
}

#[test]
fn objects_are_released_with_their_handles() {
    let fixture = Fixture::new();
    fixture
        .run("t = Tool.get('count_words')\nfor i = 1, 10 do Tool.get('count_words') end")
        .unwrap();
    assert!(fixture.session.resource_count() >= 1);
    let session = fixture.session.clone();
    let engine = Arc::downgrade(&fixture.engine);
    drop(fixture);
    assert!(engine.upgrade().is_none());
    // The Lua thread ends by itself and drops every handle on its way.
    while session.resource_count() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn many_engines_live_in_one_process() {
    let fixtures: Vec<Fixture> = (0..8).map(|_| Fixture::new()).collect();
    for (index, fixture) in fixtures.iter().enumerate() {
        fixture.run(&format!("x = {index}")).unwrap();
    }
    for (index, fixture) in fixtures.iter().enumerate() {
        assert_eq!(fixture.shown("x"), index.to_string());
    }
}

#[test]
fn a_cell_that_ended_does_not_stop_the_next_of_the_same_session() {
    let fixture = Arc::new(Fixture::new());
    let cx = Context::default();
    let cells: Vec<_> = (0..100)
        .map(|number| {
            let (engine, sink, cx) = (
                Arc::clone(&fixture.engine),
                fixture.sink.clone(),
                cx.clone(),
            );
            let cell = Cell {
                code: format!("for i = 1, 1000 do end return {number}"),
                name: format!("cell [{number}]"),
                shell: None,
            };
            io::spawn(async move { engine.execute(&cx, cell, sink).await })
        })
        .collect();
    for (number, cell) in cells.into_iter().enumerate() {
        let shown = io::wait(cell, || Ok(()))
            .unwrap()
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(text(&shown, "text/plain"), number.to_string());
    }
}

#[test]
fn a_cancelled_cell_does_not_begin_and_its_waiting_task_does_not_go_on() {
    let fixture = Fixture::new();
    let cx = Context::default();
    fixture
        .run_in(
            &cx,
            "async(function() pcall(sleep, 3600) while true do end end) sleep(0.001)",
        )
        .unwrap();
    cx.cancel(ErrorKind::Cancelled, "enough");
    assert_eq!(
        fixture.run_in(&cx, "began = true").unwrap_err().message(),
        "enough"
    );
    assert_eq!(fixture.shown("sleep(0.001) return began == nil"), "true");
}
