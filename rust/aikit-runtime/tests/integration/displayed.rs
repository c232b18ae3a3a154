//! What `display` makes of columns, and what it refuses.

use aikit_core::{ErrorKind, engine::Output, value::Map};

use super::support::{Fixture, text};

/// What the last display of a cell showed.
fn displayed(fixture: &Fixture, code: &str) -> Map {
    drop(fixture.sink.take());
    fixture.run(code).unwrap();
    let shown = fixture.sink.take().into_iter().filter_map(|it| match it {
        Output::Display { bundle, .. } => Some(bundle),
        _ => None,
    });
    shown.last().unwrap()
}

#[test]
fn a_column_that_no_row_has_is_named_with_those_there_are() {
    let fixture = Fixture::new();
    let error =
        fixture.fails("display.table({{name = 'x', size = 1}}, {columns = {'name', 'weight'}})");
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert_eq!(
        error.message(),
        "`display.table`: no row has the column `weight`"
    );
    assert_eq!(error.hint(), Some("the columns are `name`, `size`"));
    let error = fixture.fails(
        "local row = {} for i = 1, 100 do row[('c%03d'):format(i)] = i end \
         display.table({row}, {columns = {'x', 'y'}})",
    );
    assert!(error.message().ends_with("the columns `x`, `y`"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.ends_with("`c020`, and 80 more"), "{hint}");
}

#[test]
fn a_column_of_any_row_is_there() {
    let fixture = Fixture::new();
    for code in [
        "display.table({}, {columns = {'any'}})",
        "display.table({{a = 1}, {b = 2}}, {columns = {'b'}})",
        // Behind the rows that are shown.
        "local rows = {} for i = 1, 300 do rows[i] = {a = i} end rows[300].late = 1 \
         display.table(rows, {columns = {'a', 'late'}})",
        // What came from the session has columns that are nil everywhere.
        "display.table(JSON.parse('[{\"a\": 1, \"none\": null}]'), {columns = {'a', 'none'}})",
    ] {
        assert!(!text(&displayed(&fixture, code), "text/html").is_empty());
    }
}
