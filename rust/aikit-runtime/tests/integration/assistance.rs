//! Completion, inspection, and whether code is complete.

use std::sync::Arc;

use aikit_core::{
    Context, ErrorKind,
    context::Overrides,
    engine::{Completeness, ScriptEngine as _},
    io,
};

use crate::support::{Border, Fixture, text};

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
    let cases: [(&str, &[&str]); 14] = [
        ("longest|", &["longest_name"]),
        ("kept_n|", &["kept_name"]),
        ("longest_name.al|", &["alpha", "alps"]),
        ("x = 1\nret|", &["return"]),
        ("Tool.inv|", &["invoke"]),
        ("Tool.count_|", &["count_words"]),
        ("kept_name:inv|", &["invoke"]),
        ("kept_name.usa|", &["usage"]),
        ("Tool.count_words{te|", &["text"]),
        ("Tool.calculate{ex|", &["expression"]),
        ("Tool.calculate{expression = longest|", &["longest_name"]),
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
fn help_lists_what_there_is_and_finds_a_name_however_it_is_written() {
    let fixture = Fixture::new();
    for code in ["help()", "help"] {
        fixture.run(code).unwrap();
        let text = fixture.sink.text();
        for line in [
            "RAG ",
            "Retrieval: ingest documents",
            "display ",
            "gather",
            "help('RAG')",
        ] {
            assert!(text.contains(line), "{code}: {line}: {text}");
        }
    }
    fixture.run("index = RAG.open()").unwrap();
    for (code, says) in [
        ("help('rag')", "RAG.open("),
        ("help('RAG')", "RAG.open("),
        ("help('rag.search')", "RAG:search(query: string"),
        ("help('RAG.search')", "RAG:search(query: string"),
        ("help(index.search)", "RAG:search(query: string"),
        ("help('index.search')", "RAG:search(query: string"),
        ("help('rag.open')", "RAG.open("),
        ("help('tool.count_words')", "Counts"),
        ("help('HELP')", "help(subject?"),
        ("help('progress')", "progress(work"),
        (
            "help('sesion')",
            "there is no `sesion`: did you mean `Session`",
        ),
        ("help('no such thing')", "`help()` lists what there is"),
    ] {
        fixture.run(code).unwrap();
        let text = fixture.sink.text();
        assert!(text.contains(says), "{code}: {text}");
    }
    // What the script calls so is the script's.
    fixture.run("local help = 3").unwrap();
    assert_eq!(fixture.shown("help"), "3");
}

/// What stands below a cursor, as text.
fn inspected(fixture: &Fixture, code: &'static str) -> Option<String> {
    let engine = Arc::clone(&fixture.engine);
    let found = io::wait(
        async move { engine.inspect(code, code.len(), 0).await },
        || Ok(()),
    );
    let bundle = found.unwrap().unwrap();
    bundle.map(|bundle| text(&bundle, "text/plain"))
}

#[test]
fn the_functions_of_lua_itself_are_described() {
    let fixture = Fixture::new();
    for (name, usage) in [
        ("print", "print(...: any values)"),
        ("string.gsub", "string.gsub(text: string, pattern: string"),
        ("table.insert", "table.insert(list: table"),
        ("math.floor", "math.floor(number: number)"),
        ("coroutine.wrap", "coroutine.wrap(body: function)"),
        ("io.read", "io.read(...formats?:"),
        ("os.time", "os.time(fields?: table)"),
        ("utf8.codes", "utf8.codes(text: string"),
    ] {
        let said = inspected(&fixture, name).unwrap_or_else(|| panic!("{name}"));
        assert!(said.starts_with(usage), "{name}: {said}");
        assert!(said.contains("\n\nReturns "), "{name}: {said}");
        for marks in ["?", "??"] {
            assert_eq!(fixture.shown(&format!("{name}{marks}")), said, "{name}");
        }
        for subject in [name.to_owned(), format!("'{name}'")] {
            fixture.run(&format!("help({subject})")).unwrap();
            assert_eq!(fixture.sink.text(), format!("{said}\n"), "{subject}");
        }
    }
    let library = inspected(&fixture, "string").unwrap();
    assert!(library.contains("- string.gsub("), "{library}");
    let value = inspected(&fixture, "math.pi").unwrap();
    assert!(value.starts_with("math.pi\n"), "{value}");
    // A text has the functions of `string` as methods.
    fixture.run("s = 'x' t = {upper = 1}").unwrap();
    let method = inspected(&fixture, "s:upper").unwrap();
    assert!(method.starts_with("string.upper(text: string)"), "{method}");
    fixture.run("help('STRING.Upper')").unwrap();
    assert!(fixture.sink.text().starts_with("string.upper("));
    fixture.run("help()").unwrap();
    assert!(fixture.sink.text().contains("coroutine, io, os, math"));
}

#[test]
fn what_takes_the_place_of_a_function_of_lua_is_not_described_as_it() {
    let fixture = Fixture::new();
    fixture
        .run("function print() end local type = 3 string.upper = 5 utf8 = {}")
        .unwrap();
    for (name, says) in [
        ("print", "print: function"),
        ("type", "type: integer 3"),
        ("string.upper", "string.upper: integer 5"),
    ] {
        assert_eq!(fixture.shown(&format!("{name}?")), says);
    }
    assert_eq!(inspected(&fixture, "print").unwrap(), "print: function");
    assert_eq!(inspected(&fixture, "type").unwrap(), "type: integer 3");
    assert_eq!(inspected(&fixture, "utf8.len"), None);
    fixture.run("utf8.len?").unwrap();
    assert!(fixture.sink.text().starts_with("there is no `utf8.len`"));
}

#[test]
fn a_name_that_does_not_exist_is_said_not_to() {
    let fixture = Fixture::new();
    fixture
        .run("counter = {size = 1, deep = {er = 'x'}} local near_by = 2")
        .unwrap();
    for (code, says) in [
        (
            "nope?",
            "there is no `nope`: `help()` lists what there is\n",
        ),
        (
            "nope??",
            "there is no `nope`: `help()` lists what there is\n",
        ),
        ("prnt?", "there is no `prnt`: did you mean `print`?\n"),
        ("countr?", "there is no `countr`: did you mean `counter`"),
        ("nearby?", "there is no `nearby`: did you mean `near_by`"),
        (
            "string.gsubb?",
            "there is no `string.gsubb`: did you mean `string.gsub`",
        ),
        (
            "counter.sise?",
            "there is no `counter.sise`: did you mean `counter.size`",
        ),
        ("counter.deep.nope?", "there is no `counter.deep.nope`: "),
    ] {
        assert_eq!(fixture.shown(code), "", "{code}");
        let text = fixture.sink.text();
        assert!(text.starts_with(says), "{code}: {text}");
    }
    for (code, says) in [
        ("counter.size?", "counter.size: integer 1"),
        (
            "counter.deep?",
            "counter.deep: table of 0 items and 1 named members",
        ),
        (
            "counter.deep.er?",
            "counter.deep.er: string of 1 bytes: \"x\"",
        ),
    ] {
        assert_eq!(fixture.shown(code), says, "{code}");
    }
}

#[test]
fn known_values_of_arguments_are_completed() {
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        std::fs::write(fixture.folder.join("line.csv"), "").unwrap();
        fixture
            .run(
                "index = RAG.open()
                 Hook.register('tool.before', function() end, {name = 'seen'})
                 Tool.create{name = 'count_sheep', summary = 'Counts.', fn = function() end}",
            )
            .unwrap();
        let kinds: &[&str] = &["line", "bar", "scatter", "area", "histogram", "heatmap"];
        let cases: &[(&str, &[&str])] = &[
            ("plot{kind=\"|", kinds),
            ("plot{kind='|'}", kinds),
            ("plot({kind = '|', data = {1}})", kinds),
            (
                "plot{data = {1, {2}}, kind = 'h|",
                &["histogram", "heatmap"],
            ),
            ("p = plot{data = {1}}:update{kind = 'l|", &["line.csv"]),
            ("plot{kind = 'x|", &[]),
            ("plot{title = 'li|", &["line.csv"]),
            ("plot{data = {kind = 'li|", &["line.csv"]),
            ("plot{kind = x .. 'li|", &["line.csv"]),
            ("Tool.invoke(\"count_|", &["count_words", "count_sheep"]),
            ("Tool.invoke('count_words', 'li|", &["line.csv"]),
            ("Tool.get'count_w|", &["count_words"]),
            ("Agent{tools = {'count_words', 'count_s|", &["count_sheep"]),
            ("Hook.register('tool.b|", &["tool.before"]),
            ("Hook.register({'x', 'tool.b|", &["tool.before"]),
            ("Hook.unregister('|", &["seen"]),
            ("Hook.use('rate|", &["rate_limit"]),
            ("index:search('li|", &["line.csv"]),
            (
                "index:search('line', {mode = '|",
                &["hybrid", "dense", "keyword"],
            ),
            (
                "Log.set_level('|",
                &["trace", "debug", "info", "warn", "error", "fatal"],
            ),
            ("Tool.convert_base64{operation = '|", &["encode", "decode"]),
            ("print('li|", &["line.csv"]),
            ("(f)('li|", &["line.csv"]),
            ("Tool.nope{x = 'li|", &["line.csv"]),
        ];
        for (code, expected) in cases {
            assert_eq!(candidates(&fixture, code), *expected, "{code} {border:?}");
        }
    }
}

