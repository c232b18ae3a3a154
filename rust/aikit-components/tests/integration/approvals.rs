//! What an agent changes or runs needs an approval, asked where the user is and bound to the call.

mod function;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use aikit_components::{
    agents::{Agent, AgentOptions},
    security::approval::FunctionApprover,
    tools::Registry,
};
use aikit_core::{Value, agent::AgentRun, context::Caller, tool::ToolContext};

use crate::{
    session::{self, Answers, Setup},
    support::{calling, scripted, wait},
};

/// A folder with a file, and one beside it.
struct Place {
    _outer: tempfile::TempDir,
    folder: std::path::PathBuf,
    outside: std::path::PathBuf,
}

fn place() -> Place {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().canonicalize().unwrap();
    let folder = root.join("work");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("notes.txt"), "one\ntwo\n").unwrap();
    std::fs::write(folder.join("more.txt"), "more").unwrap();
    std::fs::write(folder.join("sub/deep.txt"), "deep").unwrap();
    let outside = root.join("outside.txt");
    std::fs::write(&outside, "keep").unwrap();
    Place {
        _outer: outer,
        folder,
        outside,
    }
}

fn answers(answer: &str) -> Arc<Answers> {
    Arc::new(Answers {
        answer: answer.to_owned(),
        asked: Mutex::default(),
    })
}

/// A session of an agent over `folder`, whose user answers `answer`, or is not there.
fn open(folder: &Path, ask: Option<&Arc<Answers>>) -> ToolContext {
    session::open(
        folder,
        Setup {
            ask: ask.cloned(),
            ..Setup::default()
        },
    )
}

/// Runs an agent that asks for `calls`, one after the other, and says `done`.
fn run(cx: &ToolContext, approver: Option<FunctionApprover>, calls: &[(&str, Value)]) -> AgentRun {
    let mut script: Vec<Value> = calls
        .iter()
        .map(|(name, args)| calling(name, args.clone()))
        .collect();
    script.push(Value::from("done"));
    let names = ["files".to_owned(), "system".to_owned()];
    let agent = Agent::new(AgentOptions {
        tools: Registry::with_built_ins().resolve(&names).unwrap(),
        approver: approver.map(|it| Arc::new(it) as _),
        ..AgentOptions::new(scripted(script).unwrap())
    });
    let (agent, cx) = (agent.unwrap(), cx.clone());
    wait(async move { agent.run(&cx, "go").await }).unwrap()
}

fn args(pairs: &[(&str, &str)]) -> Value {
    Value::map(pairs.iter().map(|(name, it)| (*name, Value::from(*it))))
}

/// What the model was told of each call.
fn told(run: &AgentRun) -> Vec<String> {
    let calls = run.steps.iter().flat_map(|step| &step.tool_calls);
    calls.map(|call| call.result.to_string()).collect()
}

#[test]
fn a_file_outside_is_never_deleted_and_the_rule_is_named() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    let outside = place.outside.to_str().unwrap();
    let delete = ("delete_file", args(&[("path", outside)]));
    let climbing = ("delete_file", args(&[("path", "../outside.txt")]));
    for told in told(&run(&cx, None, &[delete, climbing])) {
        assert!(told.contains("denied"), "{told}");
        assert!(
            told.contains("outside the folders that may be written"),
            "{told}"
        );
        assert!(told.contains("write_roots"), "{told}");
    }
    assert!(place.outside.exists());
    assert!(user.asked.lock().unwrap().is_empty(), "nobody is asked");
}

#[test]
fn no_leaves_the_file_and_the_run_goes_on() {
    let place = place();
    let user = answers("no");
    let cx = open(&place.folder, Some(&user));
    let run = run(
        &cx,
        None,
        &[("delete_file", args(&[("path", "notes.txt")]))],
    );
    assert!(place.folder.join("notes.txt").exists());
    assert_eq!(run.output, "done");
    let told = told(&run).concat();
    assert!(told.contains("the user did not allow it"), "{told}");
    let asked = user.asked.lock().unwrap().concat();
    let file = place.folder.join("notes.txt");
    let expected = format!("the agent wants to delete `{}` (8 bytes)", file.display());
    assert!(asked.contains(&expected), "{asked}");
    assert!(asked.contains("Tool `delete_file`"), "{asked}");
}

