//! Records in a program that has a subscriber of `tracing` of its own.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use aikit_core::{
    Context, Value,
    context::Overrides,
    logger::{self, Level},
    value::Map,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Keeps what it is told at `info` and above, as text.
#[derive(Clone, Default)]
struct Own(Arc<Mutex<Vec<String>>>);

impl Subscriber for Own {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Own {
    fn told(&self, log: impl FnOnce()) -> Vec<String> {
        tracing::subscriber::with_default(self.clone(), log);
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn fields(name: &str, value: &str) -> Map {
    Map::from_iter([(name.to_owned(), Value::from(value))])
}

#[test]
fn a_subscriber_of_the_program_is_told_the_same_and_no_secret() {
    logger::hide("s3cr3t-of-a-program");
    let metadata = fields("session_id", "s1");
    let cx = Context::create(Overrides {
        metadata,
        ..Overrides::default()
    });
    let log = logger::for_component("cache").child(fields("step", "one"));
    let told = Own::default().told(|| {
        cx.run_sync(|| {
            log.info(
                "with s3cr3t-of-a-program",
                fields("key", "s3cr3t-of-a-program"),
            );
        });
    });
    assert_eq!(told.len(), 1, "{told:?}");
    let line = &told[0];
    assert!(
        !line.contains("s3cr3t") && line.contains("message=with ***"),
        "{line}"
    );
    for part in [
        "INFO ",
        "aikit.cache",
        "\"step\":\"one\"",
        "\"key\":\"***\"",
        "\"session_id\":\"s1\"",
        cx.request_id(),
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_subscriber_of_the_program_is_told_what_the_logger_gives_out() {
    let told = Own::default().told(|| {
        let quiet = logger::create(Level::Error);
        quiet.info("not told", Map::new());
        quiet.error("told", Map::new());
        let detailed = logger::create(Level::Trace);
        detailed.debug("unwanted", Map::new());
        detailed.info("told too", Map::new());
        assert!(detailed.is_level_enabled(Level::Info) && !quiet.is_level_enabled(Level::Info));
        assert!(!detailed.is_level_enabled(Level::Debug));
    });
    let messages: Vec<bool> = told.iter().map(|it| it.contains("told")).collect();
    assert_eq!((messages, told.len()), (vec![true, true], 2), "{told:?}");
}
