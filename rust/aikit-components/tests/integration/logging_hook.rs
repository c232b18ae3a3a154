//! The built-in hook `logging`: what it writes of calls, and what it leaves out.

use std::sync::{Arc, Mutex};

use aikit_core::{
    ErrorKind,
    logger::{self, Format, Level, Output, Settings},
};
use serde_json::Value as Json;

use crate::built_in_hooks::{counting, invoke, still, with};

/// The lines of the process from now on, each test being a process of its own.
fn lines() -> Arc<Mutex<Vec<Json>>> {
    let lines = Arc::<Mutex<Vec<Json>>>::default();
    let kept = Arc::clone(&lines);
    assert!(logger::install());
    logger::configure(Settings {
        level: Some(Level::Trace),
        format: Some(Format::Json),
        output: Some(Output::Function(Arc::new(move |line| {
            kept.lock()
                .unwrap()
                .push(serde_json::from_slice(line).unwrap());
        }))),
        ..Settings::default()
    });
    lines
}

fn of_calls(lines: &Mutex<Vec<Json>>) -> Vec<Json> {
    let is_call = |it: &Json| matches!(it["message"].as_str(), Some("call ended" | "call failed"));
    let mut lines = lines.lock().unwrap();
    lines.drain(..).filter(is_call).collect()
}

#[test]
fn each_call_is_a_line_with_its_name_and_time_and_without_its_content() {
    let lines = lines();
    let (cx, _) = still();
    with(&cx, "logging", r#"{"on": ["tool"]}"#);
    let tool = counting(1, ErrorKind::Io);
    assert!(invoke(&cx, &tool, 4711).is_err());
    assert!(invoke(&cx, &tool, 4711).is_ok());
    let written = of_calls(&lines);
    assert_eq!(written.len(), 2, "{written:?}");
    for line in &written {
        assert_eq!(
            (&line["call"], &line["name"]),
            (&"tool".into(), &"counting".into())
        );
        assert!(
            line["caller"].is_string() && line["request_id"].is_string(),
            "{line}"
        );
        assert!(line["elapsed_s"].as_f64().unwrap() >= 0.0, "{line}");
        assert!(!line.to_string().contains("4711"), "{line}");
    }
    let failed = &written[0];
    assert_eq!(
        (&failed["level"], &failed["message"]),
        (&"warn".into(), &"call failed".into())
    );
    assert_eq!(
        (&failed["kind"], &failed["error"]),
        (&"io".into(), &"broken".into())
    );
    let ended = &written[1];
    assert_eq!(
        (&ended["level"], &ended["message"]),
        (&"info".into(), &"call ended".into())
    );
    assert!(ended.get("kind").is_none());
}

#[test]
fn the_level_of_calls_that_end_well_can_be_chosen() {
    let lines = lines();
    let (cx, _) = still();
    with(&cx, "logging", r#"{"on": ["tool"], "level": "debug"}"#);
    let tool = counting(1, ErrorKind::Io);
    assert!(invoke(&cx, &tool, 1).is_err() && invoke(&cx, &tool, 1).is_ok());
    let levels: Vec<Json> = of_calls(&lines)
        .into_iter()
        .map(|mut it| it["level"].take())
        .collect();
    assert_eq!(levels, ["warn", "debug"]);
}
