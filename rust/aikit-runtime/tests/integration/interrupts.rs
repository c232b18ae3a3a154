//! Stopping cells: tight loops, whatever catches errors, whatever waits.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use aikit_core::{ErrorKind, engine::ScriptEngine as _};

use crate::support::Fixture;

/// Code that never ends by itself, from the prototype that measured the mechanism.
pub(crate) const CASES: &[(&str, &str)] = &[
    ("while", "while true do end"),
    ("repeat", "repeat until false"),
    ("goto", "::a:: goto a"),
    ("for integer", "for i=1,math.maxinteger do end"),
    ("for float", "for i=1.0,1e300 do end"),
    (
        "pcall around",
        "while true do pcall(function() while true do end end) end",
    ),
    ("pcall of an error", "while true do pcall(error,'x') end"),
    (
        "pcall nested",
        "local function f(n) if n==0 then while true do end end while true do pcall(f,n-1) end end f(20)",
    ),
    ("tail call", "local function f() return f() end f()"),
    (
        "recursion",
        "local function f(n) return 1+f(n+1) end while true do pcall(f,1) end",
    ),
    (
        "coroutines",
        "local function mk2(n,f) return function() local c=coroutine.create(f) while true do local ok=coroutine.resume(c) if not ok then c=coroutine.create(f) end end end end mk2(1,mk2(2,mk2(3,function() while true do end end)))()",
    ),
    (
        "wrap",
        "local function w(f) return coroutine.wrap(f) end w(function() w(function() w(function() while true do end end)() end)() end)()",
    ),
    (
        "ping pong",
        "local c=coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do c() end",
    ),
    (
        "resumed again",
        "local c=coroutine.create(function() while true do coroutine.yield(1) end end) while true do local ok=coroutine.resume(c) if not ok then c=coroutine.create(function() while true do coroutine.yield(1) end end) end end",
    ),
    (
        "coroutine churn",
        "while true do local c=coroutine.create(function(a) local b=coroutine.yield(a) return b end) coroutine.resume(c,1) coroutine.resume(c,2) end",
    ),
    (
        "coroutine close",
        "local c=coroutine.create(function() local x <close> = setmetatable({},{__close=function() while true do end end}) coroutine.yield() end) coroutine.resume(c) coroutine.close(c) while true do end",
    ),
    (
        "gsub",
        "local s=('x'):rep(1000) while true do s:gsub('.', function(c) return nil end) end",
    ),
    (
        "inside gsub",
        "('x'):gsub('.', function(c) while true do end end)",
    ),
    (
        "sort",
        "while true do local t={} for i=1,200 do t[i]=(i*7919)%211 end table.sort(t,function(a,b) return a<b end) end",
    ),
    (
        "inside sort",
        "table.sort({3,2,1},function(a,b) while true do end end)",
    ),
    (
        "index",
        "local t=setmetatable({},{__index=function(t,k) while true do end end}) return t.x",
    ),
    (
        "metamethods",
        "local m={} m.__add=function(a,b) return a end m.__lt=function() return true end m.__concat=function(a,b) return a end m.__eq=function() return true end m.__call=function() end m.__len=function() return 1 end local a,b=setmetatable({},m),setmetatable({},m) while true do local c=a+b local d=a<b local e=a..b local f=a==b a() local g=#a end",
    ),
    (
        "close",
        "while true do local x <close> = setmetatable({},{__close=function() while true do end end}) end",
    ),
    ("iterator", "for x in function() return 1 end do end"),
    (
        "next",
        "local t={1,2,3,a=1} while true do for k,v in pairs(t) do end for i,v in ipairs(t) do end end",
    ),
    (
        "wrap as iterator",
        "for x in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end",
    ),
    (
        "strings",
        "while true do local s=('x'):rep(100):upper()..tostring(1.5)..string.format('%5.2f',3.3) end",
    ),
    ("load", "while true do load('local a=1 return a+1')() end"),
    (
        "tostring",
        "local t=setmetatable({},{__tostring=function() return 'x' end}) while true do tostring(t) end",
    ),
    (
        "allocation",
        "while true do local t={} for i=1,100 do t[i]={i} end end",
    ),
    ("rust function", "while true do JSON.parse('[1,2,3]') end"),
    (
        "xpcall",
        "while true do xpcall(function() while true do end end, function(e) return e end) end",
    ),
    (
        "xpcall handler",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
    ),
    (
        "print",
        "while true do local s = tostring(setmetatable({}, {__tostring = function() return 'x' end})) end",
    ),
    ("sleep", "sleep(3600)"),
    ("sleep in pcall", "while true do pcall(sleep, 3600) end"),
    (
        "sleep in a coroutine",
        "coroutine.wrap(function() sleep(3600) end)()",
    ),
    ("task", "await(async(function() sleep(3600) end))"),
    (
        "task that has not begun",
        "async(function() while true do end end) while true do end",
    ),
    (
        "tight task",
        "await(async(function() while true do end end))",
    ),
    (
        "gather",
        "gather{function() sleep(3600) end, function() sleep(3600) end}",
    ),
    (
        "tool",
        "Tool.create{name='loop_forever', summary='x', fn=function() while true do end end} Tool.loop_forever{}",
    ),
    (
        "waiting tool",
        "Tool.create{name='wait_forever', summary='x', fn=function() sleep(3600) end} Tool.wait_forever{}",
    ),
    (
        "input of tool in pcall",
        "Tool.create{name='again', summary='x', fn=function() error('x') end} while true do pcall(Tool.again, {}) end",
    ),
    (
        "one pattern that is searched",
        "local s = ('a'):rep(60000) pcall(s.find, s, ('.-'):rep(9) .. 'b')",
    ),
    (
        "one pattern that is matched",
        "local s = ('a'):rep(60000) while true do pcall(s.match, s, ('.-'):rep(9) .. 'b') end",
    ),
    (
        "one pattern of a loop",
        "local s = ('a'):rep(60000) for _ in s:gmatch(('.-'):rep(9) .. 'b') do end",
    ),
    (
        "one pattern that is replaced",
        "local s = ('a'):rep(60000) s:gsub(('.-'):rep(9) .. 'b', '')",
    ),
    (
        "a pattern that is long without any backtracking",
        "local s = ('a'):rep(1e7) while true do pcall(s.find, s, 'a*b') end",
    ),
    (
        "a set that is long",
        "local s = ('z'):rep(1e5) while true do pcall(s.find, s, '[' .. ('a'):rep(1e6) .. ']') end",
    ),
    (
        "values that are moved for ever",
        "while true do pcall(table.move, {}, 1, math.maxinteger - 1, 2) end",
    ),
    (
        "a list without an end that is inserted into",
        "table.insert(setmetatable({}, {__len = function() return math.maxinteger - 1 end}), 1, 1)",
    ),
    (
        "a list without an end that is removed from",
        "table.remove(setmetatable({}, {__len = function() return math.maxinteger - 1 end}), 1)",
    ),
    (
        "endless display",
        "local t = setmetatable({}, {__mime = function() while true do end end}) display(t)",
    ),
    (
        "display of shared tables",
        "local t={1} for i=1,4 do local n={} for j=1,150 do n[j]=t end t=n end while true do pcall(display, t) end",
    ),
    (
        "endless bundle of the last expression",
        "return setmetatable({}, {__mime = function() while true do end end})",
    ),
    (
        "endless text of the last expression",
        "return setmetatable({}, {__tostring = function() while true do end end})",
    ),
    (
        "endless look for the text of what was raised",
        "while true do pcall(error, setmetatable({}, setmetatable({}, {__index = function() while true do end end}))) end",
    ),
    (
        "columns of many records",
        "local r = {} for i = 1, 300000 do r[i] = {a = i} end local c = {} for i = 1, 1000 do c[i] = 'c' .. i end while true do pcall(display.table, r, {columns = c}) end",
    ),
    (
        "endless text of what was raised",
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
    ),
    (
        "pcall as the last call",
        "return pcall(function() while true do end end)",
    ),
    (
        "tool that calls itself",
        "Tool.create{name='deeper', summary='x', fn=function() pcall(Tool.deeper, {}) sleep(3600) end} Tool.deeper{}",
    ),
    (
        "close of a wrapped coroutine that was stopped",
        "coroutine.wrap(function() local x <close> = setmetatable({},{__close=function() while true do end end}) while true do end end)()",
    ),
];

