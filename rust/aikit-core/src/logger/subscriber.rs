//! Takes the `tracing` events of every crate of the process.

use std::{
    borrow::Cow,
    cell::RefCell,
    fmt::{self, Write as _},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use super::{
    Level, Own, THRESHOLD, emit,
    fields::{Draft, Origin, own_name},
    is_level_enabled,
};
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

/// Whether a subscriber that is not ours wants what [`pass_on`] gives it at this level.
pub(super) fn is_wanted_by_other(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(tracing::Level::INFO),
        Level::Warn => tracing::enabled!(tracing::Level::WARN),
        Level::Error | Level::Fatal => tracing::enabled!(tracing::Level::ERROR),
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
    let name = target.split([':', '.']).next().unwrap_or_default();
    matches!(name, "aikit" | "_aikit") || name.starts_with("aikit_")
}

/// Writes whose a record is; the crates of aikit have names of one package: `aikit_core::io` is
/// `aikit.core.io`.
fn write_target(text: &mut String, target: &str) {
    let mut rest = target;
    if let Some(of_python) = target.strip_prefix("_aikit") {
        text.push_str("aikit.python");
        rest = of_python;
    } else if let Some(of_crate) = target.strip_prefix("aikit_") {
        text.push_str("aikit.");
        rest = of_crate;
    }
    while let Some(place) = rest.bytes().position(|it| it == b':') {
        text.push_str(&rest[..place]);
        rest = &rest[place..];
        let (shown, length) = if rest.starts_with("::") {
            ('.', 2)
        } else {
            (':', 1)
        };
        text.push(shown);
        rest = &rest[length..];
    }
    text.push_str(rest);
}

/// What a record of this target says, to be filled in.
pub(super) fn draft(target: &str) -> Draft {
    Draft::new(is_ours(target), |text| write_target(text, target))
}

/// The same for one that stands in the source code: most records of a thread have the same one as
/// the last, and reading it again takes longer than the name of a field does.
fn draft_static(target: &'static str) -> Draft {
    thread_local! {
        static LAST: RefCell<(&'static str, bool, String)> =
            const { RefCell::new(("", false, String::new())) };
    }
    let drafted = LAST.try_with(|last| {
        let mut last = last.try_borrow_mut().ok()?;
        let (known, is_made, written) = &mut *last;
        if !ptr::eq(*known, target) {
            written.clear();
            write_target(written, target);
            (*known, *is_made) = (target, is_ours(target));
        }
        Some(Draft::new(*is_made, |text| text.push_str(written)))
    });
    drafted.ok().flatten().unwrap_or_else(|| draft(target))
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
        let mut heard = Heard::new(metadata.target());
        event.record(&mut heard);
        let place = metadata.file().zip(metadata.line());
        emit(
            Level::from(*metadata.level()),
            &Own::default(),
            heard.draft,
            place,
        );
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Takes what an event says.
struct Heard {
    draft: Draft,
    origin: Origin,
}

impl Heard {
    fn new(target: &'static str) -> Self {
        let draft = draft_static(target);
        let origin = if draft.is_made() {
            Origin::Aikit
        } else {
            Origin::Other
        };
        Self { draft, origin }
    }

    #[inline]
    fn note(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if is_said(name) {
            let name = self.named(name);
            self.draft.fields.set_as(name, value, self.origin);
        }
    }

    /// Aikit's own code may name what a Context has; others tell nobody whose a record is.
    fn named(&self, name: &'static str) -> Cow<'static, str> {
        match self.origin {
            Origin::Other => own_name(Cow::Borrowed(name)),
            Origin::Aikit | Origin::Context => Cow::Borrowed(name),
        }
    }

    fn note_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        match field.name() {
            "message" => self.draft.set_message(write),
            name if is_said(name) => {
                let write = |text: &mut String| {
                    let start = text.len();
                    write(text);
                    // An error has cut already what it quotes.
                    if name != "error" {
                        quote::cut_from(text, start);
                    }
                };
                let name = self.named(name);
                self.draft.fields.write(name, self.origin, write);
            }
            _ => {}
        }
    }
}

/// Not what `tracing-log` adds about where a record came from.
fn is_said(name: &str) -> bool {
    !name.starts_with("log.")
}

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A value whose `Debug` fails is cut off there.
        self.note_text(field, |text| {
            let _ = write!(text, "{value:?}");
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note_text(field, |text| text.push_str(value));
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
