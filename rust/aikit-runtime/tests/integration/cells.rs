//! Cells: what they show.

use aikit_core::{
    ErrorKind, Value,
    engine::{Output, StreamName},
    value::Map,
};

use crate::support::{Fixture, check, displayed, text};

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
        ("'nowhere'", "there is no `nowhere`"),
    ];
    for (subject, expected) in cases {
        let text = help(subject);
        assert!(text.contains(expected), "{subject}: {text}");
    }
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
        "<table><thead><tr><th style=\"text-align:left\">name</th><th>n</th></tr></thead><tbody>\
         <tr><td style=\"text-align:left\">a&lt;b</td><td style=\"text-align:right\">1</td></tr>\
         <tr><td style=\"text-align:left\"></td><td style=\"text-align:right\">2</td></tr>\
         </tbody></table>"
    );
    let long = fixture.run("{{text = ('x'):rep(1000)}}").unwrap().unwrap();
    let cell = format!("text-align:left\">{}…</td>", "x".repeat(200));
    assert!(
        text(&long, "text/html").contains(&cell),
        "a long text is cut where it is shown"
    );
}

/// The columns of the table that a cell shows, by its HTML.
fn columns(bundle: &Map) -> Vec<String> {
    let html = text(bundle, "text/html");
    let (head, _) = html.split_once("</tr>").unwrap();
    let cells = head.split("<th").skip(1);
    let names = cells.filter_map(|it| it.split_once('>')?.1.strip_suffix("</th>"));
    names.map(str::to_owned).collect()
}

#[test]
fn the_columns_of_a_table_have_a_meaningful_order() {
    let fixture = Fixture::new();
    let cases = [
        ("{{zeta = 1, alpha = 2}}", &["alpha", "zeta"][..]),
        (
            "{{zeta = 1, name = 'x', alpha = 2}}",
            &["name", "alpha", "zeta"],
        ),
        ("{{text = 'x', a = 1}}", &["a", "text"]),
        (
            "{{id = 'x', text = 'x', source = 's', score = 1, end_ = 2}}",
            &["score", "source", "text", "end_", "id"],
        ),
        (
            "Model.list()",
            &["name", "usable", "lacks", "summary", "chat", "embeddings"],
        ),
        (
            "Tool.match_regex{pattern = 'a', text = 'banana'}.matches",
            &["text", "start", "stop", "groups", "names"],
        ),
    ];
    for (code, expected) in cases {
        let bundle = fixture.run(code).unwrap().unwrap();
        let columns = columns(&bundle);
        let count = expected.len().min(columns.len());
        assert_eq!(columns[..count], expected[..count], "{code}");
    }
}

#[test]
fn display_table_is_a_table_in_plain_text_too() {
    let fixture = Fixture::new();
    let bundle = displayed(
        &fixture,
        "display.table{{name = 'Ada', size = 10}, {name = 'B', size = 2}}",
    );
    let plain = "name  size\n----  ----\nAda     10\nB        2";
    assert_eq!(text(&bundle, "text/plain"), plain);
    let bundle = displayed(
        &fixture,
        "display.table({{a = 1, b = 2, c = 3}}, {columns = {'c', 'a'}})",
    );
    assert_eq!(columns(&bundle), ["c", "a"]);
    assert_eq!(text(&bundle, "text/plain"), "c  a\n-  -\n3  1");
    assert_eq!(
        text(&displayed(&fixture, "display.table({})"), "text/plain"),
        "no rows"
    );
    for (code, says) in [
        (
            "display.table('x')",
            "`records` must be a list of table, but it is the string `\"x\"`",
        ),
        ("display.table{a = 1}", "`records` must be a list of table"),
        (
            "display.table{{1, 2}}",
            "row 1 has the key `1`, which is no text",
        ),
        ("display.table{{}}", "its rows have no columns"),
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}");
        assert!(error.message().contains(says), "{code}: {error}");
        assert!(error.hint().unwrap().contains("display.table("), "{code}");
    }
}

/// Tables that hold each other many times: no cycle, few bytes, and 500 million paths.
const SHARED: &str = "shared = {1} for i = 1, 4 do local n = {} for j = 1, 150 do n[j] = shared end \
                      shared = n end";

#[test]
fn shared_tables_are_shown_within_one_bound() {
    let fixture = Fixture::new();
    fixture.run(SHARED).unwrap();
    for code in ["shared", "shared, shared", "{{a = shared}, {a = shared}}"] {
        let bundle = fixture.run(code).unwrap().unwrap();
        let plain = text(&bundle, "text/plain");
        assert!(plain.len() < (1 << 20) + 200, "{code}: {}", plain.len());
        assert!(plain.ends_with("a part of it)"), "{code}");
    }
    let error = fixture.fails("error(shared)");
    assert_eq!(error.kind(), ErrorKind::Script);
    assert!(error.message().len() < (1 << 20) + 300);
    assert_eq!(
        fixture.fails("display.json(shared)").kind(),
        ErrorKind::LimitExceeded
    );
}

#[test]
fn many_keys_are_looked_at_within_one_bound() {
    let fixture = Fixture::new();
    fixture
        .run("wide = {} for i = 1, 3e5 do wide['k' .. i] = i end many = {} for i = 1, 150 do many[i] = wide end")
        .unwrap();
    let shown = fixture.shown("wide");
    assert!(shown.starts_with("{\n  k1 = 1,\n  k10 = 10,"), "{shown}");
    assert!(shown.ends_with("  … 299800 more,\n}"), "{shown}");
    assert!(fixture.shown("many").ends_with("a part of it)"));
}

#[test]
fn wide_records_are_cut_to_one_bound() {
    let fixture = Fixture::new();
    // All of these rows would be 8 GB of HTML.
    let code = "local long, rows = ('<'):rep(1e6), {}
        for i = 1, 200 do rows[i] = {} for j = 1, 40 do rows[i]['k' .. j] = long end end
        rows[1] = {k1 = 'short', k2 = {('y'):rep(5000)}}
        return rows";
    let bundle = fixture.run(code).unwrap().unwrap();
    let html = text(&bundle, "text/html");
    assert!(html.len() < (1 << 20) + 4096, "{}", html.len());
    assert!(html.contains("<tr><td style=\"text-align:left\">short</td>"));
    assert!(
        html.contains("text-align:left\">{\n  &quot;yyy") && html.contains("yyy…</td>"),
        "a cell is cut"
    );
    let left_out = 200 - html.matches("<tr><td ").count();
    let end = format!("</tr></tbody></table><p>… {left_out} more rows</p>");
    assert!(
        (100..199).contains(&left_out) && html.ends_with(&end),
        "{left_out}"
    );
    assert!(text(&bundle, "text/plain").contains("cut here"));
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
