//! Cells: what they show, what they keep, what waits.

use std::sync::Arc;

use aikit_core::{
    Context, ErrorKind, Value,
    context::Overrides,
    engine::{Cell, Completeness, Output, ScriptEngine as _, StreamName},
    io,
    value::Map,
};

use crate::support::{Fixture, text};

/// Runs cells in one session; each shows what stands beside it.
fn check(cells: &[(&str, &str)]) {
    let fixture = Fixture::new();
    for (code, expected) in cells {
        assert_eq!(fixture.shown(code), *expected, "{code}");
    }
}

#[test]
fn the_last_expression_is_shown() {
    check(&[
        ("1 + 1", "2"),
        ("return 1 + 1", "2"),
        ("1, 'a', nil", "(1, \"a\", nil)"),
        ("nil", ""),
        ("1 + 1;", ""),
        ("x = 5", ""),
        ("x\n", "5"),
        ("x = x + 1\nx * 2", "12"),
        ("tostring(x)", "\"6\""),
        ("1.0", "1.0"),
        ("-- nothing", ""),
        ("", ""),
    ]);
}

/// Expressions that begin and go on in every way; `f` answers 3, `t` holds two items.
const EXPRESSIONS: &[&str] = &[
    "1 + 1",
    "f()",
    "f() + 1",
    "f() == 3",
    "f() ~= 3",
    "f() // 2, f() .. ''",
    "f(), 2",
    "f() and g{2}",
    "f() or nil",
    "f() < 4 and 'less' or 'more'",
    "f() .. 'y' .. f()",
    "f()\n  + f()",
    "f()\n-- between\n- 1",
    "g{5} * 2",
    "g'text' .. 'more'",
    "g[[long]] .. 'more'",
    "t:size() + 1",
    "t.f() & 1",
    "t['f']() << 2",
    "t.f()\n  ^ 2",
    "math.abs(-3) + 1",
    "('x'):rep(3) .. 'y'",
    "(f)() + 1",
    "('x')",
    "(f() + 1) * 2",
    "#t",
    "#t + 1",
    "#t == 2",
    "#'text' .. f()",
    "not f()",
    "not f() == false",
    "nil == f()",
    "true and f()",
    "{f(), 2}",
    "'a' .. f()",
    "f",
    "t.n",
    "t.n + f()",
    "t[1], t[2]",
    "function() end == nil",
    "function(a) return a + 1 end ~= f",
    "-f() + 1",
    "~f() & 7",
    "coroutine.wrap(function() return f() + 1 end)() + 1",
    "f(function() return 1 end) + 1",
    "select('#', f(), 2) + 1",
];

