//! The log of events: what is kept, in which order, read again by another process.

use std::sync::Arc;

use aikit_components::{
    config::EventsConfig,
    event_log::{EventLog, REPLAY},
    project::Project,
    security::policy::Profile,
};
use aikit_core::{
    Context, ErrorKind, Result, Value,
    context::{Overrides, Principal},
    event::EventKind,
    storage::Batch,
};

use super::support::wait;

fn project(folder: &tempfile::TempDir) -> Project {
    Project::new(folder.path().canonicalize().unwrap(), Profile::Notebook)
}

fn config(patterns: &[&str], retention: u64) -> EventsConfig {
    EventsConfig {
        persist: patterns.iter().map(|it| (*it).to_owned()).collect(),
        retention,
    }
}

/// A log and a Context, as a process of its own has them.
fn open(folder: &tempfile::TempDir, config: &EventsConfig) -> (EventLog, Context) {
    let cx = Context::default();
    let log = EventLog::start(project(folder), config, &cx).unwrap();
    (log, cx)
}

fn emit(cx: &Context, name: &str, number: i64) {
    cx.emit(EventKind::Custom(name.to_owned()), Value::Int(number));
}

fn replay(log: &EventLog, cx: &Context, after: u64, pattern: &'static str) -> Result<Vec<Value>> {
    let (log, cx) = (log.clone(), cx.clone());
    wait(async move { log.replay(&cx, (after, pattern), REPLAY).await })
}

fn numbers(events: &[Value]) -> Vec<(i64, i64)> {
    let of = |event: &Value, key| event.get(key).and_then(Value::as_i64).unwrap();
    events
        .iter()
        .map(|it| (of(it, "sequence"), of(it, "data")))
        .collect()
}

#[test]
fn what_fits_is_kept_and_read_again_after_a_restart_with_its_identities() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["a.**", "b"], 100);
    let (log, cx) = open(&folder, &config);
    for (number, name) in (1..).zip(["a.x", "c", "b", "a.y.z"]) {
        emit(&cx, name, number);
    }
    let kept = replay(&log, &cx, 0, "**").unwrap();
    assert_eq!(numbers(&kept), [(1, 1), (2, 3), (3, 4)]);
    assert_eq!(
        kept[0].get("request_id").unwrap().as_str(),
        Some(cx.request_id())
    );
    assert_eq!(
        kept[0].get("trace_id").unwrap().as_str(),
        Some(cx.trace_id())
    );
    assert!(kept[0].get("time").unwrap().as_f64().unwrap() > 1e9);
    drop(log);
    let (log, cx) = open(&folder, &config);
    emit(&cx, "a.again", 5);
    assert_eq!(
        numbers(&replay(&log, &cx, 1, "a.**").unwrap()),
        [(3, 4), (4, 5)]
    );
    assert_eq!(numbers(&replay(&log, &cx, 4, "**").unwrap()), []);
}

#[test]
fn the_oldest_are_forgotten_beyond_the_retention() {
    let folder = tempfile::tempdir().unwrap();
    let (log, cx) = open(&folder, &config(&["**"], 3));
    for number in 1..=10 {
        emit(&cx, "x", number);
    }
    let kept = replay(&log, &cx, 0, "**").unwrap();
    assert_eq!(numbers(&kept), [(8, 8), (9, 9), (10, 10)]);
}