/// Runs `code`, asks it to stop when it has begun, and gives its error.
fn interrupt(fixture: &Arc<Fixture>, code: &str) -> aikit_core::Error {
    interrupt_at_print(fixture, &format!("print('on'); {code}"))
}

/// Runs `code`, asks it to stop when it has printed something, and gives its error.
fn interrupt_at_print(fixture: &Arc<Fixture>, code: &str) -> aikit_core::Error {
    let (sender, receiver) = mpsc::channel();
    let running = Arc::clone(fixture);
    let code = code.to_owned();
    thread::spawn(move || sender.send(running.run(&code).map(drop)));
    fixture.sink.wait_for_text();
    fixture.engine.interrupt();
    // Far more than is measured: the bound of the kernel's own tests is 100 ms.
    let outcome = receiver.recv_timeout(Duration::from_secs(10));
    outcome
        .expect("the cell stops")
        .expect_err("it ends with an error")
}

#[test]
fn every_loop_stops_and_the_session_lives_on() {
    let fixture = Arc::new(Fixture::new());
    fixture.run("kept = 'still here'").unwrap();
    for (name, code) in CASES {
        let error = interrupt(&fixture, code);
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{name}: {error:?}");
        assert_eq!(fixture.shown("kept"), "\"still here\"", "{name}");
    }
}