#[test]
fn yes_deletes_this_file_and_asks_for_the_next() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    let delete = |path| ("delete_file", args(&[("path", path)]));
    run(&cx, None, &[delete("notes.txt"), delete("more.txt")]);
    assert!(!place.folder.join("notes.txt").exists());
    assert!(!place.folder.join("more.txt").exists());
    assert_eq!(user.asked.lock().unwrap().len(), 2);
}

#[test]
fn always_is_remembered_for_one_folder_and_one_kind_of_change() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let write = |path| ("write_file", args(&[("path", path), ("content", "x")]));
    let count = || user.asked.lock().unwrap().len();
    run(&cx, None, &[write("a.txt"), write("b.txt")]);
    assert_eq!(count(), 1, "the second one is in the same folder");
    run(&cx, None, &[write("sub/c.txt")]);
    assert_eq!(count(), 2, "another folder is asked for");
    run(&cx, None, &[("delete_file", args(&[("path", "a.txt")]))]);
    assert_eq!(count(), 3, "a deletion is asked for");
    run(&cx, None, &[("delete_file", args(&[("path", "b.txt")]))]);
    assert_eq!(count(), 3);
    let other = open(&place.folder, Some(&user));
    run(&other, None, &[write("d.txt")]);
    assert_eq!(count(), 4, "another session asks again");
}

#[test]
fn calls_of_one_answer_are_asked_one_by_one() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let call = |path: &str| {
        let args = args(&[("path", path), ("content", "x")]);
        Value::map([("name", Value::from("write_file")), ("arguments", args)])
    };
    let calls = ["a", "b", "c", "d"].map(call).to_vec();
    let script = vec![
        Value::map([("tool_calls", Value::List(calls))]),
        Value::from("done"),
    ];
    let agent = Agent::new(AgentOptions {
        tools: Registry::with_built_ins()
            .resolve(&["files".to_owned()])
            .unwrap(),
        ..AgentOptions::new(scripted(script).unwrap())
    });
    let agent = agent.unwrap();
    wait(async move { agent.run(&cx, "go").await }).unwrap();
    assert_eq!(
        user.asked.lock().unwrap().len(),
        1,
        "`always` counts for the others at once"
    );
    for name in ["a", "b", "c", "d"] {
        assert!(place.folder.join(name).exists());
    }
}

#[test]
fn always_is_remembered_for_one_exact_command() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let print = |words: &[&str]| {
        let words = words.iter().map(|it| Value::from(*it)).collect();
        let args = Value::map([("program", Value::from("printf")), ("args", words)]);
        ("run_process", args)
    };
    let done = run(&cx, None, &[print(&["%s", "a b"]), print(&["%s", "a b"])]);
    assert!(told(&done).iter().all(|it| it.contains("a b")));
    run(&cx, None, &[print(&["%s", "a", "b"])]);
    let asked = user.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[0].contains(r#"run ["printf", "%s", "a b"], the file `/"#),
        "{}",
        asked[0]
    );
    assert!(
        asked[1].contains(r#"run ["printf", "%s", "a", "b"], the file `/"#),
        "{}",
        asked[1]
    );
}

#[test]
fn an_edit_is_shown_as_its_difference() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    let edit = args(&[("old", "two"), ("new", "2\u{1b}[2J")]);
    let edits = Value::map([
        ("path", Value::from("notes.txt")),
        ("edits", Value::List(vec![edit])),
    ]);
    run(&cx, None, &[("edit_file", edits)]);
    let asked = user.asked.lock().unwrap().concat();
    assert!(asked.contains("  | -two\n  | +2\\u{1b}[2J\n"), "{asked}");
    let content = std::fs::read_to_string(place.folder.join("notes.txt")).unwrap();
    assert_eq!(content, "one\n2\u{1b}[2J\n");
}

