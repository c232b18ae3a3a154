//! What the messages of wrong calls name.

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
