//! Tests of the logger: what is in force belongs to the process, so one runs at a time.

mod secrets;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::*;
use crate::{
    Result,
    context::{Overrides, Principal},
    tracker::{Operation, track},
};
use futures::FutureExt as _;

/// The lines of a logger that one test has for itself.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    _alone: MutexGuard<'static, ()>,
}

fn lines(level: Level, format: Format) -> Lines {
    lines_as(level, Some(format))
}

fn lines_as(level: Level, format: Option<Format>) -> Lines {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(install());
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let write = move |line: &[u8]| {
        let line = String::from_utf8(line.to_vec()).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "one line: {line:?}");
        kept.lock().unwrap().push(line);
    };
    configure(Settings {
        level: Some(level),
        format,
        output: Some(Output::Function(Arc::new(write))),
        replace: true,
        ..Settings::default()
    });
    Lines {
        lines,
        _alone: alone,
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    fn json(&self) -> Vec<Json> {
        let lines = self.take();
        lines
            .iter()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        configure(Settings {
            replace: true,
            ..Settings::default()
        });
    }
}

fn fields<V: Into<Value>>(name: &str, value: V) -> Map {
    Map::from_iter([(name.to_owned(), value.into())])
}

#[test]
fn each_level_has_its_word_and_fatal_is_the_last() {
    let lines = lines(Level::Trace, Format::Json);
    let log = get();
    log.trace("m", Map::new());
    log.debug("m", Map::new());
    log.info("m", Map::new());
    log.warn("m", Map::new());
    log.error("m", Map::new());
    log.fatal("m", Map::new());
    let words: Vec<String> = Level::ALL.iter().map(ToString::to_string).collect();
    let written = lines.json();
    let levels: Vec<&str> = written
        .iter()
        .map(|it| it["level"].as_str().unwrap())
        .collect();
    assert_eq!(levels, words);
    assert!(Level::ALL.is_sorted() && "fatal".parse::<Level>().unwrap() == Level::Fatal);
    assert!(
        "loud"
            .parse::<Level>()
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("fatal")
    );
}

#[test]
fn the_level_decides_what_is_written_and_can_be_asked() {
    let lines = lines(Level::Warn, Format::Json);
    get().info("not written", Map::new());
    tracing::info!("not written either");
    assert!(!is_level_enabled(Level::Info) && is_level_enabled(Level::Warn));
    assert_eq!(lines.take(), [""; 0]);
    set_level(Level::Info);
    get().info("written", Map::new());
    tracing::info!(answer = 42, "written too");
    let written = lines.json();
    assert_eq!(written[0]["message"], "written");
    assert_eq!(
        (&written[1]["message"], &written[1]["answer"]),
        (&"written too".into(), &42.into())
    );
    assert_eq!(written[1]["target"], "aikit.core.logger.tests");
}

#[test]
fn without_a_writer_or_a_host_nothing_is_enabled() {
    let lines = lines(Level::Trace, Format::Json);
    configure(Settings {
        replace: true,
        ..Settings::default()
    });
    get().fatal("nobody", Map::new());
    assert!(!is_level_enabled(Level::Fatal));
    assert_eq!(lines.take(), [""; 0]);
}

#[test]
fn a_child_carries_its_bindings_and_a_component_its_name() {
    let lines = lines(Level::Info, Format::Json);
    let log = for_component("cache")
        .child(fields("a", 1_i64))
        .child(fields("b", 2_i64));
    log.info("hit", fields("a", 3_i64));
    let written = &lines.json()[0];
    assert_eq!(written["target"], "aikit.cache");
    assert_eq!(
        (&written["component"], &written["a"], &written["b"]),
        (&"cache".into(), &3.into(), &2.into())
    );
}

#[test]
fn a_created_logger_has_a_level_of_its_own() {
    let lines = lines(Level::Debug, Format::Json);
    let audit = create(Level::Error);
    let child = audit.for_component("audit");
    child.info("not written", Map::new());
    get().info("written", Map::new());
    audit.set_level(Level::Info);
    child.info("written", Map::new());
    assert_eq!(lines.take().len(), 2);
    assert!(is_level_enabled(Level::Debug) && !audit.is_level_enabled(Level::Debug));
}