#[test]
fn an_expression_shows_what_return_gives_wherever_it_stands() {
    let fixture = Fixture::new();
    fixture
        .run(
            "function f() return 3 end function g(x) return type(x) == 'table' and x[1] or x end
             t = {10, 20, n = 5, f = f, size = function(self) return #self end}",
        )
        .unwrap();
    for expression in EXPRESSIONS {
        let expected = fixture.shown(&format!("return {expression}"));
        // After a value these are operators and argument lists, as in any Lua program.
        let is_operator = expression.starts_with(['-', '~']);
        let is_argument = expression.starts_with(['(', '{', '\'']);
        let mut cells = vec![
            (*expression).to_owned(),
            format!("local y = 2; {expression}"),
            format!("x = 1;\n{expression} -- end"),
            format!("for i = 1, 2 do f() end {expression}"),
        ];
        if !is_operator {
            cells.push(format!("x = 1\n{expression}"));
        }
        if !is_operator && !is_argument {
            cells.push(format!("f()\n{expression}"));
            cells.push(format!("x = f\n{expression}"));
            cells.push(format!("local z = f()\n{expression}"));
        }
        for cell in cells {
            assert_eq!(fixture.shown(&cell), expected, "{cell}");
        }
    }
}

#[test]
fn handles_of_what_was_just_shown_are_not_shown() {
    let fixture = Fixture::new();
    for code in [
        "display(1)",
        "display.html('<b>x</b>')",
        "display.json({})",
        "io.write('x')",
        "io.stderr:write('x')",
        "x = 1\nio.stdout:write('x')",
    ] {
        assert_eq!(fixture.shown(code), "", "{code}");
        assert_eq!(fixture.sink.take().len(), 1, "{code}");
    }
    let named = fixture.shown("local handle = display(1, {display_id = 'one'})\nhandle");
    assert_eq!(named, "display `one`");
    assert_eq!(fixture.shown("io.stdout"), "file (stdout)");
}

#[test]
fn help_takes_names_and_values() {
    let fixture = Fixture::new();
    fixture
        .run("local function greet() end local tool = Tool.get('count_words') t = {1}")
        .unwrap();
    let help = |subject: &str| {
        fixture.run(&format!("help({subject})")).unwrap();
        fixture.sink.text()
    };
    let cases = [
        ("'Tool.invoke'", "Tool.invoke(name: string"),
        ("Tool.invoke", "Tool.invoke(name: string"),
        ("sleep", "sleep(seconds: number"),
        ("display.html", "display.html(text: string"),
        ("Tool", "The built-in tools"),
        ("display", "display(value: any value"),
        ("Tool.count_words", "Tool.count_words{…}"),
        ("Agent", "Agent("),
        ("tool", "Tool"),
        ("tool.invoke", "Tool:invoke(args?: table"),
        ("greet", "greet: function"),
        ("t", "t: "),
        ("{7}", "{7}"),
        ("'nowhere'", "nothing is known about `nowhere`"),
    ];
    for (subject, expected) in cases {
        let text = help(subject);
        assert!(text.contains(expected), "{subject}: {text}");
    }
}

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
fn what_is_larger_than_a_limit_is_cut_or_refused() {
    let fixture = Fixture::new();
    fixture.run("large = ('x'):rep((64 << 20) + 1)").unwrap();
    for code in [
        "large",
        "{large}",
        "large, 1",
        "setmetatable({}, {__tostring = function() return large end})",
    ] {
        let shown = fixture.shown(code);
        assert!(shown.len() < (1 << 20) + 200, "{code}: {}", shown.len());
        assert!(shown.contains("cut here"), "{code}");
    }
    for code in [
        "Tool.count_words{text = large}",
        "display.html(large)",
        "display.json(large)",
        "display{['text/plain'] = large}",
        "JSON.parse(large)",
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{code}: {error:?}");
        assert!(error.hint().is_some(), "{code}");
    }
    assert!(fixture.fails("error(large)").message().len() <= 1 << 16);
    // What is known about a variable is a beginning, whatever its size.
    let known = fixture.shown("large?");
    assert!(
        known.len() < 200 && known.contains("67108865 bytes"),
        "{known}"
    );
}

#[test]
fn a_large_text_is_printed_whole() {
    let fixture = Fixture::new();
    // No length of a piece is a multiple of three.
    fixture.run("print('a', ('€'):rep(1 << 20), 'b')").unwrap();
    let pieces = fixture.sink.take();
    assert!(pieces.len() > 2, "{}", pieces.len());
    let texts = pieces.into_iter().map(|piece| match piece {
        Output::Stream { text, .. } => text,
        other => panic!("{other:?}"),
    });
    let text: String = texts.collect();
    assert_eq!(text, format!("a\t{}\tb\n", "€".repeat(1 << 20)));
}

#[test]
fn statements_keep_the_reading_of_lua() {
    check(&[
        ("function f(x) n = (n or 0) + 1 return x or 7 end", ""),
        ("x = f\n(5)", ""),
        ("x", "5"),
        ("n = 0 f() f{}", "{}"),
        ("n", "2"),
        ("x = 4\n- 1", ""),
        ("x", "3"),
        ("f() - 1", "6"),
        ("f()\n- 1", "6"),
        ("if true then f() end", ""),
        ("#!/usr/bin/env aikit\n1 + 1", "2"),
        ("#!/usr/bin/env aikit", ""),
        ("#'abc'", "3"),
    ]);
}

#[test]
fn tables_are_readable() {
    check(&[
        ("{1, 2, 3}", "{1, 2, 3}"),
        (
            "{b = 1, a = {c = true}, [10] = 'x'}",
            "{[10] = \"x\", a = {c = true}, b = 1}",
        ),
        ("t = {} t.self = t\nt", "{self = <cycle>}"),
        ("{{{{{{{{1}}}}}}}}", "{{{{{{{…}}}}}}}"),
        ("JSON.parse('[null, {\"a\": null}]')", "{null, {a = null}}"),
        (
            "setmetatable({}, {__tostring = function() return 'me' end})",
            "me",
        ),
        (
            "('x'):rep(50), {('y'):rep(50), ('z'):rep(50)}",
            &format!(
                "(\"{}\", {{\n  \"{}\",\n  \"{}\",\n}})",
                "x".repeat(50),
                "y".repeat(50),
                "z".repeat(50)
            ),
        ),
    ]);
}

#[test]
fn a_list_of_records_is_an_html_table() {
    let fixture = Fixture::new();
    let bundle = fixture
        .run("{{name = 'a<b', n = 1}, {n = 2}}")
        .unwrap()
        .unwrap();
    assert_eq!(
        text(&bundle, "text/html"),
        "<table><thead><tr><th>n</th><th>name</th></tr></thead><tbody>\
         <tr><td>1</td><td>a&lt;b</td></tr><tr><td>2</td><td></td></tr></tbody></table>"
    );
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
fn output_keeps_its_order() {
    let fixture = Fixture::new();
    fixture
        .run("print('a', 1, nil, 1.5)\nio.write('b', 2)\nio.stderr:write('c')\ndisplay('d')\nprint(setmetatable({}, {__tostring = function() return 'T' end}))")
        .unwrap();
    let outputs = fixture.sink.take();
    let stream = |name, text: &str| Output::Stream {
        name,
        text: text.to_owned(),
    };
    assert_eq!(outputs[0], stream(StreamName::Stdout, "a\t1\tnil\t1.5\n"));
    assert_eq!(outputs[1], stream(StreamName::Stdout, "b2"));
    assert_eq!(outputs[2], stream(StreamName::Stderr, "c"));
    assert!(
        matches!(&outputs[3], Output::Display { bundle, update: false, .. } if text(bundle, "text/plain") == "\"d\"")
    );
    assert_eq!(outputs[4], stream(StreamName::Stdout, "T\n"));
}

#[test]
fn displays_have_media_types_and_can_be_replaced() {
    let fixture = Fixture::new();
    fixture
        .run(
            "local h = display.html('<b>x</b>', {display_id = 'one', metadata = {a = 1}})\n\
             h:update({['text/markdown'] = '**y**'})\nupdate_display(5, {display_id = 'one'})\nclear_output(true)",
        )
        .unwrap();
    let outputs = fixture.sink.take();
    let bundle = |pairs: &[(&str, &str)]| -> Map {
        pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), Value::from(*text)))
            .collect()
    };
    let display = |bundle, metadata, update| Output::Display {
        bundle,
        metadata,
        display_id: Some("one".to_owned()),
        update,
    };
    let metadata = Map::from_iter([("a".to_owned(), Value::Int(1))]);
    assert_eq!(
        outputs,
        [
            display(
                bundle(&[("text/html", "<b>x</b>"), ("text/plain", "<b>x</b>")]),
                metadata,
                false
            ),
            display(bundle(&[("text/markdown", "**y**")]), Map::new(), true),
            display(bundle(&[("text/plain", "5")]), Map::new(), true),
            Output::Clear { wait: true },
        ]
    );
}

