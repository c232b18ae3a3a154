//! Errors: what leaves a cell, and what `pcall` sees.

use aikit_core::ErrorKind;

use crate::support::Fixture;

#[test]
fn an_error_names_the_cell_the_line_and_the_source() {
    let fixture = Fixture::new();
    fixture
        .run("function inner(t)\n  return t.x.y\nend")
        .unwrap();
    let error = fixture.fails("local a = 1\ninner({})\n");
    assert_eq!(error.kind(), ErrorKind::Script);
    assert_eq!(
        error.message(),
        "cell [1]:2: attempt to index a nil value (field 'x')"
    );
    assert_eq!(
        error.traceback(),
        [
            "cell [1]:2: in function 'inner'",
            "    return t.x.y",
            "cell [2]:2: in the main chunk",
            "    inner({})",
        ]
    );
}

#[test]
fn anything_can_be_raised() {
    let fixture = Fixture::new();
    let cases = [
        ("error('text', 0)", ErrorKind::Script, "text"),
        ("error(nil)", ErrorKind::Script, "the script raised `nil`"),
        ("error({})", ErrorKind::Script, "the script raised `{}`"),
        (
            "error({code = 5})",
            ErrorKind::Script,
            "the script raised `{code = 5}`",
        ),
        (
            "error({message = 'mine', kind = 'not_found'})",
            ErrorKind::NotFound,
            "mine",
        ),
        (
            "error(setmetatable({}, {__tostring = function() return 'told' end}))",
            ErrorKind::Script,
            "told",
        ),
        (
            "error(setmetatable({code = 1}, setmetatable({}, {__index = {__tostring = print}})))",
            ErrorKind::Script,
            "the script raised `{code = 1}`",
        ),
        (
            "error(setmetatable({message = 42}, {__tostring = function() return 'told' end}))",
            ErrorKind::Script,
            "42",
        ),
        (
            "error(setmetatable({message = 'mine'}, {__tostring = function() return 'told' end}))",
            ErrorKind::Script,
            "mine",
        ),
        (
            "error(setmetatable({}, {__tostring = function() error('worse') end}))",
            ErrorKind::Script,
            "the script raised a table whose `__tostring` fails: cell [10]:1: worse",
        ),
        ("error(42)", ErrorKind::Script, "the script raised `42`"),
        (
            "local x = nil + 1",
            ErrorKind::Script,
            "cell [12]:1: attempt to perform arithmetic on a nil value",
        ),
        (
            "assert(false)",
            ErrorKind::Script,
            "cell [13]:1: assertion failed!",
        ),
    ];
    for (code, kind, message) in cases {
        let error = fixture.fails(code);
        assert_eq!((error.kind(), error.message()), (kind, message), "{code}");
    }
}

#[test]
fn endless_recursion_is_an_error() {
    let fixture = Fixture::new();
    let cases = [
        "local function f() return 1 + f() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end return t.a",
        "local function f() pcall(f) error('x') end f()",
        "local function co() return coroutine.wrap(co)() end co()",
        "string.gsub('x', 'x', function(s) return (s:gsub('x', string.rep)) end) local function f(s) return s:gsub('x', f) end f('x')",
    ];
    for code in cases {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::Script, "{code}: {error:?}");
        assert_eq!(fixture.shown("1 + 1"), "2", "{code}");
    }
    // Whatever the collector is doing when the stack is full.
    for garbage in 0..5 {
        let code = format!(
            "for i = 1, {garbage} * 1000 do kept = {{}} end local function f() return 1 + f() end f()"
        );
        let error = fixture.fails(&code);
        assert!(
            error.message().contains("stack overflow"),
            "{garbage}: {error}"
        );
    }
    let error = fixture.fails("local function f() return 1 + f() end f()");
    assert!(error.message().contains("stack overflow"), "{error}");
    assert!(!error.message().contains('\n'), "{error}");
    assert_eq!(error.hint(), Some("a function calls itself without an end"));
}

#[test]
fn hints_name_what_is_near() {
    let fixture = Fixture::new();
    fixture.run("counter = 1").unwrap();
    let error = fixture.fails("return countr.x");
    assert!(error.hint().unwrap().contains("`counter`"), "{error:?}");
    let error = fixture.fails("Tool.get('count_wrods')");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("`count_words`"), "{error:?}");
    let error = fixture.fails("require('x')");
    assert!(
        error.hint().unwrap().contains("no part of this Lua"),
        "{error:?}"
    );
}

