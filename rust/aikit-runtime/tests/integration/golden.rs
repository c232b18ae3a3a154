//! The golden cases of the tools, in their Lua face.

use std::path::Path;

use aikit_core::Value;

use crate::support::Fixture;

/// Cases that Lua cannot keep: its tables have no order of keys, and the JSON through which its
/// arguments come here has no bytes.
const NOT_IN_LUA: &[(&str, &str)] = &[
    ("query_json", "the order of members is kept"),
    ("convert_base64", "bytes are encoded as they are"),
    ("hash_data", "bytes can be given as they are"),
    ("write_file", "bytes are written as they are"),
];

/// As Lua gives it back: bytes that happen to be text are text, because Lua has one type for both.
fn through_lua(value: Value) -> Value {
    match value {
        Value::Bytes(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Value::from(text),
            Err(_) => Value::Bytes(bytes),
        },
        Value::List(items) => items.into_iter().map(through_lua).collect(),
        Value::Map(map) => {
            let members = map.into_iter();
            Value::map(members.map(|(key, value)| (key, through_lua(value))))
        }
        other => other,
    }
}

/// Without the members that differ between runs.
fn comparable(value: Value, case: &Value) -> Value {
    let Value::Map(mut map) = value else {
        return value;
    };
    for name in case
        .get("ignore")
        .and_then(Value::as_list)
        .into_iter()
        .flatten()
    {
        map.shift_remove(name.as_str().unwrap());
    }
    Value::Map(map)
}

/// Runs one case of one tool in a session of its own.
fn run_case(tool: &str, case: &Value) {
    let name = case.get("name").and_then(Value::as_str).unwrap();
    if NOT_IN_LUA.contains(&(tool, name)) {
        return;
    }
    let fixture = Fixture::new();
    for (path, text) in case
        .get("files")
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
    {
        let path = fixture.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.as_str().unwrap()).unwrap();
    }
    let json = Value::map([("args", case.get("args").unwrap().clone())])
        .to_json()
        .unwrap()
        .to_string();
    let long = "=".repeat(8);
    let outcome = fixture.run(&format!(
        "local args = JSON.parse([{long}[{json}]{long}]).args\nprint(JSON.stringify(Tool.{tool}(args)))"
    ));
    if let Some(kind) = case.get("error").and_then(Value::as_str) {
        let error = outcome.expect_err(name);
        assert_eq!(error.kind().code(), kind, "{tool}: {name}: {error:?}");
        return;
    }
    outcome.unwrap_or_else(|error| panic!("{tool}: {name}: {error:?}"));
    let found = serde_json::from_str(&fixture.sink.text()).unwrap();
    let found = comparable(Value::from_json(found), case);
    let expected = through_lua(case.get("output").unwrap().clone());
    assert_eq!(found, comparable(expected, case), "{tool}: {name}");
}

#[test]
fn tools_answer_the_same_through_lua() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/tools");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let tool = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let cases: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let cases = Value::from_escaped_json(cases);
        for case in cases.as_list().unwrap() {
            // The cases that need a web server run in the other two faces.
            if case.get("server").is_none() {
                run_case(&tool, case);
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count} cases ran");
}