#[test]
fn two_processes_share_one_log_without_a_gap_or_a_double() {
    const EVENTS: i64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["**"], 10_000);
    let logs = [open(&folder, &config), open(&folder, &config)];
    let threads = [0, 1].map(|process| {
        let cx = logs[process].1.clone();
        std::thread::spawn(move || {
            for number in 0..EVENTS {
                emit(&cx, "x", i64::try_from(process).unwrap() * EVENTS + number);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    let [first, second] = &logs;
    assert!(replay(&second.0, &second.1, 0, "**").is_ok());
    let kept = numbers(&replay(&first.0, &first.1, 0, "**").unwrap());
    assert!(kept.iter().map(|it| it.0).eq(1..=2 * EVENTS));
    for process in 0..2 {
        let own = |it: &&(i64, i64)| it.1 / EVENTS == process;
        assert!(kept.iter().filter(own).is_sorted_by_key(|it| it.1));
    }
}

#[test]
fn an_event_that_is_too_large_is_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (log, cx) = open(&folder, &config(&["**"], 10));
    cx.emit(
        EventKind::Custom("large".to_owned()),
        Value::from("x".repeat(1 << 17)),
    );
    let kept = replay(&log, &cx, 0, "**").unwrap();
    assert_eq!(kept[0].get("kind"), Some(&Value::from("events.lost")));
    assert_eq!(
        kept[0].get("data").unwrap().get("count"),
        Some(&Value::Int(1))
    );
}

#[test]
fn a_store_that_fails_harms_no_publisher_and_is_told_when_it_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(".aikit");
    std::fs::write(&place, "in the way").unwrap();
    let (log, cx) = open(&folder, &config(&["**"], 10));
    emit(&cx, "x", 1);
    let flushing = log.clone();
    wait(async move { flushing.flush().await });
    assert!(replay(&log, &cx, 0, "**").is_err());
    std::fs::remove_file(&place).unwrap();
    emit(&cx, "x", 2);
    let kept = replay(&log, &cx, 0, "**").unwrap();
    assert_eq!(kept[0].get("data"), Some(&Value::Int(2)));
    assert_eq!(
        kept[1].get("data").unwrap().get("count"),
        Some(&Value::Int(1))
    );
}

#[test]
fn a_damaged_event_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (log, cx) = open(&folder, &config(&["**"], 10));
    for number in 1..=3 {
        emit(&cx, "x", number);
    }
    assert_eq!(replay(&log, &cx, 0, "**").unwrap().len(), 3);
    let (project, context) = (project(&folder), cx.clone());
    wait(async move {
        let prefix = project.space(&context).unwrap().prefix("events");
        let damaged = (format!("{prefix}event/{:020}", 2), "no event".into());
        let batch = Batch {
            puts: vec![damaged],
            ..Batch::default()
        };
        project.keys().await.unwrap().apply(batch).await.unwrap();
    });
    assert_eq!(
        numbers(&replay(&log, &cx, 0, "**").unwrap()),
        [(1, 1), (3, 3)]
    );
}

#[test]
fn a_tenant_reads_its_own_events_only() {
    let folder = tempfile::tempdir().unwrap();
    let tenant = |name: &str| {
        Context::create(Overrides {
            principal: Some(Principal {
                tenant_id: Some(name.to_owned()),
                ..Principal::default()
            }),
            ..Overrides::default()
        })
    };
    let contexts = ["acme", "other"].map(tenant);
    let logs = contexts
        .each_ref()
        .map(|cx| EventLog::start(project(&folder), &config(&["**"], 10), cx).unwrap());
    emit(&contexts[0], "x", 1);
    assert_eq!(replay(&logs[0], &contexts[0], 0, "**").unwrap().len(), 1);
    assert_eq!(replay(&logs[1], &contexts[1], 0, "**").unwrap().len(), 0);
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for_and_what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (log, cx) = open(&folder, &config(&[], 10));
    emit(&cx, "x", 1);
    assert!(!cx.events().has_subscribers());
    let error = replay(&log, &cx, 0, "**").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().unwrap().contains("persist"));
    assert!(!folder.path().join(".aikit").exists());
    for (wrong, named) in [
        (config(&["a..b"], 1), "a..b"),
        (config(&["a"], 0), "retention"),
    ] {
        let error = EventLog::start(project(&folder), &wrong, &cx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.message().contains(named) && error.hint().is_some(),
            "{error}"
        );
    }
    for limit in [0, 10_001] {
        let (log, cx) = (log.clone(), cx.clone());
        let read = wait(async move { log.replay(&cx, (0, "**"), limit).await });
        assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidArgs);
    }
}

#[test]
fn the_writer_ends_with_its_log_after_what_was_published_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["**"], 100);
    let (log, cx) = open(&folder, &config);
    let bus = Arc::clone(cx.events());
    for number in 1..=50 {
        emit(&cx, "x", number);
    }
    drop(log);
    // The subscription goes with the writer.
    wait(async move {
        while bus.has_subscribers() {
            tokio::task::yield_now().await;
        }
    });
    let (log, cx) = open(&folder, &config);
    assert_eq!(replay(&log, &cx, 0, "**").unwrap().len(), 50);
}