#[test]
fn our_errors_keep_their_kind_in_pcall_and_when_they_leave() {
    let fixture = Fixture::new();
    assert_eq!(
        fixture.shown("ok, err = pcall(Tool.invoke, 'nothing_like_it')\nok, err.kind, err.message, type(err), err.none"),
        "(false, \"not_found\", \"no tool named `nothing_like_it`\", \"userdata\", nil)"
    );
    assert!(
        fixture
            .shown("tostring(err)")
            .contains("no tool named `nothing_like_it` (")
    );
    let error = fixture.fails("error(err)");
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::NotFound, "no tool named `nothing_like_it`")
    );
    let error = fixture.fails("local x = 1\nTool.count_words{txt = 'a'}");
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert_eq!(
        error.traceback(),
        [
            "cell [4]:2: in the main chunk",
            "    Tool.count_words{txt = 'a'}"
        ]
    );
}

#[test]
fn wrong_arguments_name_function_argument_expected_and_found() {
    let fixture = Fixture::new();
    let cases = [
        (
            "Tool.invoke()",
            "`Tool.invoke`: `name` is missing; it must be a string",
        ),
        (
            "Tool.invoke(5)",
            "`Tool.invoke`: `name` must be a string, but it is the integer `5`",
        ),
        (
            "Tool.invoke('a', 'b')",
            "`Tool.invoke`: `args` must be a table, but it is the string `\"b\"`",
        ),
        (
            "Tool.invoke('a', {}, 3)",
            "`Tool.invoke`: takes at most 2 arguments, but 3 were given",
        ),
        (
            "Tool.create{name = 'x', sumary = 's', fn = print, summary = 's'}",
            "`Tool.create`: there is no option `sumary`",
        ),
        (
            "Tool.create{name = 'x', summary = 's', fn = 3}",
            "`Tool.create`: `options.fn` must be a function, but it is the integer `3`",
        ),
        (
            "Tool.invoke('a', {x = {coroutine.create(print)}})",
            "`Tool.invoke`: `args.x[1]` is a thread, which cannot be handed over",
        ),
        (
            "t = {} t.t = t Tool.invoke('a', t)",
            "`Tool.invoke`: `args.t` contains itself, which cannot be handed over",
        ),
        (
            "Tool.get('count_words').invoke()",
            "`invoke` was not called on a `Tool`",
        ),
    ];
    for (code, message) in cases {
        let error = fixture.fails(code);
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::InvalidArgs, message),
            "{code}"
        );
        assert!(error.hint().is_some(), "{code}");
    }
    let error = fixture.fails("Tool.get('count_words').invok");
    assert_eq!(error.message(), "a `Tool` has no member `invok`");
}

/// Waits until the task `kept` has ended, which is not the same as awaiting it: nobody asks for its
/// error. Where its time was up before it began there is none.
const KEPT_ENDS: &str = "while kept and kept:status() == 'running' do sleep(0) end";

/// Seconds in which a short function ends even under valgrind.
const LIMIT_S: f64 = 1.0;

#[test]
fn a_task_that_fails_unseen_says_so_once_when_its_cell_ends() {
    let fixture = Fixture::new();
    let reports = |code: &str| {
        fixture.run(code).unwrap();
        let text = fixture.sink.text();
        (text.matches("nobody awaited").count(), text)
    };
    let fail = "function() error('unseen') end";
    // The handle is held, so that nothing depends on when it is collected.
    let (count, text) = reports(&format!(
        "kept = async({fail}) await(async(function() end))"
    ));
    assert_eq!(count, 1, "{text}");
    assert!(text.contains("cell [1]:1: unseen"), "{text}");
    // Later cells say nothing, and still get the error.
    let later = "local ok, err = pcall(await, kept) return err.message";
    assert_eq!(fixture.shown(later), "\"cell [1]:1: unseen\"");
    let seen = [
        format!("kept = async({fail}) sleep(0.001) pcall(await, kept)"),
        format!("kept = async({fail}) pcall(kept.await, kept)"),
        format!("pcall(gather, {{{fail}, function() sleep(0.001) error('x') end}})"),
        format!("pcall(gather, {{{fail}, {fail}}})"),
        format!("pcall(race, {{{fail}, {fail}}}) sleep(0.001)"),
        format!("pcall(timeout, 1, {fail})"),
        "kept = async(sleep, 3600) kept:cancel() sleep(0.001)".to_owned(),
        "kept = async(function() pcall(sleep, 3600) error('x') end) sleep(0) kept:cancel()"
            .to_owned(),
        "pcall(timeout, 0.001, function() sleep(3600) end)".to_owned(),
        // What a time limit ends fails with whoever has the limit.
        format!(
            "pcall(timeout, 0.01, function() kept = async(sleep, 60) sleep(60) end) {KEPT_ENDS}"
        ),
        format!(
            "pcall(timeout, 0.01, function()
               gather{{function() kept = async(sleep, 60) sleep(60) end}}
             end) {KEPT_ENDS}"
        ),
        format!(
            "late = Procedure.create{{name = 'late', timeout = 0.01, function()
               kept = async(function() while true do end end) sleep(60) end}}
             pcall(late) {KEPT_ENDS}"
        ),
        // Whoever follows a handle to its end knows of the failure.
        format!("h = Procedure.create{{name = 'h', {fail}}}:start() for _ in h do end"),
        format!("h = Procedure.create{{name = 'h', {fail}}}:start() pcall(h.result, h)"),
        format!(
            "h = Procedure.create{{name = 'h', {fail}}}:start()
             repeat sleep(0) until h.is_finished assert(h.status == 'failed')"
        ),
        // A listener looks on.
        "h = Procedure.create{name = 'h', function() end}:start()
         local calls = 0
         h:on('*', function() calls = calls + 1 error('x') end) h:result()
         repeat sleep(0) until calls == 2"
            .to_owned(),
    ];
    for code in seen {
        assert_eq!(reports(&format!("kept = nil {code}")).0, 0, "{code}");
    }
}

