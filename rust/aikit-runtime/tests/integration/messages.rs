//! What the messages of wrong calls name.

use aikit_core::ErrorKind;

use crate::support::Fixture;

#[test]
fn a_chart_without_data_is_told_what_is_missing_with_an_example() {
    let fixture = Fixture::new();
    for (code, message) in [
        ("plot{}", "`plot`: `options.data` is missing"),
        (
            "plot()",
            "`plot`: `options` is missing; it must be a table of options with `data`",
        ),
        (
            "plot({1, 2})",
            "`plot`: `options` must be a table of options with `data`, but it is the array `[1,2]`",
        ),
        ("plot{dta = {1}}", "`plot`: `options.data` is missing"),
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.message(), message, "{code}");
        let hint = error.hint().unwrap();
        let begin = "call it as `plot(options: table of options)`, such as `plot{";
        assert!(hint.starts_with(begin), "{code}: {hint}");
        let example = hint[begin.len() - "plot{".len()..].trim_end_matches('`');
        fixture.run(example).unwrap();
    }
}

#[test]
fn a_type_has_the_article_that_fits_it() {
    let fixture = Fixture::new();
    for (code, message) in [
        (
            "Context.run(Context.create{}, 5)",
            "a function was expected, but it is an integer",
        ),
        (
            "await(5)",
            "`await`: a task or a function was expected, but it is an integer",
        ),
        (
            "JSON.stringify({[print] = 1})",
            "has a key that is a function",
        ),
        ("os.exit(1.5)", "`os.exit`: a number is no exit status"),
        (
            "Procedure.track('a', Context.node):merge_metrics({1})",
            "`Node:merge_metrics`: `metrics` is an array",
        ),
        (
            "Procedure.track('a', Context.node):merge_metrics({a = {1}})",
            "the metric `a` is an array",
        ),
        (
            "input('a', 'zz')",
            "`reading` must be a format or a number of bytes, but it is the string `\"zz\"`",
        ),
        (
            "input('a', -1)",
            "`reading` must be a format or a number of bytes, but it is the integer `-1`",
        ),
        (
            "io.read('zz')",
            "`reading` must be a format or a number of bytes, but it is the string `\"zz\"`",
        ),
    ] {
        let error = fixture.fails(code);
        assert!(error.message().contains(message), "{code}: {error}");
        assert!(error.hint().is_some(), "{code}: {error}");
    }
}

#[test]
fn a_syntax_error_shows_its_line() {
    let fixture = Fixture::new();
    let error = fixture.fails("local a = 1\n  local b = = 2");
    assert_eq!(error.message(), "cell [1]:2: unexpected symbol near '='");
    assert_eq!(error.traceback(), ["cell [1]:2: here", "    local b = = 2"]);
    let error = fixture.fails("größe = 3");
    assert!(
        error.hint().unwrap().contains("letters A to Z"),
        "{error:?}"
    );
    let error = fixture.fails("print(“hi”)");
    assert!(
        error.hint().unwrap().contains("straight quotes"),
        "{error:?}"
    );
    let error = fixture.fails("for i = 1, 3 do");
    assert!(error.hint().unwrap().contains("`end`"), "{error:?}");
}

#[test]
fn a_text_of_a_value_that_fails_says_only_why() {
    let fixture = Fixture::new();
    for code in ["bad", "print(bad)", "display(bad)", "tostring(bad)"] {
        let bad = "bad = setmetatable({}, {__tostring = function() error('no', 0) end})";
        fixture.run(bad).unwrap();
        let error = fixture.fails(code);
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Script, "no"),
            "{code}"
        );
    }
}

#[test]
fn the_text_of_a_raised_value_is_bounded() {
    let fixture = Fixture::new();
    fixture.run("large = ('x'):rep(1 << 20)").unwrap();
    for code in [
        "error(setmetatable({}, {__tostring = function() return large end}))",
        "error({message = large})",
    ] {
        let length = fixture.fails(code).message().len();
        assert!((1000..=1 << 16).contains(&length), "{code}: {length}");
    }
}

#[test]
fn a_traceback_has_no_frames_of_ours() {
    let fixture = Fixture::new();
    let error = fixture.fails("local x = 1\nprogress({x = 1})");
    assert_eq!(
        error.traceback(),
        ["cell [1]:2: in the main chunk", "    progress({x = 1})"]
    );
    let error = fixture.fails("for _ in progress(2) do\n  error('x')\nend");
    assert_eq!(
        error.traceback(),
        ["cell [2]:2: in the main chunk", "    error('x')"]
    );
}

#[test]
fn steps_of_a_bar_are_whole_numbers_and_its_options_are_known() {
    let fixture = Fixture::new();
    fixture.run("bar = progress{total = 8 / 2}").unwrap();
    fixture.run("bar:advance(2.0) bar:update(6 / 2)").unwrap();
    assert!(fixture.shown("tostring(bar)").contains(" 3/4 "));
    for (code, message) in [
        (
            "bar:advance(0.5)",
            "`bar:advance`: `steps` must be a whole number from 0, not `0.5`",
        ),
        (
            "progress{total = 3, labl = 'x'}",
            "`progress`: there is no option `labl`",
        ),
        (
            "progress{total = 1.5}",
            "`progress`: `total` must be a whole number from 0, not `1.5`",
        ),
    ] {
        assert_eq!(fixture.fails(code).message(), message, "{code}");
    }
}
