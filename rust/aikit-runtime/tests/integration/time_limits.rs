//! Time limits and cancellations of one run: they end code that never waits, and nothing else.

use std::{
    env,
    sync::{Arc, LazyLock, mpsc},
    thread,
    time::Duration,
};

use aikit_components::tools;
use aikit_core::{Context, ErrorKind, Value, context::Overrides, io};

use crate::{interrupts::CASES, support::Fixture};

/// Far more than any of these takes; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);

/// How many times as long valgrind may take for all of it.
static PACE: LazyLock<u32> = LazyLock::new(|| {
    // It puts itself before the libraries of what it runs.
    let before = env::var("LD_PRELOAD").unwrap_or_default();
    if before.contains("vgpreload") { 10 } else { 1 }
});

/// Seconds in which a generator hands out its first items; its endless loop takes the rest of them.
fn items_limit() -> f64 {
    f64::from(*PACE)
}

/// Runs `work` on a thread of its own, so that a loop that is not stopped fails the test.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(*PACE * LONG)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn shows(fixture: &Arc<Fixture>, code: &str, expected: &str) {
    let (running, code) = (Arc::clone(fixture), code.to_owned());
    let cell = code.clone();
    let shown = in_time(&code, move || running.shown(&cell));
    assert_eq!(shown, expected, "{code}");
}

fn wait_for_output(fixture: &Fixture) {
    fixture.sink.wait_for_text();
}

#[test]
fn every_loop_ends_at_its_time_limit_and_the_cell_goes_on() {
    let fixture = Arc::new(Fixture::new());
    fixture.run("kept = 'still here'").unwrap();
    // These return something whose text never ends: the function itself does.
    let ends = |name: &str| name.ends_with("of the last expression");
    for (_, code) in CASES.iter().filter(|(name, _)| !ends(name)) {
        shows(
            &fixture,
            &format!(
                "local ok, err = pcall(timeout, 0.02, function() {code} end)\n\
                 for i = 1, 1000 do end\n\
                 return ok, err.kind, kept"
            ),
            "(false, \"timeout\", \"still here\")",
        );
    }
}

#[test]
fn a_time_limit_stops_its_own_run_only() {
    let fixture = Arc::new(Fixture::new());
    shows(
        &fixture,
        "local other = async(function() for i = 1, 20 do sleep(0.001) end return 'done' end)
         local outer = async(function()
           local ok, err = pcall(timeout, 0.02, function() while true do end end)
           local n = 0 for i = 1, 100000 do n = n + 1 end
           return err.kind, n
         end)
         local kind, n = await(outer)
         return kind, n, await(other)",
        "(\"timeout\", 100000, \"done\")",
    );
    // The outer limit ends the inner run as well.
    shows(
        &fixture,
        "local inner
         local ok, err = pcall(timeout, 0.02, function()
           inner = async(function() while true do pcall(function() while true do end end) end end)
           return await(inner)
         end)
         local answered = pcall(await, inner)
         return err.kind, answered, inner:status() == 'running'",
        "(\"timeout\", false, false)",
    );
}

#[test]
fn the_time_limit_of_a_generator_ends_what_its_closing_runs() {
    let fixture = Arc::new(Fixture::new());
    let generator = |limit: f64, closes: &str| {
        format!(
            "local p = Procedure.create{{name = 'p', timeout = {limit}, generator = true, function()
               local held <close> = setmetatable({{}}, {{__close = function() {closes} end}})
               coroutine.yield(1) coroutine.yield(2) end}}
             local s = p:stream() s()\n"
        )
    };
    for closes in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
    ] {
        shows(
            &fixture,
            &format!(
                "{} local ok, err = pcall(s.close, s) return ok, err.kind, err.message, s()",
                generator(items_limit(), closes)
            ),
            &format!(
                "(false, \"timeout\", \"`p` took longer than {}s\", nil)",
                *PACE
            ),
        );
        // Left by a loop, or closed with whoever took its items.
        shows(
            &fixture,
            &format!(
                "{} local ok, err = pcall(function() for _ in s, nil, nil, s do break end end)
                 return ok, err.kind",
                generator(items_limit(), closes)
            ),
            "(false, \"timeout\")",
        );
    }
    // What was raised before goes on.
    shows(
        &fixture,
        &format!(
            "{} return pcall(function() for _ in s, nil, nil, s do error('first', 0) end end)",
            generator(items_limit(), "while true do end")
        ),
        "(false, \"first\")",
    );
    // What ends in time runs to its end, also where closing cannot be a task of its own.
    shows(
        &fixture,
        &format!(
            "closed = nil {} s:close() return closed, s()",
            generator(60.0, "closed = Context.node().name")
        ),
        "(\"p\", nil)",
    );
    shows(
        &fixture,
        &format!(
            "closed = nil
             local co = coroutine.create(function()
               {} for _ in s, nil, nil, s do coroutine.yield() end
             end)
             coroutine.resume(co) return coroutine.close(co), closed",
            generator(60.0, "closed = Context.node().name")
        ),
        "(true, \"p\")",
    );
}