#[test]
fn a_task_that_runs_out_of_time_says_so_unless_what_it_belongs_to_does() {
    let fixture = Fixture::new();
    let unseen = [
        // The limit is its own; that of the procedure has passed when the cell ends.
        format!(
            "Procedure.create{{name = 'p', timeout = {LIMIT_S}, function()
               kept = async(function() timeout(0.001, function() sleep(60) end) end) end}}()
             sleep({LIMIT_S}) {KEPT_ENDS}"
        ),
        // What has the limit has ended well before.
        format!(
            "Procedure.create{{name = 'p', timeout = {LIMIT_S}, function()
               kept = async(sleep, 60) end}}() {KEPT_ENDS}"
        ),
        format!("timeout({LIMIT_S}, function() kept = async(sleep, 60) end) {KEPT_ENDS}"),
    ];
    for code in &unseen {
        fixture.run(code).unwrap();
        let text = fixture.sink.text();
        assert_eq!(text.matches("nobody awaited").count(), 1, "{code}: {text}");
    }
    let told = [
        format!(
            "pcall(timeout, {LIMIT_S}, function()
               timeout(60, function() kept = async(sleep, 60) sleep(60) end)
             end) {KEPT_ENDS}"
        ),
        format!(
            "Tool.create{{name = 'slow', summary = 'x', timeout_s = {LIMIT_S},
               fn = function() kept = async(sleep, 60) sleep(60) end}}
             pcall(Tool.slow, {{}}) {KEPT_ENDS}"
        ),
    ];
    for code in &told {
        fixture.run(code).unwrap();
        assert_eq!(fixture.sink.text(), "", "{code}");
    }
}

#[test]
fn a_listener_that_is_cancelled_has_not_failed() {
    let fixture = Fixture::new();
    let listens = |ends: &str, calls: u32| {
        format!(
            "local cx, calls = Context.create{{}}, 0
             local h = Procedure.create{{name = 'h', function() return 1 end}}:start()
             Context.run(cx, function()
               h:on('*', function() calls = calls + 1 {ends} end)
             end)
             repeat sleep(0) until h.is_finished and calls == {calls}
             cx:cancel('not wanted any more')
             for _ = 1, 100 do sleep(0) end"
        )
    };
    fixture.run(&listens("sleep(60)", 1)).unwrap();
    assert_eq!(fixture.sink.text(), "");
    // Called again, it has told of the first failure.
    fixture.run(&listens("error('broken')", 2)).unwrap();
    let text = fixture.sink.text();
    assert!(
        text.starts_with("a listener of a handle failed: "),
        "{text}"
    );
}

#[test]
fn a_task_that_fails_after_its_cell_says_so_unless_somebody_waits() {
    let fixture = Fixture::new();
    fixture
        .run("kept = async(function() while not go do sleep(0.001) end error('late') end)")
        .unwrap();
    fixture.run("go = true").unwrap();
    let mut text = String::new();
    while !text.contains("late") {
        text += &fixture.sink.text();
        std::thread::yield_now();
    }
    fixture
        .run(
            "go = false
             kept = async(function() while not go do sleep(0.001) end error('awaited') end)
             other = async(function() pcall(await, kept) seen = true end)",
        )
        .unwrap();
    assert_eq!(
        fixture.shown("go = true while not seen do sleep(0.001) end 'done'"),
        "\"done\""
    );
    assert_eq!(fixture.sink.text(), "");
}