#[test]
fn a_loop_stops_again_and_again() {
    let fixture = Arc::new(Fixture::new());
    for _ in 0..200 {
        let error = interrupt(
            &fixture,
            "while true do pcall(function() while true do end end) end",
        );
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    assert_eq!(fixture.shown("1 + 1"), "2");
}

#[test]
fn a_cell_that_catches_its_interrupt_and_ends_is_interrupted() {
    let fixture = Arc::new(Fixture::new());
    for _ in 0..200 {
        // There is not always a look between the catch and the end.
        let error = interrupt(&fixture, "pcall(sleep, 3600)");
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}

#[test]
fn an_interrupt_without_a_cell_does_nothing() {
    let fixture = Fixture::new();
    fixture.engine.interrupt();
    assert_eq!(fixture.shown("for i = 1, 1000 do end\n'ran'"), "\"ran\"");
}

#[test]
fn a_stopped_coroutine_can_still_be_closed_and_stopped_again() {
    let fixture = Arc::new(Fixture::new());
    let error = interrupt_at_print(
        &fixture,
        "stopped = coroutine.create(function() local x <close> = setmetatable({},{__close=function() while true do end end}) print('in it') while true do end end) coroutine.resume(stopped)",
    );
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(fixture.shown("coroutine.status(stopped)"), "\"dead\"");
    let error = interrupt(&fixture, "coroutine.close(stopped) while true do end");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn a_task_that_outlives_its_cell_can_be_stopped() {
    let fixture = Arc::new(Fixture::new());
    fixture
        .run("async(function() sleep(0) print('on') while true do pcall(function() while true do end end) end end)")
        .unwrap();
    fixture.sink.wait_for_text();
    fixture.engine.interrupt();
    let (sender, receiver) = mpsc::channel();
    let running = Arc::clone(&fixture);
    thread::spawn(move || sender.send(running.shown("'ran'")));
    let shown = receiver.recv_timeout(Duration::from_secs(10));
    assert_eq!(shown.expect("the thread is free again"), "\"ran\"");
}

#[test]
fn a_task_that_outlives_its_cell_is_stopped_with_the_cell_that_waits_for_it() {
    // What holds the thread: a task, and a function that a task called.
    for left in [
        "while true do pcall(function() while true do end end) end",
        "Tool.create{name = 'holds', summary = 'x', fn = function() while true do end end} \
         while true do pcall(Tool.holds, {}) end",
    ] {
        let fixture = Arc::new(Fixture::new());
        fixture
            .run(&format!(
                "async(function() sleep(0) print('on') {left} end)"
            ))
            .unwrap();
        fixture.sink.wait_for_text();
        // It cannot begin before the task stops.
        let (sender, receiver) = mpsc::channel();
        let running = Arc::clone(&fixture);
        thread::spawn(move || sender.send(running.run("return 'ran'").map(drop)));
        let outcome = loop {
            // An interrupt from before the cell was there stops the task alone.
            fixture.engine.interrupt();
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(outcome) => break outcome,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(error) => panic!("{error}"),
            }
        };
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{left}");
        }
        assert_eq!(fixture.shown("1 + 1"), "2", "{left}");
    }
}

#[test]
fn an_engine_can_be_dropped_while_a_task_of_it_loops() {
    let fixture = Fixture::new();
    fixture
        .run("kept = async(function() sleep(0) print('on') while true do end end)")
        .unwrap();
    fixture.sink.wait_for_text();
    // The task holds the sink for as long as the Lua thread lives.
    let sink = Arc::downgrade(&fixture.sink);
    drop(fixture);
    while sink.upgrade().is_some() {
        thread::yield_now();
    }
}

#[test]
fn only_the_engine_that_is_asked_stops() {
    let (stopped, other) = (Arc::new(Fixture::new()), Arc::new(Fixture::new()));
    let (sender, receiver) = mpsc::channel();
    let running = Arc::clone(&other);
    thread::spawn(move || {
        sender.send(running.run("print('on') local n = 0 while not done do n = n + 1 if n % 1000 == 0 then sleep(0) end end return n > 0"))
    });
    other.sink.wait_for_text();
    let error = interrupt(&stopped, "while true do end");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(receiver.try_recv().is_err(), "the other goes on");
    other.engine.interrupt();
    let outcome = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn an_engine_can_be_dropped_while_it_loops() {
    let fixture = Arc::new(Fixture::new());
    let engine = Arc::downgrade(&fixture.engine);
    let (sender, receiver) = mpsc::channel();
    let running = Arc::clone(&fixture);
    thread::spawn(move || {
        let cx = aikit_core::Context::default();
        let cell = aikit_core::engine::Cell {
            code: "print('on') while true do end".to_owned(),
            name: "cell [1]".to_owned(),
            shell: None,
        };
        let (engine, sink) = (Arc::clone(&running.engine), running.sink.clone());
        let task = aikit_core::io::spawn(async move { engine.execute(&cx, cell, sink).await });
        drop(running);
        sender.send(task)
    });
    let task = receiver.recv().unwrap();
    fixture.sink.wait_for_text();
    drop(fixture);
    // The caller stops waiting, so the cell is stopped and the engine goes.
    task.abort();
    while engine.upgrade().is_some() {
        thread::yield_now();
    }
}

/// Handlers as a program around us may have them.
mod handlers {
    use std::{
        os::raw::c_int,
        sync::atomic::{AtomicUsize, Ordering},
    };

    pub(super) static PLAIN: AtomicUsize = AtomicUsize::new(0);
    pub(super) static CHAINING: AtomicUsize = AtomicUsize::new(0);
    static BEFORE: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn plain(_: c_int) {
        PLAIN.fetch_add(1, Ordering::SeqCst);
    }

    /// Calls the handler that it has replaced, as is good manners.
    #[expect(unsafe_code, reason = "a handler is kept as its address")]
    extern "C" fn chaining(signal: c_int) {
        CHAINING.fetch_add(1, Ordering::SeqCst);
        let before = BEFORE.load(Ordering::SeqCst);
        // SAFETY: it is a handler that was set; one that takes more arguments ignores them here.
        unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(before)(signal) };
    }

    #[expect(unsafe_code, reason = "signals exist as a C interface only")]
    fn set(handler: extern "C" fn(c_int)) {
        // SAFETY: the handlers above do nothing but count and call.
        let before = unsafe { libc::signal(libc::SIGURG, handler as usize) };
        BEFORE.store(before, Ordering::SeqCst);
    }

    pub(super) fn set_plain() {
        set(plain);
    }

    pub(super) fn set_chaining() {
        set(chaining);
    }

    /// Sends the signal to this thread; the counts of both.
    #[expect(unsafe_code, reason = "signals exist as a C interface only")]
    pub(super) fn raise() -> (usize, usize) {
        // SAFETY: the call has no preconditions.
        unsafe { libc::raise(libc::SIGURG) };
        (
            PLAIN.load(Ordering::SeqCst),
            CHAINING.load(Ordering::SeqCst),
        )
    }
}

#[test]
fn a_handler_that_is_set_after_ours_ends_no_interrupts() {
    let fixture = Arc::new(Fixture::new());
    assert_eq!(fixture.shown("1"), "1");
    let stops = || {
        let error = interrupt(&fixture, "while true do end");
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    };
    handlers::set_plain();
    stops();
    // Interrupts are not the program's; its own signals are.
    assert_eq!(handlers::raise(), (1, 0));
    // No signal is sent when a run is over, and what was sent has arrived when the thread waits.
    assert_eq!(fixture.shown("1"), "1");
    handlers::set_chaining();
    stops();
    assert_eq!(handlers::raise(), (2, 1));
    // While a time limit is all that stops.
    handlers::set_plain();
    let code =
        "local ok, err = pcall(timeout, 0.01, function() while true do end end) return err.kind";
    assert_eq!(fixture.shown(code), "\"timeout\"");
    assert_eq!(handlers::raise(), (3, 1));
}
