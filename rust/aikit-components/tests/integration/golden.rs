//! The golden cases of the tools, from Rust. The format is in `tests/cases/tools/README.md`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use aikit_core::Value;

use crate::session::{self, Setup};

/// Says its address on one line and serves until its input ends.
const SERVER: &str = "import sys
from servers.http_server import HttpServer
with HttpServer() as server:
    print(server.url, flush=True)
    sys.stdin.read()
";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The HTTP server of the tests; it ends when its input is closed.
struct Server(Child, String);

impl Server {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SERVER])
            .env("PYTHONPATH", repository().join("tests"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self(child, url.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

fn check(tool: &str) {
    let path = repository().join(format!("tests/cases/tools/{tool}.json"));
    let text = fs::read_to_string(path).unwrap();
    let server = text.contains("{server}").then(Server::start);
    let url = server.as_ref().map_or("", |it| &it.1);
    let cases: serde_json::Value = serde_json::from_str(&text.replace("{server}", url)).unwrap();
    let cases = Value::from_escaped_json(cases);
    let mut names: Vec<&str> = Vec::new();
    for case in cases.as_list().unwrap() {
        let name = case.get("name").and_then(Value::as_str).unwrap();
        assert!(!names.contains(&name), "`{name}` is there twice");
        names.push(name);
        check_case(tool, name, case);
    }
}

fn check_case(tool: &str, name: &str, case: &Value) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in case
        .get("files")
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
    {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.as_str().unwrap()).unwrap();
    }
    let cx = session::open(
        folder.path(),
        Setup {
            loud: true,
            ..Setup::default()
        },
    );
    let outcome = session::invoke(&cx, tool, case.get("args").cloned().unwrap());
    if let Some(kind) = case.get("error").and_then(Value::as_str) {
        let error = outcome.expect_err(name);
        assert_eq!(error.kind().code(), kind, "{tool}: {name}: {error:?}");
        assert!(
            error.hint().is_some(),
            "{tool}: {name}: no hint in {error:?}"
        );
        return;
    }
    let mut output = outcome.unwrap_or_else(|error| panic!("{tool}: {name}: {error:?}"));
    if let Value::Map(members) = &mut output {
        let ignored = case
            .get("ignore")
            .and_then(Value::as_list)
            .into_iter()
            .flatten();
        for member in ignored.filter_map(Value::as_str) {
            assert!(
                members.shift_remove(member).is_some(),
                "{tool}: {name}: no `{member}`"
            );
        }
    }
    assert_eq!(&output, case.get("output").unwrap(), "{tool}: {name}");
}

#[test]
fn count_words_answers_its_golden_cases() {
    check("count_words");
}

#[test]
fn calculate_answers_its_golden_cases() {
    check("calculate");
}

#[test]
fn query_json_answers_its_golden_cases() {
    check("query_json");
}

#[test]
fn read_file_answers_its_golden_cases() {
    check("read_file");
}

#[test]
fn search_files_answers_its_golden_cases() {
    check("search_files");
}

#[test]
fn request_http_answers_its_golden_cases() {
    check("request_http");
}

#[test]
fn match_regex_answers_its_golden_cases() {
    check("match_regex");
}

#[test]
fn diff_text_answers_its_golden_cases() {
    check("diff_text");
}

#[test]
fn render_template_answers_its_golden_cases() {
    check("render_template");
}

#[test]
fn convert_base64_answers_its_golden_cases() {
    check("convert_base64");
}

#[test]
fn hash_data_answers_its_golden_cases() {
    check("hash_data");
}

#[test]
fn compute_date_answers_its_golden_cases() {
    check("compute_date");
}

#[test]
fn write_file_answers_its_golden_cases() {
    check("write_file");
}

#[test]
fn edit_file_answers_its_golden_cases() {
    check("edit_file");
}

#[test]
fn delete_file_answers_its_golden_cases() {
    check("delete_file");
}

#[test]
fn list_directory_answers_its_golden_cases() {
    check("list_directory");
}

#[test]
fn read_webpage_answers_its_golden_cases() {
    check("read_webpage");
}

#[test]
fn run_process_answers_its_golden_cases() {
    check("run_process");
}

#[test]
fn ask_user_answers_its_golden_cases() {
    check("ask_user");
}