#[test]
fn names_are_known_while_a_cell_runs() {
    let fixture = Arc::new(Fixture::new());
    fixture.run("known_before = 1").unwrap();
    let cx = Context::create(Overrides::default());
    let (running, run_cx) = (Arc::clone(&fixture), cx.clone());
    let thread =
        std::thread::spawn(move || running.run_in(&run_cx, "print('on')\nwhile true do end"));
    fixture.sink.wait_for_text();
    assert_eq!(candidates(&fixture, "known_b|"), ["known_before"]);
    cx.cancel(ErrorKind::Cancelled, "enough");
    assert_eq!(thread.join().unwrap().unwrap_err().message(), "enough");
}

#[test]
fn the_picture_of_the_names_has_a_bound() {
    let fixture = Fixture::new();
    fixture
        .run("local kept_before = 1\nfor i = 1, 3e4 do _G['many' .. i] = i end")
        .unwrap();
    let count = candidates(&fixture, "many|").len();
    assert!((1..=20_000).contains(&count), "{count}");
    assert_eq!(candidates(&fixture, "kept_b|"), ["kept_before"]);
}

#[test]
fn paths_are_completed_inside_of_texts() {
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        for folder in ["data", "data/deep", ".hidden", "o'clock"] {
            std::fs::create_dir(fixture.folder.join(folder)).unwrap();
        }
        for file in [
            "data/a.csv",
            "data/größe.txt",
            "date.md",
            "other \"one\".md",
            ".env",
        ] {
            std::fs::write(fixture.folder.join(file), "").unwrap();
        }
        // More than are looked at when nothing is typed.
        for number in 0..600 {
            std::fs::write(
                fixture.folder.join(format!("data/deep/{number:03}.png")),
                "",
            )
            .unwrap();
        }
        std::fs::write(fixture.folder.join("data/deep/[x]*?{y}.txt"), "").unwrap();
        let cases: [(&str, &[&str]); 14] = [
            (
                "x = 'data/deep/59|",
                &[
                    "590.png", "591.png", "592.png", "593.png", "594.png", "595.png", "596.png",
                    "597.png", "598.png", "599.png",
                ],
            ),
            ("x = 'data/deep/[x]*?{|", &["[x]*?{y}.txt"]),
            ("Tool.read_file{path = 'da|", &["data/", "date.md"]),
            (
                "Tool.read_file{path = \"data/|\"}",
                &["a.csv", "deep/", "größe.txt"],
            ),
            ("x = 'data/grö|", &["größe.txt"]),
            ("x = './dat|", &["data/", "date.md"]),
            ("x = '|", &["data/", "date.md"]),
            ("x = '.h|", &[".hidden/"]),
            ("x = 'nowhere/|", &[]),
            ("x = 'data/../../../../|", &[]),
            ("x = '/|", &[]),
            ("x = 'a\\|", &[]),
            ("x = [[da|", &[]),
            ("-- it's da|", &[]),
        ];
        for (code, expected) in cases {
            assert_eq!(candidates(&fixture, code), expected, "{code} {border:?}");
        }
    }
}