#[test]
fn a_limit_of_a_tool_and_of_an_agent_ends_a_loop_in_lua() {
    let fixture = Arc::new(Fixture::new());
    shows(
        &fixture,
        "Tool.create{name = 'spin', summary = 'x', timeout_s = 0.05, fn = function() while true do end end}
         local ok, err = pcall(Tool.spin, {})
         return err.kind, err.message",
        "(\"timeout\", \"`spin` took longer than 50ms\")",
    );
    shows(
        &fixture,
        "Tool.create{name = 'slow', summary = 'x', fn = function() while true do end end}
         local calls = {{tool_calls = {{name = 'slow', arguments = {}}}}, 'late'}
         local agent = Agent{name = 'a', model = Model('scripted:s', {answers = calls}), tools = {'slow'},
           limits = {seconds = 0.05}}
         local ok, err = pcall(agent.run, agent, 'go')
         return err.kind, err.message",
        "(\"limit_exceeded\", \"agent `a` reached its limit of 0.05 `seconds`\")",
    );
}

#[test]
fn a_task_that_loops_ends_when_its_cell_is_cancelled_from_another_thread() {
    let fixture = Arc::new(Fixture::new());
    let cx = Context::default();
    fixture
        .run_in(
            &cx,
            "task = async(function() sleep(0) print('on') while true do pcall(function() while true do end end) end end)",
        )
        .unwrap();
    wait_for_output(&fixture);
    cx.cancel(ErrorKind::Cancelled, "not wanted any more");
    shows(
        &fixture,
        "local ok, err = pcall(await, task) return err.kind, err.message, task:status()",
        "(\"cancelled\", \"not wanted any more\", \"cancelled\")",
    );
}

#[test]
fn a_function_that_was_handed_over_ends_with_the_deadline_of_its_caller() {
    let fixture = Arc::new(Fixture::new());
    fixture
        .run("Tool.create{name = 'spin', summary = 'x', fn = function() print('on') while true do end end}")
        .unwrap();
    let tool = fixture.session.components().tools.find("spin").unwrap();
    let limited = Context::create(Overrides {
        timeout: Some(Duration::from_millis(30)),
        ..Overrides::default()
    });
    let cx = fixture.session.tool_context(&limited);
    let (called, spin) = (Arc::clone(&tool), cx.clone());
    let outcome = in_time("the call", move || {
        io::wait(
            async move { tools::invoke(&spin, &called, Value::Null).await },
            || Ok(()),
        )
    });
    assert_eq!(outcome.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    shows(&fixture, "'free'", "\"free\"");

    // A caller that goes away is no reason to go on either.
    fixture.sink.take();
    let cx = fixture.session.tool_context(&Context::default());
    let task = io::spawn(async move { tools::invoke(&cx, &tool, Value::Null).await });
    wait_for_output(&fixture);
    task.abort();
    shows(&fixture, "'free again'", "\"free again\"");
}

#[test]
fn a_task_that_a_function_started_outlives_its_answer() {
    let fixture = Arc::new(Fixture::new());
    shows(
        &fixture,
        "Tool.create{name = 'begin', summary = 'x', fn = function()
           task = async(function() sleep(0.005) return 'went on' end)
           return 1
         end}
         Tool.begin{}
         return task:await()",
        "\"went on\"",
    );
}

#[test]
fn tools_that_call_each_other_end_at_a_limit() {
    let fixture = Arc::new(Fixture::new());
    shows(
        &fixture,
        "local deepest, depth = 0, 0
         local function enter(name)
           depth = depth + 1
           deepest = math.max(deepest, depth)
           local ok, answer = pcall(Tool.invoke, name, {})
           depth = depth - 1
           if not ok then error(answer, 0) end
         end
         Tool.create{name = 'ping', summary = 'x', fn = function() enter('pong') end}
         Tool.create{name = 'pong', summary = 'x', fn = function() enter('ping') end}
         local ok, err = pcall(Tool.ping, {})
         return err.kind, err.message, err.hint ~= nil, deepest",
        "(\"limit_exceeded\", \"`tool:ping` is nested in 64 other calls, which is the limit\", true, 64)",
    );
}

#[test]
fn a_run_that_is_stopped_runs_none_of_its_code_any_more() {
    let fixture = Arc::new(Fixture::new());
    for work in ["sleep(3600)", "while true do end"] {
        let code = format!(
            "local closed, caught = 0, 0
             local function work()
               local x <close> = setmetatable({{}}, {{__close = function() closed = closed + 1 end}})
               pcall(function() {work} end)
               caught = caught + 1
             end
             local ok, err = pcall(timeout, 0.02, work)
             sleep(0)
             return err.kind, closed, caught"
        );
        shows(&fixture, &code, "(\"timeout\", 0, 0)");
    }
}

#[test]
fn a_generator_and_a_started_procedure_end_at_their_time_limit() {
    let fixture = Arc::new(Fixture::new());
    let message = "`spin` took longer than 50ms";
    let limit = items_limit();
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(sleep, 60) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    ] {
        shows(
            &fixture,
            &format!(
                "local spin = Procedure.create{{name = 'spin', timeout = {limit}, generator = true, function(a)
                   coroutine.yield(a) coroutine.yield(Context.node().name) {body} end}}
                 local stream = spin:stream(7)
                 local first, second = stream(), stream()
                 local ok, err = pcall(stream)
                 local nodes = Context.nodes()
                 return first, second, ok, err.kind, err.message, stream(), nodes[#nodes].status"
            ),
            &format!(
                "(7, \"spin\", false, \"timeout\", \"`spin` took longer than {limit}s\", nil, \"cancelled\")"
            ),
        );
        for generator in [false, true] {
            shows(
                &fixture,
                &format!(
                    "local spin = Procedure.create{{name = 'spin', timeout = 0.05, generator = {generator},
                       function() {body} end}}
                     local handle = spin:start()
                     local ok, err = pcall(handle.result, handle)
                     return ok, err.kind, err.message"
                ),
                &format!("(false, \"timeout\", \"{message}\")"),
            );
        }
    }
}
