//! The golden cases of the tools, in their Lua face.

use std::path::Path;

use aikit_core::Value;

use crate::support::Fixture;

/// Without what Lua tables cannot keep apart from what is absent or empty.
fn comparable(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(comparable).collect(),
        Value::Map(map) if map.is_empty() => Value::List(Vec::new()),
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), comparable(value)))
                .collect(),
        ),
        // JSON has one kind of number.
        Value::Float(number) => {
            aikit_core::value::exact_integer(*number).map_or(Value::Float(*number), Value::Int)
        }
        other => other.clone(),
    }
}

/// Whether `found` has what `expected` asks for; both were made comparable.
fn run_case(tool: &str, case: &Value) {
    let name = case.get("name").and_then(Value::as_str).unwrap();
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
        .to_string();
    let long = "=".repeat(8);
    let outcome = fixture.run(&format!(
        "local args = JSON.parse([{long}[{json}]{long}]).args\nprint(JSON.stringify(Tool.{tool}(args)))"
    ));
    match case.get("error").and_then(Value::as_str) {
        Some(kind) => {
            let error = outcome.expect_err(name);
            assert_eq!(error.kind().code(), kind, "{tool}: {name}: {error:?}");
        }
        None => {
            outcome.unwrap_or_else(|error| panic!("{tool}: {name}: {error:?}"));
            let found = serde_json::from_str(&fixture.sink.text()).unwrap();
            let found = comparable(&Value::from_json(found));
            if let Some(expected) = case.get("output") {
                assert_eq!(found, comparable(expected), "{tool}: {name}");
            }
        }
    }
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
        let cases = Value::from_json(cases);
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
