//! What is said of a name: inspection, a question mark, `help`.

use std::sync::Arc;

use aikit_core::{engine::ScriptEngine as _, io};

use crate::support::{Fixture, text};

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
    // Below the cursor and for values as well, also where what is there changes again.
    assert_eq!(inspected(&fixture, "string.upper"), None);
    fixture.run("s = 'x'").unwrap();
    assert_eq!(inspected(&fixture, "s:upper"), None);
    for (change, name, says) in [
        ("math.pi = 3", "math.pi", "math.pi: integer 3"),
        ("_VERSION = 'x'", "_VERSION", "_VERSION: string of 1 bytes"),
        (
            "io.stdout = {}",
            "io.stdout",
            "io.stdout: table of 0 items and 0 named members",
        ),
    ] {
        assert!(inspected(&fixture, name).is_some(), "{name}");
        fixture.run(change).unwrap();
        let shown = fixture.shown(&format!("{name}?"));
        assert!(shown.starts_with(says), "{name}: {shown}");
        let said = inspected(&fixture, name).unwrap_or_default();
        assert!(said.is_empty() || said.starts_with(says), "{name}: {said}");
    }
    fixture.run("math.pi = math.pi + 0.14").unwrap();
    assert_eq!(inspected(&fixture, "math.pi"), None);
    // A function by another one of the same kind.
    fixture.run("string.lower = function() end").unwrap();
    assert_eq!(inspected(&fixture, "string.lower"), None);
}

#[test]
fn help_describes_a_function_of_lua_whatever_its_name_means_now() {
    let fixture = Fixture::new();
    for (change, subject, usage) in [
        ("old = print function print() end", "old", "print(...: any"),
        ("kept = type type = nil", "kept", "type(value: any value)"),
        (
            "t = {string.rep} string = nil",
            "t[1]",
            "string.rep(text: string",
        ),
    ] {
        fixture.run(change).unwrap();
        fixture.run(&format!("help({subject})")).unwrap();
        let said = fixture.sink.text();
        assert!(said.starts_with(usage), "{change}: {said}");
    }
}

#[test]
fn members_that_code_would_find_are_not_said_to_be_missing() {
    let fixture = Fixture::new();
    fixture
        .run(
            "p, t, cx = progress{total = 3}, async(function() end), Context.get()
             Account = {} Account.__index = Account function Account.deposit() end
             Savings = setmetatable({}, {__index = Account}) Savings.__index = Savings
             acc = setmetatable({}, Savings)
             asked = setmetatable({}, {__index = function() error('asked') end})
             round = {} setmetatable(round, {__index = round})
             deep = {tool = Tool.get('count_words')}",
        )
        .unwrap();
    assert_eq!(fixture.shown("acc.deposit?"), "acc.deposit: function");
    for name in [
        "p:advance",
        "t:await",
        "cx:nope",
        "asked.member",
        "asked.member.deeper",
        "deep.tool:invoke",
        "round.nope",
    ] {
        assert_eq!(fixture.shown(&format!("{name}?")), "", "{name}");
        let text = fixture.sink.text();
        let says = format!("nothing is known of `{name}`: ");
        assert!(text.starts_with(&says), "{name}: {text}");
        fixture.run(&format!("help('{name}')")).unwrap();
        assert_eq!(fixture.sink.text(), text, "{name}");
    }
    for name in ["acc.nope", "deep.tool:nope", "Tool.nope"] {
        fixture.run(&format!("{name}?")).unwrap();
        let text = fixture.sink.text();
        let says = format!("there is no `{name}`: ");
        assert!(text.starts_with(&says), "{name}: {text}");
    }
}

#[test]
fn a_long_text_is_no_name_and_is_not_repeated() {
    let fixture = Fixture::new();
    for letter in ["a", "ü", "a.", "a:"] {
        let code = format!("help(('{letter}'):rep(1000000))");
        fixture.run(&code).unwrap();
        let text = fixture.sink.text();
        assert!(text.starts_with("there is no `"), "{letter}: {text:.300}");
        assert!(text.contains("…`: "), "{letter}");
        assert!(text.chars().count() < 300, "{letter}: {}", text.len());
    }
    let code = format!("{}?", "a".repeat(100_000));
    fixture.run(&code).unwrap();
    assert!(fixture.sink.text().len() < 300);
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
