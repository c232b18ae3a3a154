//! A function decides in place of the user.

use std::sync::{Arc, Mutex};

use aikit_components::security::approval::FunctionApprover;
use aikit_core::{Context, Result, Value, script::Callable};
use futures::future::BoxFuture;

use super::{answers, args, open, place, run};

/// Remembers what it is asked and answers the same each time.
#[derive(Debug)]
struct Decider(Value, Mutex<Vec<Value>>);

impl Callable for Decider {
    fn name(&self) -> &'static str {
        "decider"
    }

    fn call(&self, _: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        self.1.lock().unwrap().extend(args);
        let answer = self.0.clone();
        Box::pin(async move { Ok(answer) })
    }
}

#[test]
fn a_function_decides_instead_of_the_user_and_sees_the_call() {
    let place = place();
    let user = answers("no");
    let cx = open(&place.folder, Some(&user));
    let decider = Arc::new(Decider(Value::Bool(true), Mutex::default()));
    let approver = FunctionApprover::new(decider.clone());
    let write = args(&[("path", "new.txt"), ("content", "text")]);
    run(&cx, Some(approver), &[("write_file", write.clone())]);
    assert!(place.folder.join("new.txt").exists());
    assert!(user.asked.lock().unwrap().is_empty());
    let seen = decider.1.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].get("tool"), Some(&Value::from("write_file")));
    assert_eq!(seen[0].get("args"), Some(&write));
    let digest = seen[0].get("digest").and_then(Value::as_str).unwrap();
    assert_eq!(digest.len(), 64);
}

#[test]
fn what_is_always_allowed_to_one_agent_is_asked_of_the_function_of_another() {
    let place = place();
    let user = answers("always");
    let cx = open(&place.folder, Some(&user));
    let write = |path| ("write_file", args(&[("path", path), ("content", "x")]));
    let refuses = || FunctionApprover::new(Arc::new(Decider(false.into(), Mutex::default())));
    run(&cx, None, &[write("a.txt")]);
    run(&cx, Some(refuses()), &[write("b.txt")]);
    assert!(!place.folder.join("b.txt").exists());
    // What a function says counts for nobody else either.
    let other = open(&place.folder, Some(&user));
    let always = Arc::new(Decider("always".into(), Mutex::default()));
    for path in ["c.txt", "d.txt"] {
        let approver = FunctionApprover::new(always.clone());
        run(&other, Some(approver), &[write(path)]);
    }
    assert_eq!(always.1.lock().unwrap().len(), 2);
    let asked = || user.asked.lock().unwrap().len();
    let before = asked();
    run(&other, None, &[write("e.txt")]);
    assert_eq!(asked(), before + 1);
}

#[test]
fn an_answer_that_is_none_allows_nothing() {
    let place = place();
    let cx = open(&place.folder, None);
    for answer in [
        Value::from("maybe"),
        Value::Int(1),
        Value::Null,
        Value::Bool(false),
    ] {
        let decider = FunctionApprover::new(Arc::new(Decider(answer, Mutex::default())));
        run(
            &cx,
            Some(decider),
            &[("delete_file", args(&[("path", "notes.txt")]))],
        );
        assert!(place.folder.join("notes.txt").exists());
    }
}

/// A user who does something else before answering yes.
struct Busy<F>(F);

impl<F> std::fmt::Debug for Busy<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Busy")
    }
}

impl<F: Fn() + Send + Sync> Callable for Busy<F> {
    fn name(&self) -> &'static str {
        "busy"
    }

    fn call(&self, _: &Context, _: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        (self.0)();
        Box::pin(std::future::ready(Ok(Value::from("yes"))))
    }
}

#[test]
fn what_changed_while_the_question_stood_is_left_alone() {
    let place = place();
    let cx = open(&place.folder, None);
    let meanwhile = |call: (&str, Value), work: Box<dyn Fn() + Send + Sync>| {
        let approver = FunctionApprover::new(Arc::new(Busy(work)));
        let done = run(&cx, Some(approver), &[call]);
        let result = &done.steps[0].tool_calls[0].result;
        let kind = result.get("error").and_then(|it| it.get("kind"));
        kind.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let file = |name: &str| place.folder.join(name);
    let write = |name: &str, text: &str| {
        let (path, text) = (file(name), text.to_owned());
        Box::new(move || std::fs::write(&path, &text).unwrap()) as Box<dyn Fn() + Send + Sync>
    };
    let overwrite = |name: &str| {
        let given = [("path", name), ("content", "agent"), ("mode", "overwrite")];
        ("write_file", args(&given))
    };

    assert_eq!(
        meanwhile(overwrite("new.txt"), write("new.txt", "user")),
        "conflict"
    );
    assert_eq!(std::fs::read_to_string(file("new.txt")).unwrap(), "user");

    assert_eq!(
        meanwhile(overwrite("new.txt"), write("new.txt", "user again")),
        "conflict"
    );
    assert_eq!(
        std::fs::read_to_string(file("new.txt")).unwrap(),
        "user again"
    );

    std::fs::create_dir(file("out")).unwrap();
    std::fs::write(file("out/a"), "").unwrap();
    let delete = Value::map([
        ("path", Value::from("out")),
        ("recursive", Value::Bool(true)),
    ]);
    let delete = ("delete_file", delete);
    assert_eq!(
        meanwhile(delete.clone(), write("out/result.csv", "1")),
        "conflict"
    );
    assert!(file("out/a").exists() && file("out/result.csv").exists());
    // Nothing happened meanwhile.
    assert_eq!(meanwhile(delete, Box::new(|| ())), "");
    assert!(!file("out").exists());
}
