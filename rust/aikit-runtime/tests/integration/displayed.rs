//! What `display` makes of pictures and columns, and what it refuses.

use aikit_core::{ErrorKind, Value};

use super::support::{Fixture, displayed, text};

#[test]
fn pictures_are_their_bytes_or_the_base64_of_them() {
    let fixture = Fixture::new();
    for (mime, begin, base64) in [
        ("image/png", "\\x89PNG\\r\\n\\x1a\\n\\0", "iVBORw0KGgoA"),
        ("image/jpeg", "\\xff\\xd8\\xff\\xe0", "/9j/4A=="),
        ("image/gif", "GIF89a\\1\\0", "R0lGODlhAQA="),
        ("image/gif", "GIF87a\\1\\0", "R0lGODdhAQA="),
        (
            "image/webp",
            "RIFF\\1\\0\\0\\0WEBPVP8 ",
            "UklGRgEAAABXRUJQVlA4IA==",
        ),
    ] {
        let shown = displayed(&fixture, &format!("display{{['{mime}'] = '{begin}'}}"));
        // Also where the bytes happen to be text: bytes are what the kernel encodes.
        assert!(matches!(shown[mime], Value::Bytes(_)), "{mime}: {shown:?}");
        let shown = displayed(&fixture, &format!("display{{['{mime}'] = ' {base64}\\n'}}"));
        assert_eq!(text(&shown, mime), format!(" {base64}\n"));
    }
    let shown = displayed(&fixture, "display{['image/svg+xml'] = '<svg/>'}");
    assert_eq!(text(&shown, "image/svg+xml"), "<svg/>");
}

#[test]
fn what_is_no_picture_is_refused() {
    let fixture = Fixture::new();
    fixture.run("shown = display('x')").unwrap();
    for (given, says) in [
        ("'text'", "`image/png` is no picture, but the text `text`"),
        ("''", "`image/png` is no picture, but an empty text"),
        ("'iVBORw0KGgo*'", "but the text `iVBORw0KGgo*`"),
        (
            "'data:image/png;base64,iVBORw0KGgoA'",
            "but the text `data:image/png;base64,iVBORw0KGgoA`",
        ),
        (
            "('ä'):rep(1000)",
            "but a text of 2000 bytes that begins with `ää",
        ),
        ("'\\xff\\xfe'", "but 2 bytes of something else"),
        ("12", "but a number"),
        ("{1}", "but a table"),
    ] {
        for code in [
            format!("display{{['image/png'] = {given}, ['text/plain'] = 'x'}}"),
            format!("shown:update{{['image/png'] = {given}}}"),
            format!("update_display({{['image/png'] = {given}}}, {{display_id = 'x'}})"),
            format!(
                "setmetatable({{}}, {{__mime = function() return {{['image/png'] = {given}}} end}})"
            ),
        ] {
            let error = fixture.fails(&code);
            assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}");
            assert!(error.message().contains(says), "{code}: {error}");
            assert!(error.message().len() < 200, "{error}");
            assert!(error.hint().unwrap().contains("base64"), "{error:?}");
        }
    }
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
    let hint = "there are `name`, `size`; `JSON.null` in a row is a column without a value";
    assert_eq!(error.hint(), Some(hint));
    let error = fixture.fails(
        "local row = {} for i = 1, 100 do row[('c%03d'):format(i)] = i end \
         display.table({row}, {columns = {'x', 'y'}})",
    );
    assert!(error.message().ends_with("the columns `x`, `y`"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("`c020`, and 80 more; "), "{hint}");
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
        "display.table({{a = 1, none = JSON.null}}, {columns = {'a', 'none'}})",
    ] {
        assert!(!text(&displayed(&fixture, code), "text/html").is_empty());
    }
}

#[test]
fn a_histogram_takes_its_million_from_a_script() {
    let fixture = Fixture::new();
    fixture
        .run("many = {} for i = 1, 1000000 do many[i] = i % 7 end")
        .unwrap();
    let bars = fixture.shown("#plot{kind = 'histogram', data = many}:vega_lite().data.values");
    assert_eq!(bars, "7");
    let error = fixture.fails("many[1000001] = 1\nplot{kind = 'histogram', data = many}");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(
        error.message(),
        "`plot`: `data` has 1000001 values, and a chart takes 1000000"
    );
}
