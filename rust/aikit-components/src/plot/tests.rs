//! Charts of every kind, from every form of data, and what cannot be drawn.

mod limits;

use std::cell::Cell;

use aikit_core::ErrorKind;
use serde_json::{Value as Json, json};

use super::*;

thread_local! {
    /// How often this thread has drawn.
    pub(super) static DRAWN: Cell<usize> = const { Cell::new(0) };
}

fn given(options: Json) -> Map {
    match serde_json::from_value(options).unwrap() {
        Value::Map(options) => options,
        other => panic!("{other}"),
    }
}

fn plot(options: Json) -> Drawing {
    Plot::new(given(options)).unwrap().draw().unwrap()
}

fn error(options: Json) -> Error {
    Plot::new(given(options)).unwrap_err()
}

fn vega(options: Json) -> Json {
    serde_json::to_value(plot(options).vega_lite().to_json().unwrap()).unwrap()
}

/// The attributes `d` of what is drawn in a colour.
fn paths(svg: &str, color: &str) -> Vec<String> {
    let drawn = svg.split("<path ").filter(|it| it.contains(color));
    drawn
        .map(|it| {
            it.split(" d=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

const FIRST: &str = "#4c78a8";

#[test]
fn the_same_points_are_drawn_from_every_form_of_data() {
    let forms = [
        json!([[1, 2.0], [2, 4.0], [3, 1.0]]),
        json!([{"x": 1, "y": 2.0}, {"x": 2, "y": 4.0}, {"x": 3, "y": 1.0}]),
        json!({"x": [1, 2, 3], "y": [2.0, 4.0, 1.0]}),
        json!([2.0, 4.0, 1.0]),
    ];
    let expected = json!([{"x": 1.0, "y": 2.0}, {"x": 2.0, "y": 4.0}, {"x": 3.0, "y": 1.0}]);
    for data in forms {
        let described = vega(json!({"kind": "line", "data": data}));
        assert_eq!(described["data"]["values"], expected, "{data}");
    }
}

#[test]
fn a_description_names_axes_series_and_limits() {
    let data = json!([
        {"day": "mon", "price": 10, "shop": "a"},
        {"day": "tue", "price": 12.5, "shop": "a"},
        {"day": "mon", "price": 9, "shop": "b.c"},
    ]);
    let options = json!({
        "kind": "line", "data": data, "x": "day", "y": "price", "color": "shop",
        "title": "Prices", "y_title": "€", "width": 400,
    });
    let described = vega(options);
    assert_eq!(
        described["$schema"],
        "https://vega.github.io/schema/vega-lite/v5.json"
    );
    assert_eq!(described["title"], "Prices");
    assert_eq!(
        (&described["width"], &described["height"]),
        (&json!(400.0), &json!(320.0))
    );
    let encoding = &described["encoding"];
    assert_eq!(encoding["x"]["type"], "ordinal");
    assert_eq!(encoding["x"]["sort"], json!(["mon", "tue"]));
    assert_eq!(encoding["x"]["title"], "day");
    assert_eq!(encoding["y"]["title"], "€");
    assert_eq!(encoding["y"]["scale"]["domain"], json!([9.0, 13.0]));
    assert_eq!(encoding["color"]["scale"]["domain"], json!(["a", "b.c"]));
    assert_eq!(
        described["data"]["values"][2],
        json!({"x": "mon", "y": 9.0, "series": "b.c"})
    );
}

#[test]
fn numbers_are_in_their_order_and_gaps_break_a_line() {
    let data = json!({"x": [3, 1, 2, 4, null], "y": [30, 10, null, 40, 7]});
    let drawn = plot(json!({"data": data}));
    let lines = paths(&drawn.svg(), "stroke-width=\"2\"");
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    // One dot at 1, and a line from 3 to 4.
    assert_eq!(line.matches('M').count(), 2, "{line}");
    assert_eq!(line.matches('L').count(), 1, "{line}");
    assert!(line.contains("h0M"), "{line}");
    let rows = vega(json!({"data": {"x": [3, 1, 2], "y": [30, 10, null]}}));
    assert_eq!(
        rows["data"]["values"],
        json!([{"x": 1.0, "y": 10.0}, {"x": 2.0, "y": null}, {"x": 3.0, "y": 30.0}])
    );
}

#[test]
fn infinities_and_what_is_no_number_are_gaps() {
    let numbers = [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0];
    let data: Value = numbers.into_iter().map(Value::from).collect();
    let (_, drawn) = Plot::drawn(Map::from_iter([("data".to_owned(), data)])).unwrap();
    let rows = drawn
        .vega_lite()
        .get("data")
        .unwrap()
        .get("values")
        .unwrap()
        .clone();
    let y: Vec<_> = rows
        .as_list()
        .unwrap()
        .iter()
        .map(|it| it.get("y").unwrap().as_f64())
        .collect();
    assert_eq!(y, [Some(1.0), None, None, None, Some(2.0)]);
    for bad in ["NaN", "inf", "null"] {
        assert!(!drawn.svg().contains(bad), "{}", drawn.svg());
    }
}

#[test]
fn bars_add_up_and_stand_on_one_another() {
    let data = json!([
        {"f": "fig", "n": 1, "s": "a"}, {"f": "fig", "n": 2, "s": "a"},
        {"f": "fig", "n": 4, "s": "b"}, {"f": "kiwi", "n": -3, "s": "b"},
    ]);
    let options = |stack| json!({"kind": "bar", "data": data, "x": "f", "y": "n", "color": "s", "stack": stack});
    let ends = |stack| {
        let rows = vega(options(stack));
        let rows = rows["data"]["values"].as_array().unwrap().clone();
        rows.iter()
            .map(|it| (it["y2"].as_f64().unwrap(), it["y"].as_f64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ends(true), [(0.0, 3.0), (3.0, 7.0), (0.0, -3.0)]);
    assert_eq!(ends(false), [(0.0, 3.0), (0.0, 4.0), (0.0, -3.0)]);
    assert!(vega(options(false))["encoding"]["xOffset"].is_object());
    assert_eq!(
        plot(options(true)).text(),
        " fig, a │██████████████████████████████ 3\n fig, b │████████████████████████████████████████ 4\n\
         kiwi, b │██████████████████████████████ -3"
    );
}

#[test]
fn areas_add_up_where_any_of_them_has_a_place() {
    let data = json!([
        {"x": 1, "y": 1, "s": "a"}, {"x": 3, "y": 1, "s": "a"}, {"x": 2, "y": 5, "s": "b"},
    ]);
    let rows = vega(json!({"kind": "area", "data": data, "color": "s"}))["data"]["values"].clone();
    let places: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["x"].as_f64().unwrap(),
                it["y2"].as_f64().unwrap(),
                it["y"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (1.0, 0.0, 1.0),
            (2.0, 0.0, 0.0),
            (3.0, 0.0, 1.0),
            (1.0, 1.0, 1.0),
            (2.0, 0.0, 5.0),
            (3.0, 1.0, 1.0),
        ]
    );
}

#[test]
fn a_histogram_counts_every_number_once() {
    let numbers: Vec<f64> = (0..1000).map(|it| f64::from(it) / 10.0).collect();
    for bins in [None, Some(1), Some(7), Some(500)] {
        let rows =
            vega(json!({"kind": "histogram", "data": numbers, "bins": bins}))["data"]["values"]
                .clone();
        let rows = rows.as_array().unwrap();
        let sum: u64 = rows.iter().map(|it| it["count"].as_u64().unwrap()).sum();
        assert_eq!(sum, 1000);
        if let Some(bins) = bins {
            assert_eq!(rows.len(), bins);
        }
    }
    assert_eq!(
        plot(json!({"kind": "histogram", "data": [1, 1, 2, 5]})).text(),
        "1 – 2 │████████████████████████████████████████ 2\n2 – 3 │████████████████████ 1\n3 – 4 │0\n\
         4 – 5 │0\n5 – 6 │████████████████████ 1"
    );
    let names = plot(json!({"kind": "histogram", "data": ["b", "a", "b"]}));
    assert_eq!(
        names.text(),
        "b │████████████████████████████████████████ 2\na │████████████████████ 1"
    );
}

#[test]
fn a_grid_of_numbers_is_a_heat_map() {
    let drawn = plot(json!({"kind": "heatmap", "data": [[1, 2, 3], [4, null, 6]]}));
    assert_eq!(drawn.text(), "1 │░░░░▒▒\n2 │▓▓  ██\n   1 … 3");
    let described = vega(json!({"kind": "heatmap", "data": [[1, 2, 3], [4, null, 6]]}));
    let rows = described["data"]["values"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[3], json!({"x": "1", "y": "2", "value": 4.0}));
    assert_eq!(drawn.svg().matches("<path fill=").count(), 5);
}

#[test]
fn several_columns_are_several_series() {
    let data = json!({"t": [1, 2], "low": [1, 2], "high": [3, 4]});
    let described = vega(json!({"data": data, "x": "t", "y": ["low", "high"]}));
    assert_eq!(
        described["encoding"]["color"]["scale"]["domain"],
        json!(["low", "high"])
    );
    assert_eq!(described["data"]["values"].as_array().unwrap().len(), 4);
}

#[test]
fn texts_cannot_break_out_of_a_drawing() {
    let bad = "</text><script>alert(1)</script>\u{0}\"'&";
    let data = json!([{"k": bad, "v": 1, "c": bad}]);
    for kind in ["bar", "line", "scatter", "area"] {
        let svg = plot(json!({
            "kind": kind, "data": data, "x": "k", "y": "v", "color": "c", "title": bad,
            "x_title": bad, "y_title": bad,
        }))
        .svg();
        assert!(!svg.contains("<script") && !svg.contains('\u{0}'), "{svg}");
        let mut reader = quick_check(&svg);
        assert_eq!(reader.pop(), None, "{svg}");
    }
}

/// Tags that are not closed.
fn quick_check(svg: &str) -> Vec<String> {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{svg}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap().to_owned());
        }
    }
    open
}

/// Checks that each of these options is refused, with a message and a hint that hold something.
fn check_refused(cases: &[(Json, &str, &str)]) {
    for (options, message, hint) in cases {
        let error = error(options.clone());
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{options}: {error}");
        assert!(error.message().contains(message), "{options}: {error}");
        assert!(
            error.hint().unwrap_or_default().contains(hint),
            "{options}: {:?}",
            error.hint()
        );
    }
}

#[test]
fn data_that_cannot_be_drawn_are_refused_with_what_to_do() {
    let rows = json!([{"a": 1, "b": 2, "c": 3}]);
    check_refused(&[
        (json!({}), "`data` is missing", "list of records"),
        (json!({"data": []}), "`data` is empty", "no rows"),
        (json!({"data": {}}), "`data` is empty", "no rows"),
        (
            json!({"data": [null, null]}),
            "`data` holds no number",
            "look at",
        ),
        (
            json!({"data": [{"x": 1, "y": null}, {"x": null, "y": 2}]}),
            "no row has both `x` and a number in `y`",
            "look at",
        ),
        (
            json!({"data": [1, 1e308]}),
            "row 2 of the column `y` is 1e308, and a chart draws numbers from -1e300 to 1e300",
            "logarithms",
        ),
        (
            json!({"data": 7}),
            "`data` is the integer `7`",
            "list of records",
        ),
        (
            json!({"data": [1, "two"]}),
            "row 2 of the column `y` is the string `\"two\"`",
            "another column",
        ),
        (
            json!({"data": [[1, 2], [1, 2, 3]]}),
            "item 2 of `data` has 3 values",
            "pairs",
        ),
        (
            json!({"data": [{"a": 1}, 5]}),
            "item 2 of `data` is the integer `5`",
            "list of records",
        ),
        (
            json!({"data": {"a": [1], "b": [1, 2]}}),
            "`a` has 1 values, `b` has 2",
            "0/0",
        ),
        (
            json!({"data": {"a": 1}}),
            "the column `a` of `data` is the integer `1`",
            "list of records",
        ),
        (json!({"data": rows}), "`x` is missing", "`a`, `b`, `c`"),
        (
            json!({"data": rows, "x": "a"}),
            "`y` is missing",
            "`a`, `b`, `c`",
        ),
        (
            json!({"data": rows, "x": "a", "y": "bb"}),
            "there is no column `bb`",
            "`b`",
        ),
        (
            json!({"data": rows, "x": "a", "y": ["b", "c"], "color": "a"}),
            "`color` and several `y`",
            "leave `color` out",
        ),
    ]);
}

#[test]
fn options_that_cannot_be_are_refused_with_what_to_do() {
    check_refused(&[
        (
            json!({"data": [1], "kind": "pie"}),
            "there is no kind `pie`",
            "line",
        ),
        (
            json!({"data": [1], "width": 10}),
            "`width` must be a number of pixels from 100 to 4000",
            "help(plot)",
        ),
        (
            json!({"data": [1], "bins": 0}),
            "`bins` must be a whole number from 1 to 500",
            "help(plot)",
        ),
        (
            json!({"data": [1], "stack": "no"}),
            "`stack` must be a boolean",
            "help(plot)",
        ),
        (
            json!({"data": [1], "y": 3}),
            "`y` must be a string or a list of strings",
            "help(plot)",
        ),
        (
            json!({"data": [1], "kind": "histogram", "y": "x"}),
            "a histogram has no `y`",
            "x = \"x\"",
        ),
        (
            json!({"data": [null], "kind": "histogram"}),
            "there is no number to count",
            "look at",
        ),
        (
            json!({"data": [[1]], "kind": "heatmap", "y": ["a", "b"]}),
            "a heat map has one `y`",
            "rows",
        ),
    ]);
}

#[test]
fn everything_that_is_drawn_lies_in_the_frame() {
    let names: Vec<String> = (0..100)
        .map(|it| format!("a long name of the number {it}"))
        .collect();
    let numbers: Vec<i32> = (0..100).map(|it| it * 7 % 13 - 4).collect();
    for kind in ["line", "bar", "scatter", "area"] {
        for (width, height) in [(100, 100), (600, 320), (4000, 4000)] {
            let svg = plot(json!({
                "kind": kind, "data": {"x": names, "y": numbers}, "width": width, "height": height,
                "title": "t",
            }))
            .svg();
            for path in paths(&svg, FIRST) {
                let numbers =
                    path.split(|it: char| !(it.is_ascii_digit() || it == '.' || it == '-'));
                for number in numbers.filter(|it| !it.is_empty()) {
                    let number: f64 = number.parse().unwrap();
                    assert!(
                        (0.0..=f64::from(width.max(height))).contains(&number),
                        "{kind}: {number}"
                    );
                }
            }
            assert_eq!(quick_check(&svg), Vec::<String>::new());
        }
    }
}

#[test]
fn a_drawing_is_the_same_each_time() {
    let options = json!({
        "kind": "line", "title": "Two shops",
        "data": [
            {"day": 1, "price": 10, "shop": "a"}, {"day": 2, "price": 12.5, "shop": "a"},
            {"day": 1, "price": 9, "shop": "b"}, {"day": 2, "price": 8, "shop": "b"},
        ],
        "x": "day", "y": "price", "color": "shop", "width": 300, "height": 200,
    });
    let svg = plot(options.clone()).svg();
    assert_eq!(svg, plot(options).svg());
    // Looked at once; a change of it is looked at again.
    assert_eq!(svg, include_str!("golden_line.svg").trim_end());
}

#[test]
fn other_options_change_a_chart_and_the_rest_stays() {
    let chart = Plot::new(given(json!({"kind": "bar", "data": [1, 2], "title": "T"}))).unwrap();
    let changed = chart.with(given(json!({"data": [5, 6, 7]})));
    let (changed, drawing) = Plot::drawn(changed).unwrap();
    assert_eq!(changed.name(), "bar: T");
    assert_eq!(drawing.text().lines().count(), 4);
    assert!(Plot::new(chart.with(given(json!({"data": []})))).is_err());
}

#[test]
fn a_chart_that_is_drawn_twice_looks_the_same() {
    for kind in ["line", "bar", "scatter", "area", "histogram", "heatmap"] {
        let data = json!([[1, 2], [2, 4], [3, 1]]);
        let options = given(json!({"kind": kind, "data": data, "title": "T"}));
        let (chart, first) = Plot::drawn(options).unwrap();
        let copy = chart.clone();
        drop(chart);
        assert_eq!(copy.draw().unwrap().bundle(), first.bundle(), "{kind}");
    }
}

#[test]
fn the_drawing_that_shows_that_a_chart_can_be_drawn_is_the_first_one() {
    let chart = Plot::new(given(json!({"data": [1, 2]}))).unwrap();
    let copy = chart.clone();
    let first = chart.draw().unwrap();
    assert_eq!(DRAWN.get(), 1);
    assert_eq!(copy.draw().unwrap().bundle(), first.bundle());
    assert_eq!(DRAWN.get(), 2, "it is not kept any longer");
}

#[test]
fn lines_are_drawn_in_dots() {
    let text = plot(json!({"data": [[0, 0], [10, 10]], "title": "Up"})).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[0], "Up");
    // From the lower left to the upper right corner, one line of characters after the other.
    let begins = |line: &str| line.chars().position(|it| it > '\u{2800}').unwrap();
    let places: Vec<usize> = lines[1..=15].iter().map(|it| begins(it)).collect();
    assert!(places.is_sorted_by(|a, b| a > b), "{text}");
    assert!(
        lines[1].starts_with("10 │") && lines[15].starts_with(" 0 │⣀"),
        "{text}"
    );
    assert_eq!(lines[16], format!("    0{:>59}", 10));
}