#[test]
fn a_script_that_takes_too_much_memory_is_told_and_the_session_lives_on() {
    let fixture = Fixture::new();
    // Small pieces leave hardly any room, not even for the next cell.
    let error = fixture.fails(
        "local text = ('x'):rep(1 << 12):rep(2) for i = 1, 160000 do kept = {kept, text .. i} end",
    );
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(
        error.message(),
        "the script needs more than 1 GiB of memory"
    );
    assert!(error.hint().is_some());
    assert_eq!(fixture.shown("kept = nil"), "");
    assert_eq!(
        fixture.shown("local text = ('x'):rep(1 << 16)\ntext:rep(1 << 12):len()"),
        "268435456"
    );
}

#[test]
fn the_value_of_a_secret_option_is_in_no_error() {
    let fixture = Fixture::new();
    for code in [
        "Model('openai-compatible:m', {api_key = 12345678})",
        "Model('openai-compatible:m', {api_key = {'12345678'}})",
        "Model('openai-compatible:m', '12345678')",
        "RAG.open('notes', {api_key = 12345678})",
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}: {error:?}");
        assert!(
            !format!("{error:?}").contains("12345678"),
            "{code}: {error:?}"
        );
        assert!(error.message().contains("must be a"), "{code}: {error}");
    }
}

#[test]
fn a_tool_without_any_time_is_refused() {
    let fixture = Fixture::new();
    for seconds in ["0", "-1", "0/0"] {
        let error = fixture.fails(&format!(
            "Tool.create{{name = 'slow', summary = 'x', timeout_s = {seconds}, fn = print}}"
        ));
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{seconds}: {error:?}");
        assert_eq!(error.hint(), Some("give a number of seconds above 0"));
    }
}

#[test]
fn the_failed_tasks_of_a_cell_are_reported_once_however_many() {
    let fixture = Fixture::new();
    fixture
        .run(
            "local begun = 0
             for i = 1, 1200 do
               async(function() begun = begun + 1 error('task ' .. i .. '.') end)
             end
             while begun < 1200 do sleep(0) end
             print('the cell goes on')",
        )
        .unwrap();
    let text = fixture.sink.text();
    assert_eq!(text.matches("that nobody awaited").count(), 1200);
    // What there is no room for is not kept until the cell ends.
    let goes_on = text.find("the cell goes on").unwrap();
    assert_eq!(text[..goes_on].matches("that nobody awaited").count(), 200);
}

#[test]
fn a_task_that_waits_for_itself_is_told() {
    let fixture = Fixture::new();
    let cases = [
        "local t t = async(function() return t:await() end) return select(2, pcall(await, t)).message",
        "local a, b a = async(function() sleep(0.001) return b:await() end)
         b = async(function() return a:await() end)
         local ok, first = pcall(await, a) pcall(await, b) return first.message",
    ];
    for code in cases {
        assert_eq!(
            fixture.shown(code),
            "\"the task waits for itself\"",
            "{code}"
        );
    }
    // Two that wait for a third one are no circle.
    let code = "local slow = async(function() sleep(0.001) return 1 end)
                local function ask() return slow:await() end
                return table.concat(gather{ask, ask}, ' ')";
    assert_eq!(fixture.shown(code), "\"1 1\"");
}

#[test]
fn what_this_lua_lacks_has_a_hint_to_what_there_is_instead() {
    let fixture = Fixture::new();
    for (code, says) in [
        ("os.execute('ls')", "`Tool.run_process{"),
        ("io.popen('ls')", "`Tool.run_process{"),
        ("local f = io.open('x')", "`Tool.read_file{"),
        ("io.open('x', 'w')", "`Tool.write_file{"),
        ("os.remove('x')", "`Tool.delete_file{"),
        ("os.getenv('HOME')", "environment"),
        ("dofile('x.lua')", "`Tool.read_file{"),
        // A member of the same name in another table is something else.
        ("box = {} box.open('x')", "there is no `open` in that table"),
    ] {
        let error = fixture.fails(code);
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(says), "{code}: {error:?}");
        for name in hint
            .split("`Tool.")
            .skip(1)
            .filter_map(|it| it.split('{').next())
        {
            let tools = &fixture.session.components().tools;
            assert!(
                tools.find(name).is_ok(),
                "{code}: there is no tool `{name}`"
            );
        }
    }
}
