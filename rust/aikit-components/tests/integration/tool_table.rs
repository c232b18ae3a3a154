//! The table of built-in tools is whole, and every tool keeps the rules of all tools.

use std::{collections::BTreeSet, fs, path::Path};

use aikit_components::{
    agents::{Agent, AgentOptions},
    tools::{BUILT_IN, GROUPS, Registry},
};
use aikit_core::Value;

use crate::support::scripted;

/// Words that no argument may be named: reserved in Lua 5.4 or in Python 3.
const RESERVED: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del",
    "do", "elif", "else", "elseif", "end", "except", "false", "finally", "for", "from", "function",
    "global", "goto", "if", "import", "in", "is", "lambda", "local", "match", "nil", "none",
    "nonlocal", "not", "or", "pass", "raise", "repeat", "return", "then", "true", "try", "until",
    "while", "with", "yield",
];

fn source(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_file_of_a_tool_folder_is_in_its_table() {
    for (folder, tools) in BUILT_IN {
        let names: BTreeSet<String> = tools
            .iter()
            .map(|construct| construct().spec().name.clone())
            .collect();
        let files: BTreeSet<String> = fs::read_dir(source(&format!("src/tools/{folder}")))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "rs"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "mod")
            .collect();
        assert_eq!(names, files, "{folder}");
    }
}

#[test]
fn every_tool_has_golden_cases_of_good_and_bad_input() {
    for spec in Registry::with_built_ins().list() {
        let path = source(&format!("../../tests/cases/tools/{}.json", spec.name));
        let text = fs::read_to_string(path).expect(&spec.name);
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let with = |key: &str, value: Option<&str>| {
            cases.iter().any(|case| {
                case.get(key)
                    .is_some_and(|it| value.is_none_or(|value| it == value))
            })
        };
        assert!(
            with("output", None) && with("error", Some("invalid_args")),
            "{}",
            spec.name
        );
        if !spec.permissions.is_empty() {
            assert!(with("error", Some("denied")), "{}", spec.name);
        }
    }
}

#[test]
fn names_are_unique_snake_case_and_no_group() {
    let mut seen = BTreeSet::new();
    for spec in Registry::with_built_ins().list() {
        let is_snake_case = spec
            .name
            .chars()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
        assert!(is_snake_case, "{}", spec.name);
        assert!(
            !GROUPS.iter().any(|group| group.name == spec.name),
            "{}",
            spec.name
        );
        assert!(
            seen.insert(spec.name.clone()),
            "{} is there twice",
            spec.name
        );
        assert!(
            spec.summary.ends_with('.') && spec.summary.len() > 20,
            "{}",
            spec.name
        );
    }
}

#[test]
fn every_argument_and_result_is_described_and_nameable() {
    for spec in Registry::with_built_ins().list() {
        assert_eq!(
            spec.input_schema.get("additionalProperties"),
            Some(&Value::Bool(false))
        );
        check_members(&spec.name, &spec.input_schema);
        check_members(&spec.name, spec.output_schema.as_ref().unwrap());
    }
}

/// Checks the members an object schema describes, at any depth.
fn check_members(tool: &str, schema: &Value) {
    let properties = schema.get("properties").and_then(Value::as_map);
    for (name, member) in properties.into_iter().flatten() {
        let description = member
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(!description.is_empty(), "{tool}: `{name}` is not described");
        assert!(
            !RESERVED.contains(&name.as_str()),
            "{tool}: `{name}` is a reserved word"
        );
        let nested = ["items", "anyOf", "oneOf"]
            .iter()
            .filter_map(|key| member.get(key));
        for inner in nested {
            match inner.as_list() {
                Some(list) => list.iter().for_each(|it| check_members(tool, it)),
                None => check_members(tool, inner),
            }
        }
        check_members(tool, member);
    }
}

#[test]
fn groups_hold_what_they_say() {
    let registry = Registry::with_built_ins();
    let names = |group: &str| -> Vec<String> {
        let tools = registry.resolve(&[group.to_owned()]).unwrap();
        tools.iter().map(|tool| tool.spec().name.clone()).collect()
    };
    let text = ["count_words", "match_regex", "diff_text", "render_template"];
    let data = [
        "calculate",
        "compute_date",
        "convert_base64",
        "hash_data",
        "query_json",
    ];
    assert_eq!(names("text"), text);
    assert_eq!(names("data"), data);
    let reading = ["read_file", "list_directory", "search_files"];
    assert_eq!(names("files_read"), reading);
    let files = [
        "read_file",
        "write_file",
        "edit_file",
        "delete_file",
        "list_directory",
        "search_files",
    ];
    assert_eq!(names("files"), files);
    assert_eq!(names("web"), ["request_http", "read_webpage"]);
    assert_eq!(names("system"), ["run_process"]);
    assert_eq!(names("knowledge"), ["ask_user"]);
    let safe: Vec<&str> = text.into_iter().chain(data).chain(["ask_user"]).collect();
    assert_eq!(names("safe"), safe);
    let mixed = [
        "calculate".to_owned(),
        "data".to_owned(),
        "read_file".to_owned(),
    ];
    let mixed = registry.resolve(&mixed).unwrap();
    let mixed: Vec<&str> = mixed.iter().map(|tool| &*tool.spec().name).collect();
    assert_eq!(
        mixed,
        [
            "calculate",
            "compute_date",
            "convert_base64",
            "hash_data",
            "query_json",
            "read_file"
        ]
    );
}

#[test]
fn an_unknown_tool_is_named_with_its_neighbours() {
    let error = Registry::with_built_ins().find("read_fil").unwrap_err();
    assert_eq!(error.message(), "no tool named `read_fil`");
    assert_eq!(error.hint(), Some("did you mean `read_file`?"));
    let error = Registry::with_built_ins().find("transmogrify").unwrap_err();
    assert!(error.hint().unwrap().contains("`count_words`"));
}

#[test]
fn a_tool_that_is_named_by_itself_and_with_its_group_counts_once() {
    let registry = Registry::with_built_ins();
    let mut tools = Vec::new();
    for name in ["write_file", "files", "files_read", "read_file"] {
        registry.resolve_into(&mut tools, name.to_owned()).unwrap();
    }
    assert_eq!(tools[0].spec().name, "write_file");
    let all = registry.resolve(&["files".to_owned()]).unwrap();
    assert_eq!(tools.len(), all.len());
    assert!(
        Agent::new(AgentOptions {
            tools,
            ..AgentOptions::new(scripted(vec![]).unwrap())
        })
        .is_ok()
    );
}