#[test]
fn every_record_inside_a_procedure_carries_the_fields_of_its_context() {
    let lines = lines(Level::Info, Format::Json);
    let metadata = [("session_id", "s1"), ("message_id", "m1"), ("other", "x")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), Value::from(value)));
    let cx = Context::create(Overrides {
        request_id: Some("r1".to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        principal: Some(Principal {
            id: "ada".to_owned(),
            tenant_id: Some("t1".to_owned()),
            roles: Vec::new(),
        }),
        metadata: Map::from_iter(metadata),
        ..Overrides::default()
    });
    let tracked = track(&cx, Operation::new("work"), |_| async {
        get().info("ours", Map::new());
        tracing::warn!("of any crate");
        Ok(())
    });
    let ended: Result<()> = tracked.now_or_never().unwrap();
    ended.unwrap();
    get().info("outside", Map::new());
    let written = lines.json();
    for record in &written[..2] {
        let expected = [
            ("request_id", "r1"),
            ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("procedure", "work"),
            ("user_id", "ada"),
            ("tenant_id", "t1"),
            ("session_id", "s1"),
            ("message_id", "m1"),
        ];
        for (name, value) in expected {
            assert_eq!(record[name], value, "{name}: {record}");
        }
        assert!(record["procedure_id"].is_string() && record.get("other").is_none());
    }
    assert!(written[2].get("request_id").is_none());
}

#[test]
fn a_logger_has_a_format_of_its_own_only_where_the_host_has_set_none() {
    let lines = lines_as(Level::Info, None);
    let own = get().with_format(Format::Json).child(fields("a", "1"));
    own.info("mine", Map::new());
    get().info("others", Map::new());
    let written = lines.take();
    assert!(written[0].starts_with('{'), "{}", written[0]);
    assert!(!written[1].starts_with('{'), "{}", written[1]);
    for (format, is_json) in [(Format::Json, true), (Format::Text, false)] {
        configure(Settings {
            format: Some(format),
            ..Settings::default()
        });
        own.info("mine", Map::new());
        let text = get().with_format(Format::Text);
        text.info("mine too", Map::new());
        for line in lines.take() {
            assert_eq!(line.starts_with('{'), is_json, "{line}");
        }
    }
}

#[test]
fn the_name_of_a_field_forges_no_record() {
    let lines = lines(Level::Info, Format::Text);
    let forged = "a\n2026-01-01T00:00:00.000000Z error aikit.security: forged x";
    let mut named = fields(forged, 1_i64);
    named.extend(fields("b=2 c", 3_i64));
    named.extend(fields("", 4_i64));
    named.extend(fields("größe", 5_i64));
    named.extend(fields("gen_ai.usage-x", 6_i64));
    get().info("hello", named);
    let line = &lines.take()[0];
    let rest = line.split_once("hello ").unwrap().1;
    let quoted = forged.replace('\n', "\\n");
    let expected = format!("\"{quoted}\"=1 \"b=2 c\"=3 \"\"=4 größe=5 gen_ai.usage-x=6\n");
    assert_eq!(rest, expected);
    // What Python's `logging` is given.
    let fields = Fields::from(fields(forged, 1_i64));
    let record = Record {
        level: Level::Info,
        target: "aikit",
        format: None,
        message: "m",
        context: &Fields::default(),
        fields: &fields,
        file: None,
        line: None,
        time: SystemClock.now(),
    };
    assert_eq!(record.to_text(), format!("m \"{quoted}\"=1"));
}

#[test]
fn of_composed_context_fields_the_later_win() {
    let lines = lines(Level::Info, Format::Json);
    let own: ContextFields = Arc::new(|cx| {
        let mut own = fields("request_id", "mine");
        own.insert("depth".to_owned(), Value::from(cx.depth()));
        own.into()
    });
    configure(Settings {
        context_fields: Some(compose_context_fields(vec![default_context_fields(), own])),
        ..Settings::default()
    });
    Context::default().run_sync(|| get().info("m", Map::new()));
    let written = &lines.json()[0];
    assert_eq!(
        (&written["request_id"], &written["depth"]),
        (&"mine".into(), &0.into())
    );
    assert!(written["trace_id"].is_string());
}