#[test]
fn what_is_not_shown_in_full_is_said_and_never_allowed_for_good() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let write = |path, content: &str| ("write_file", args(&[("path", path), ("content", content)]));
    run(&cx, None, &[write("short.sh", "echo\nrm -rf x\n")]);
    let long = "line\n".repeat(63);
    let other = place.folder.join("sub/long.txt");
    run(
        &cx,
        None,
        &[write("sub/long.txt", &long), write("sub/more.txt", &long)],
    );
    assert!(other.exists());
    let asked = user.asked.lock().unwrap();
    assert_eq!(asked.len(), 3, "nothing was allowed for good");
    assert!(
        asked[0].contains("  | echo\n  | rm -rf x\n"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("`always`"), "{}", asked[0]);
    assert!(
        asked[1].contains("(not all is shown: 3 more lines)"),
        "{}",
        asked[1]
    );
    assert!(!asked[1].contains("`always`"), "{}", asked[1]);
}

#[test]
fn a_command_too_long_to_be_shown_is_refused_and_its_input_is_shown() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    let call = |words: &[&str], stdin: &str| {
        let words = words.iter().map(|it| Value::from(*it)).collect();
        let args = Value::map([
            ("program", Value::from("cat")),
            ("args", Value::List(words)),
            ("stdin", Value::from(stdin)),
        ]);
        ("run_process", args)
    };
    let padded = format!("{}\nrm -rf ~", "x".repeat(5000));
    let refused = told(&run(&cx, None, &[call(&[&padded], "")])).concat();
    assert!(refused.contains("limit_exceeded"), "{refused}");
    assert!(user.asked.lock().unwrap().is_empty());
    let done = told(&run(&cx, None, &[call(&[], "first\nlast")])).concat();
    assert!(done.contains("last"), "{done}");
    let asked = user.asked.lock().unwrap().concat();
    assert!(asked.contains("  | first\n  | last\n"), "{asked}");
}

#[test]
fn always_for_a_file_deletes_no_folder() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let folder = Value::map([
        ("path", Value::from("sub")),
        ("recursive", Value::Bool(true)),
    ]);
    let file = ("delete_file", args(&[("path", "notes.txt")]));
    run(&cx, None, &[file, ("delete_file", folder)]);
    let asked = user.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(!asked[1].contains("`always`"), "{}", asked[1]);
}

#[test]
fn nobody_is_asked_for_what_cannot_be_done() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    let write = (
        "write_file",
        args(&[("path", "notes.txt"), ("content", "x")]),
    );
    let missing = ("delete_file", args(&[("path", "none.txt")]));
    let full = ("delete_file", args(&[("path", "sub")]));
    let told = told(&run(&cx, None, &[write, missing, full])).concat();
    assert!(
        told.contains("exists already") && told.contains("not empty"),
        "{told}"
    );
    assert!(user.asked.lock().unwrap().is_empty());
}

#[test]
fn a_model_cannot_write_a_part_of_the_question() {
    let place = place();
    let user = answers("no");
    let cx = open(&place.folder, Some(&user));
    let name = "a\u{1b}[2J\nAllow once: nothing?\u{202e}";
    run(
        &cx,
        None,
        &[("write_file", args(&[("path", name), ("content", "x")]))],
    );
    let asked = user.asked.lock().unwrap().concat();
    assert!(!asked.contains(['\u{1b}', '\u{202e}']), "{asked:?}");
    let questions = asked.lines().filter(|it| it.starts_with("Allow once:"));
    assert_eq!(questions.count(), 1, "{asked}");
}

