//! Completion, and whether code is complete.

use std::sync::Arc;

use aikit_core::{
    Context, ErrorKind,
    context::Overrides,
    engine::{Completeness, ScriptEngine as _},
    io,
};

use crate::support::{Border, Fixture};

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
fn known_values_of_arguments_are_completed() {
    for border in [Border::Local, Border::Pipe] {
        let fixture = Fixture::with(border);
        std::fs::write(fixture.folder.join("line.csv"), "").unwrap();
        fixture
            .run(
                "index = RAG.open()
                 Hook.register('tool.before', function() end, {name = 'seen'})
                 for _, odd in ipairs{'a\"b', \"a'b\", 'a\\\\b'} do
                   Hook.register('tool.before', function() end, {name = odd})
                 end
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
            ("Agent{tools = {'te|", &["text"]),
            ("Tool.get('te|", &[]),
            ("Hook.use('cost|", &["cost_limit"]),
            ("t[1].invoke('count_|", &[]),
            ("x().plot{kind = 'li|", &["line.csv"]),
            (
                "Hook.register('tool.before', function(c) return c, 'li|",
                &["line.csv"],
            ),
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