#[test]
fn a_value_can_show_itself() {
    let fixture = Fixture::new();
    let bundle = fixture
        .run(
            "setmetatable({}, {__mime = function(self) return {['image/svg+xml'] = '<svg/>'} end})",
        )
        .unwrap()
        .unwrap();
    assert_eq!(text(&bundle, "image/svg+xml"), "<svg/>");
}

#[test]
fn tasks_run_while_others_wait() {
    check(&[
        (
            "local order = {}\nlocal function step(name, s) return async(function() sleep(s) order[#order + 1] = name return name end) end\n\
             local a, b = step('a', 0.04), step('b', 0.001)\nlocal first, second = await(a, b)\nfirst, second, order",
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
        ("collectgarbage('stop')", "count"),
        ("collectgarbage('generational')", "count"),
        ("setmetatable({}, {__gc = function() end})", "__gc"),
        ("os.exit()", "cannot end the kernel"),
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
fn complete_code_is_told_from_unfinished_and_from_wrong_code() {
    let fixture = Fixture::new();
    let incomplete = |indent: &str| Completeness::Incomplete {
        indent: indent.to_owned(),
    };
    let cases = [
        ("1 + 1", Completeness::Complete),
        ("x = 1", Completeness::Complete),
        ("local x = 1\nx", Completeness::Complete),
        ("", Completeness::Complete),
        ("if x then", incomplete("  ")),
        ("for i = 1, 3 do\n  if i then", incomplete("    ")),
        ("function f()", incomplete("  ")),
        ("t = {", incomplete("  ")),
        ("1 +", incomplete("")),
        ("s = [[", incomplete("")),
        ("x = = 1", Completeness::Invalid),
        ("end", Completeness::Invalid),
        ("x = 'a", Completeness::Invalid),
    ];
    for (code, expected) in cases {
        assert_eq!(fixture.engine.is_complete(code), expected, "{code}");
    }
}

/// The candidates for the text before `|`.
fn candidates(fixture: &Fixture, code: &str) -> Vec<String> {
    let cursor = code.find('|').unwrap();
    let engine = Arc::clone(&fixture.engine);
    let code = code.replace('|', "");
    let found = io::wait(async move { engine.complete(&code, cursor).await }, || {
        Ok(())
    });
    let matches = found.unwrap().unwrap().matches;
    matches.into_iter().map(|found| found.text).collect()
}

#[test]
fn completion_knows_names_members_keywords_and_options() {
    let fixture = Fixture::new();
    fixture
        .run("longest_name = {alpha = 1, alps = {}}\nlocal kept_name = Tool.get('count_words')")
        .unwrap();
    let cases: [(&str, &[&str]); 12] = [
        ("longest|", &["longest_name"]),
        ("kept_n|", &["kept_name"]),
        ("longest_name.al|", &["alpha", "alps"]),
        ("x = 1\nret|", &["return"]),
        ("Tool.inv|", &["invoke"]),
        ("Tool.count_|", &["count_words"]),
        ("kept_name:inv|", &["invoke"]),
        ("kept_name.usa|", &["usage"]),
        ("Tool.count_words{te|", &["text"]),
        ("Tool.create{name = 'x', su|", &["summary"]),
        ("x = 'Tool.inv|", &[]),
        ("-- Tool.inv|", &[]),
    ];
    for (code, expected) in cases {
        assert_eq!(candidates(&fixture, code), expected, "{code}");
    }
}

#[test]
fn inspection_describes_functions_and_variables() {
    let fixture = Fixture::new();
    fixture.run("x = 'hello'").unwrap();
    let cases = [
        ("Tool.invoke", 8, "Tool.invoke(name: string, args?: table)"),
        ("Tool.count_words{", 10, "Counts"),
        ("x", 0, "string of 5 bytes"),
        ("sleep(1)", 8, "seconds"),
        ("JSON", 1, "Reads and writes JSON"),
    ];
    for (code, cursor, expected) in cases {
        let engine = Arc::clone(&fixture.engine);
        let found = io::wait(async move { engine.inspect(code, cursor, 0).await }, || {
            Ok(())
        });
        let bundle = found.unwrap().unwrap().unwrap_or_else(|| panic!("{code}"));
        let plain = text(&bundle, "text/plain");
        assert!(plain.contains(expected), "{code}: {plain}");
    }
    assert!(fixture.shown("Tool.invoke?").contains("Runs a tool once"));
    fixture.run("help('Tool.create')").unwrap();
    assert!(fixture.sink.text().contains("Makes a tool of a function"));
}

#[test]
fn names_are_known_while_a_cell_runs() {
    let fixture = Arc::new(Fixture::new());
    fixture.run("known_before = 1").unwrap();
    let cx = Context::create(Overrides::default());
    let (running, run_cx) = (Arc::clone(&fixture), cx.clone());
    let thread =
        std::thread::spawn(move || running.run_in(&run_cx, "print('on')\nwhile true do end"));
    while fixture.sink.text().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(candidates(&fixture, "known_b|"), ["known_before"]);
    cx.cancel(ErrorKind::Cancelled, "enough");
    assert_eq!(thread.join().unwrap().unwrap_err().message(), "enough");
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