#[test]
fn a_logger_takes_fields_of_its_own_out_of_the_context_and_forges_none() {
    let lines = lines(Level::Info, Format::Json);
    let metadata = [("part", "a"), ("request_id", "forged"), ("turn", "7")];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let cx = Context::create(Overrides {
        metadata: Map::from_iter(metadata),
        ..Overrides::default()
    });
    let named = |names: &[&str]| metadata_fields(names.iter().map(|it| (*it).to_owned()).collect());
    let logger = get()
        .with_context_fields(named(&["part", "request_id", "none"]))
        .with_context_fields(named(&["turn"]))
        .child(fields("own", "x"))
        .for_component("c");
    cx.run_sync(|| logger.info("m", Map::new()));
    cx.run_sync(|| logger.info("m", fields("part", "b")));
    Context::default().run_sync(|| logger.info("m", Map::new()));
    let written = lines.json();
    assert_eq!(
        ["part", "turn", "own"].map(|name| &written[0][name]),
        ["a", "7", "x"]
    );
    assert_eq!(written[0]["request_id"], cx.request_id());
    assert!(written[0].get("none").is_none());
    assert!(written[2].get("part").is_none() && written[2].get("turn").is_none());
    // Others have their own.
    cx.run_sync(|| get().info("m", Map::new()));
    assert!(lines.json()[0].get("part").is_none());
}

#[test]
fn names_of_metadata_are_kept_once_and_forge_nothing() {
    let lines = lines(Level::Info, Format::Json);
    let metadata = [("part", "a"), ("user_id", "root"), ("turn", "7")];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let cx = Context::create(Overrides {
        metadata: Map::from_iter(metadata),
        ..Overrides::default()
    });
    // So many functions one inside the other would be more than a stack has room for.
    let mut logger = get();
    for _ in 0..100_000 {
        logger = logger.with_metadata_fields(["part", "none", "user_id"].map(str::to_owned));
    }
    logger = logger.with_metadata_fields(["turn".to_owned()]);
    assert_eq!(logger.child(fields("own", "x")).own_fields(), 5);
    cx.run_sync(|| logger.info("m", Map::new()));
    cx.run_sync(|| logger.info("m", fields("part", "b")));
    let written = lines.json();
    let seen = ["part", "turn", "aikit_user_id"].map(|name| &written[0][name]);
    assert_eq!(seen, ["a", "7", "root"]);
    assert!(written[0].get("user_id").is_none() && written[0].get("none").is_none());
    assert_eq!(written[1]["part"], "b");
}

#[test]
fn many_functions_for_fields_stand_side_by_side() {
    let lines = lines(Level::Info, Format::Json);
    let mut logger = get();
    for index in 0..5_000_i64 {
        logger = logger.with_context_fields(Arc::new(move |_| fields("last", index).into()));
    }
    Context::default().run_sync(|| logger.info("m", Map::new()));
    let written = &lines.json()[0];
    assert_eq!(written["last"], 4_999);
}

#[test]
fn a_record_is_one_line_to_read() {
    let lines = lines(Level::Info, Format::Text);
    get().info("two\nlines", fields("name", "a \"b\"\n"));
    let line = &lines.take()[0];
    let rest = line.split_once("Z ").unwrap().1;
    assert_eq!(rest, "info  aikit: two lines name=\"a \\\"b\\\"\\n\"\n");
}