#[test]
fn without_anybody_to_ask_the_model_is_told_what_would_help() {
    let place = place();
    let cx = open(&place.folder, None);
    let run = run(
        &cx,
        None,
        &[("delete_file", args(&[("path", "notes.txt")]))],
    );
    let told = told(&run).concat();
    assert!(
        told.contains("approval_needed") && told.contains("`approve`"),
        "{told}"
    );
    assert!(place.folder.join("notes.txt").exists());
}

#[test]
fn what_decides_about_permissions_is_closed_to_agents() {
    let place = place();
    let user = answers("yes");
    let cx = open(&place.folder, Some(&user));
    for path in [
        "aikit.toml",
        "AIKIT.toml",
        ".env",
        "sub/server.pem",
        ".git/config",
        ".aikit/aikit.db",
        ".bashrc",
    ] {
        let write = ("write_file", args(&[("path", path), ("content", "x")]));
        let told = told(&run(&cx, None, &[write])).concat();
        assert!(
            told.contains("denied") && told.contains("hint"),
            "{path}: {told}"
        );
        assert!(!place.folder.join(path).exists(), "{path}");
    }
    assert!(user.asked.lock().unwrap().is_empty());
}

#[test]
fn a_link_leads_no_change_outside() {
    let place = place();
    std::os::unix::fs::symlink(&place.outside, place.folder.join("link")).unwrap();
    let up = place.folder.parent().unwrap();
    std::os::unix::fs::symlink(up, place.folder.join("up")).unwrap();
    let user = session::open(&place.folder, Setup::default());
    for path in ["link", "up/outside.txt", "up/new.txt"] {
        let write = Value::map([
            ("path", Value::from(path)),
            ("content", Value::from("x")),
            ("mode", Value::from("overwrite")),
        ]);
        let error = session::invoke(&user, "write_file", write).unwrap_err();
        assert_eq!(error.kind().code(), "denied", "{path}: {error}");
    }
    // The link itself is of the working directory.
    session::invoke(&user, "delete_file", args(&[("path", "link")])).unwrap();
    assert_eq!(std::fs::read_to_string(&place.outside).unwrap(), "keep");
    assert!(!up.join("new.txt").exists());
}

#[test]
fn a_question_of_a_model_is_marked_as_one() {
    let place = place();
    let user = answers("blue");
    let ask = |caller| {
        let setup = Setup {
            caller,
            ask: Some(user.clone()),
            ..Setup::default()
        };
        let cx = session::open(&place.folder, setup);
        let question = args(&[("question", "Colour?\nAllow once: all?\u{1b}[2J")]);
        session::invoke(&cx, "ask_user", question).unwrap()
    };
    assert_eq!(ask(Caller::Agent), args(&[("answer", "blue")]));
    ask(Caller::User);
    let asked = user.asked.lock().unwrap();
    let marked = "The agent asks: Colour?\n  | Allow once: all?\\u{1b}[2J ";
    assert_eq!(asked[0], marked);
    assert_eq!(
        asked[1], "Colour?\nAllow once: all?\u{1b}[2J ",
        "a user's is as it is"
    );
}

#[test]
fn served_sessions_run_no_programs_and_ask_before_an_agent_deletes() {
    let place = place();
    let setup = |caller| Setup {
        caller,
        served: true,
        ..Setup::default()
    };
    for caller in [Caller::User, Caller::Agent] {
        let cx = session::open(&place.folder, setup(caller));
        let error = session::invoke(&cx, "run_process", args(&[("program", "true")]));
        assert_eq!(error.unwrap_err().kind().code(), "denied");
    }
    let agent = session::open(&place.folder, setup(Caller::Agent));
    let write = args(&[("path", "by-agent.txt"), ("content", "x")]);
    session::invoke(&agent, "write_file", write).unwrap();
    let error = session::invoke(&agent, "delete_file", args(&[("path", "by-agent.txt")]));
    assert_eq!(error.unwrap_err().kind().code(), "approval_needed");
    let user = session::open(&place.folder, setup(Caller::User));
    session::invoke(&user, "delete_file", args(&[("path", "by-agent.txt")])).unwrap();
}
