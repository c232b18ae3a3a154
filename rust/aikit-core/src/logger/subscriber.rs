//! Takes the `tracing` events of every crate of the process.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use super::{Fields, Level, THRESHOLD, emit, is_level_enabled};
use crate::{Value, quote};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Takes the events of `tracing` from now on. `false` when the program has a subscriber of its
/// own; that one is kept, and records go there.
pub fn install() -> bool {
    if !is_installed() && tracing::subscriber::set_global_default(Events).is_ok() {
        INSTALLED.store(true, Ordering::Release);
    }
    is_installed()
}

pub(super) fn is_installed() -> bool {
    INSTALLED.load(Ordering::Acquire)
}

/// `tracing` remembers which call sites are heard.
pub(super) fn threshold_changed() {
    if is_installed() {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Gives a record to a subscriber that is not ours.
pub(super) fn pass_on(level: Level, component: &str, message: &str, fields: &Value) {
    match level {
        Level::Trace => tracing::trace!(component, %fields, "{message}"),
        Level::Debug => tracing::debug!(component, %fields, "{message}"),
        Level::Info => tracing::info!(component, %fields, "{message}"),
        Level::Warn => tracing::warn!(component, %fields, "{message}"),
        Level::Error => tracing::error!(component, %fields, "{message}"),
        Level::Fatal => tracing::error!(component, %fields, fatal = true, "{message}"),
    }
}

/// Whether somebody who wants records of this level is told of this one: other libraries are
/// heard from warnings on, because the small steps of a connection drown everything else.
pub(super) fn is_heard(level: Level, target: &str) -> bool {
    is_ours(target) || level >= Level::Warn
}

fn is_ours(target: &str) -> bool {
    target.starts_with("aikit") || target.starts_with("_aikit")
}

/// Gives the crates of aikit the names of one package: `aikit_core::io` is `aikit.core.io`.
pub(super) fn rename(target: &str) -> String {
    let (start, rest) = if let Some(rest) = target.strip_prefix("_aikit") {
        ("aikit.python", rest)
    } else if let Some(rest) = target.strip_prefix("aikit_") {
        ("aikit.", rest)
    } else {
        ("", target)
    };
    let mut name = Vec::with_capacity(start.len() + rest.len());
    name.extend_from_slice(start.as_bytes());
    let mut bytes = rest.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let is_double = byte == b':' && bytes.next_if_eq(&b':').is_some();
        name.push(if is_double { b'.' } else { byte });
    }
    // Nothing but letters of ASCII was replaced, by one.
    String::from_utf8(name).unwrap_or_default()
}

/// The subscriber. It wants events alone: what a span would tell stands in the Context.
struct Events;

impl Events {
    fn wants(metadata: &Metadata<'_>) -> bool {
        let level = Level::from(*metadata.level());
        !metadata.is_span() && is_level_enabled(level) && is_heard(level, metadata.target())
    }
}

impl Subscriber for Events {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match THRESHOLD.load(Ordering::Relaxed) {
            0..=5 => LevelFilter::TRACE,
            6..=10 => LevelFilter::DEBUG,
            11..=20 => LevelFilter::INFO,
            21..=30 => LevelFilter::WARN,
            31..=50 => LevelFilter::ERROR,
            _ => LevelFilter::OFF,
        })
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        let place = metadata.file().zip(metadata.line());
        let level = Level::from(*metadata.level());
        emit(
            level,
            (&rename(metadata.target()), None),
            &said.message,
            said.fields,
            place,
        );
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Fields,
}

impl Said {
    fn note(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // What `tracing-log` adds about where a record came from.
            (name, _) if name.starts_with("log.") => {}
            // An error has cut already what it quotes.
            ("error", value) => self.fields.set("error", value),
            (name, Value::String(text)) => {
                self.fields.set(name, Value::from(&*quote::cut(&text)));
            }
            (name, value) => self.fields.set(name, value),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value whose `Debug` fails is cut off there.
        let _ = write!(text, "{value:?}");
        self.note(field, Value::String(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, Value::Bool(value));
    }
}