#[test]
fn small_steps_of_other_libraries_are_not_heard() {
    let lines = lines(Level::Trace, Format::Json);
    tracing::info!(target: "h2::client", "frame");
    foreign(Level::Debug, "rustls::client", "handshake", None);
    tracing::warn!(target: "h2::client", "broken");
    foreign(Level::Warn, "rustls::client", "odd", Some(("client.rs", 7)));
    let written = lines.json();
    let targets: Vec<&str> = written
        .iter()
        .map(|it| it["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["h2.client", "rustls.client"]);
}

#[test]
fn a_record_does_not_forge_whose_it_is() {
    let names = CONTEXT_FIELDS;
    let forged: Map = names
        .map(|name| (name.to_owned(), Value::from("forged")))
        .into_iter()
        .collect();
    let cx = Context::create(Overrides {
        principal: Some(Principal {
            id: "ada".to_owned(),
            ..Principal::default()
        }),
        ..Overrides::default()
    });
    let lines = lines(Level::Info, Format::Json);
    let bound = get().child(fields("tenant_id", "other"));
    cx.run_sync(|| bound.info("bound", Map::new()));
    cx.run_sync(|| get().info("inside", forged.clone()));
    get().info("outside", forged.clone());
    cx.run_sync(|| tracing::warn!(target: "h2::client", user_id = "forged", span_id = 7, "other"));
    let written = lines.json();
    assert!(written[0].get("tenant_id").is_none());
    assert_eq!(written[0]["aikit_tenant_id"], "other");
    for record in &written[1..3] {
        for name in names {
            assert_ne!(record[name], "forged", "{name}: {record}");
            assert_eq!(record[format!("aikit_{name}")], "forged", "{name}");
        }
    }
    for record in [&written[0], &written[1], &written[3]] {
        assert_eq!(record["user_id"], "ada", "{record}");
        assert_eq!(record["request_id"], cx.request_id());
    }
    assert_eq!(
        (&written[3]["aikit_user_id"], &written[3]["aikit_span_id"]),
        (&"forged".into(), &7.into())
    );
    // A line to read, and what a host is given, tell the same.
    configure(Settings {
        format: Some(Format::Text),
        ..Settings::default()
    });
    cx.run_sync(|| get().info("inside", fields("user_id", "root")));
    let line = &lines.take()[0];
    assert!(
        line.contains(" user_id=\"ada\" aikit_user_id=\"root\""),
        "{line}"
    );
}

#[test]
fn what_is_said_steers_no_terminal() {
    let lines = lines(Level::Info, Format::Text);
    get().info(
        "red \u{1b}[31m bell\u{7}\ttab \u{7f} c1 \u{9b}2J sep\u{2028}next \u{202e}turned größe 😀",
        fields("name", "\u{9b}2J\u{2029}é"),
    );
    let line = &lines.take()[0];
    let rest = line.split_once("aikit: ").unwrap().1;
    assert_eq!(
        rest,
        "red \\u001b[31m bell\\u0007\\ttab \\u007f c1 \\u009b2J sep\\u2028next \\u202eturned größe 😀 \
         name=\"\\u009b2J\\u2029é\"\n"
    );
}

/// A host whose level changes while somebody asks for it.
#[derive(Debug)]
struct Changing {
    level: AtomicU8,
    is_slow: std::sync::atomic::AtomicBool,
    asked: std::sync::Barrier,
    answers: std::sync::Barrier,
}

impl Sink for Changing {
    fn threshold(&self) -> u8 {
        let level = self.level.load(Ordering::SeqCst);
        if self.is_slow.swap(false, Ordering::SeqCst) {
            self.asked.wait();
            self.answers.wait();
        }
        level
    }

    fn write(&self, _: &Record<'_>) {}
}

#[test]
fn of_two_looks_at_the_levels_the_later_counts() {
    let _lines = lines(Level::Fatal, Format::Json);
    let host = Arc::new(Changing {
        level: AtomicU8::new(Level::Error.number()),
        is_slow: false.into(),
        asked: std::sync::Barrier::new(2),
        answers: std::sync::Barrier::new(2),
    });
    set_host(Arc::clone(&host) as Arc<dyn Sink>);
    host.is_slow.store(true, Ordering::SeqCst);
    let early = std::thread::spawn(refresh);
    // It has the older level in its hand, and stores it after the newer one is stored.
    host.asked.wait();
    host.level.store(Level::Debug.number(), Ordering::SeqCst);
    refresh();
    host.answers.wait();
    early.join().unwrap();
    let is_enabled = is_level_enabled(Level::Debug);
    host.level.store(u8::MAX, Ordering::SeqCst);
    refresh();
    assert!(is_enabled);
}
