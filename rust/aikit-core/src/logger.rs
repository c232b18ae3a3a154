//! Structured logging: records with fields, those of the Context added by themselves.
//!
//! All records of the process meet here: those of a [`Logger`], and the `tracing` events of every
//! crate once [`install`] was called. From here they go to the host (Python's `logging`) and to
//! the writer that [`configure`] names. Nothing is written unless one of both is there.

mod fields;
mod level;
mod line;
mod record;
mod room;
mod secrets;
mod subscriber;
mod writer;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwap;
use indexmap::IndexSet;

use self::fields::{Draft, own_name};
pub use self::{
    fields::{
        CONTEXT_FIELDS, ContextFields, FieldValue, Fields, compose_context_fields,
        default_context_fields, metadata_fields,
    },
    level::Level,
    line::Format,
    record::{Record, Sink},
    secrets::{HIDDEN, Scrubber, hide, scrub, set_scrubber},
    subscriber::install,
    writer::{Output, Writer},
};
use crate::{
    Value,
    clock::{Clock as _, SystemClock},
    context::Context,
    value::Map,
};

/// Name of the logger of everything that has no component.
const ROOT: &str = "aikit";

/// Most fields of its own that the records of a script's logger may carry: each is written with
/// every line.
pub const SCRIPT_FIELDS_MAX: usize = 256;

/// What a configuration says; what is `None` stays as it is.
#[derive(Clone, Default)]
pub struct Settings {
    /// The least severe level that the writer is given.
    pub level: Option<Level>,
    /// How a line of the writer looks, whatever a logger's own format is; a line to read where
    /// neither says anything.
    pub format: Option<Format>,
    /// Which fields of the Context each record gets.
    pub context_fields: Option<ContextFields>,
    /// Where the writer writes; without one records go to the host alone.
    pub output: Option<Output>,
    /// Whether what is `None` goes back to its default instead.
    pub replace: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("level", &self.level)
            .field("format", &self.format)
            .field("output", &self.output)
            .field("replace", &self.replace)
            .finish_non_exhaustive()
    }
}

/// What is in force.
#[derive(Clone)]
struct State {
    level: Level,
    /// `None` where the host has not said it.
    format: Option<Format>,
    context_fields: ContextFields,
    output: Option<Output>,
    writer: Option<Arc<Writer>>,
    host: Option<Arc<dyn Sink>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: None,
            context_fields: default_context_fields(),
            output: None,
            writer: None,
            host: None,
        }
    }
}

impl State {
    fn sinks(&self) -> impl Iterator<Item = &dyn Sink> {
        self.host.as_deref().into_iter().chain(self.writer())
    }

    fn writer(&self) -> Option<&dyn Sink> {
        self.writer.as_deref().map(|it| it as &dyn Sink)
    }
}

// Swapped without a lock, see `telemetry`.
static STATE: LazyLock<ArcSwap<State>> = LazyLock::new(ArcSwap::default);

/// What somebody wants to have at least: a level's number, more than all of them for nothing.
static THRESHOLD: AtomicU8 = AtomicU8::new(u8::MAX);

/// Changes what is in force for the whole process.
#[expect(
    clippy::needless_pass_by_value,
    reason = "settings are made for one call"
)]
pub fn configure(settings: Settings) {
    change(|state| {
        let kept = if settings.replace {
            State {
                host: state.host.clone(),
                ..State::default()
            }
        } else {
            state.clone()
        };
        let output = settings.output.clone().or(kept.output);
        let level = settings.level.unwrap_or(kept.level);
        let format = settings.format.or(kept.format);
        let writer = output.clone().map(|it| Writer::new(it, format, level));
        State {
            level,
            format,
            context_fields: settings
                .context_fields
                .clone()
                .unwrap_or(kept.context_fields),
            output,
            writer: writer.map(Arc::new),
            host: kept.host,
        }
    });
}

/// Changes the least severe level that the writer is given.
pub fn set_level(level: Level) {
    configure(Settings {
        level: Some(level),
        ..Settings::default()
    });
}

/// Whether somebody wants records of this level.
pub fn is_level_enabled(level: Level) -> bool {
    level.number() >= THRESHOLD.load(Ordering::Relaxed)
}

/// Gives all records to `host` too, such as Python's `logging`; in place of the one before.
#[expect(clippy::needless_pass_by_value, reason = "the logger keeps it")]
pub fn set_host(host: Arc<dyn Sink>) {
    change(|state| State {
        host: Some(Arc::clone(&host)),
        ..state.clone()
    });
}

/// Has a changed level of the host taken up.
pub fn refresh() {
    let mut wanted = wanted();
    loop {
        if THRESHOLD.swap(wanted, Ordering::AcqRel) != wanted {
            subscriber::threshold_changed();
        }
        // Another thread may have looked later and stored earlier. No lock: see `STATE`.
        let now = self::wanted();
        if now == wanted {
            return;
        }
        wanted = now;
    }
}

/// What the sinks want to have at least, as they stand now.
fn wanted() -> u8 {
    let state = STATE.load();
    state.sinks().map(Sink::threshold).min().unwrap_or(u8::MAX)
}

fn change(change: impl Fn(&State) -> State) {
    STATE.rcu(|state| Arc::new(change(state)));
    refresh();
}

/// The logger of the process.
pub fn get() -> Logger {
    Logger::default()
}

/// The logger of a component: its records are called `aikit.` and the name.
pub fn for_component(name: &str) -> Logger {
    Logger::default().for_component(name)
}

/// A logger with a level of its own, which no other shares.
pub fn create(level: Level) -> Logger {
    Logger::default().with_level(level)
}

/// Takes records that belong together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Logger {
    component: Option<Arc<str>>,
    bindings: Arc<Map>,
    own_level: Option<Arc<AtomicU8>>,
    own: Own,
}

/// How records of one logger differ from those of others.
#[derive(Clone, Default)]
struct Own {
    format: Option<Format>,
    taken: Option<Arc<Taken>>,
}

/// What records take out of their Context, beside what is in force.
#[derive(Clone, Default)]
struct Taken {
    // A list, not one function around another: a program may ask for more as often as it likes.
    functions: Vec<ContextFields>,
    /// Names of metadata of the Context.
    metadata: IndexSet<String>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Own {
    /// What each record gets of the Context that it is written in: what is in force has the last
    /// word on a name.
    fn context_fields(&self, cx: &Context, in_force: &ContextFields) -> Fields {
        let Some(taken) = &self.taken else {
            return in_force(cx);
        };
        let mut fields = Fields::new();
        for own in &taken.functions {
            fields.merge(own(cx));
        }
        for name in &taken.metadata {
            if let Some(value) = cx.metadata().get(name) {
                fields.set(own_name(Cow::Owned(name.clone())), value.clone());
            }
        }
        fields.merge(in_force(cx));
        fields
    }
}

impl Logger {
    /// The same for another component.
    #[must_use]
    pub fn for_component(&self, name: &str) -> Self {
        Self {
            component: Some(Arc::from(name)),
            ..self.clone()
        }
    }

    /// One whose records carry these fields too; a later one takes the place of an earlier.
    #[must_use]
    pub fn child(&self, bindings: Map) -> Self {
        let mut all = (*self.bindings).clone();
        all.extend(bindings);
        Self {
            bindings: Arc::new(all),
            ..self.clone()
        }
    }

    /// One with a level of its own, which no other shares.
    #[must_use]
    pub fn with_level(&self, level: Level) -> Self {
        Self {
            own_level: Some(Arc::new(AtomicU8::new(level.number()))),
            ..self.clone()
        }
    }

    /// One whose records are written so where [`configure`] was given no format: who reads the log
    /// decides how it looks.
    #[must_use]
    pub fn with_format(&self, format: Format) -> Self {
        let own = Own {
            format: Some(format),
            ..self.own.clone()
        };
        Self {
            own,
            ..self.clone()
        }
    }

    /// One whose records carry these fields of the Context too. Of two with the same name a later
    /// one takes the place of an earlier, and what [`configure`] was given that of both.
    #[must_use]
    pub fn with_context_fields(&self, fields: ContextFields) -> Self {
        self.taking(|taken| taken.functions.push(fields))
    }

    /// One whose records carry the metadata of the Context under these names too, as far as it has
    /// them; those that tell whose a record is under a longer name, as its own fields do.
    #[must_use]
    pub fn with_metadata_fields(&self, names: impl IntoIterator<Item = String>) -> Self {
        self.taking(|taken| taken.metadata.extend(names))
    }

    fn taking(&self, change: impl FnOnce(&mut Taken)) -> Self {
        let mut logger = self.clone();
        change(Arc::make_mut(logger.own.taken.get_or_insert_default()));
        logger
    }

    /// How many fields of its own each record may carry: its bindings, and what
    /// [`Self::with_metadata_fields`] was given.
    pub fn own_fields(&self) -> usize {
        let taken = self.own.taken.as_ref();
        self.bindings.len() + taken.map_or(0, |it| it.metadata.len())
    }

    /// Changes the level of a logger that has its own, and of its children; the process's else.
    pub fn set_level(&self, level: Level) {
        match &self.own_level {
            Some(own) => own.store(level.number(), Ordering::Relaxed),
            None => set_level(level),
        }
    }

    /// Whether a record of this level would go anywhere.
    pub fn is_level_enabled(&self, level: Level) -> bool {
        let own = self.own_level.as_ref();
        let is_wanted = own.is_none_or(|it| level.number() >= it.load(Ordering::Relaxed));
        is_wanted
            && if subscriber::is_installed() {
                is_level_enabled(level)
            } else {
                subscriber::is_wanted_by_other(level)
            }
    }

    /// What every record of it carries.
    pub fn bindings(&self) -> &Map {
        &self.bindings
    }

    /// Gives a record to whoever wants it. What tells whose it is comes from the Context: a field
    /// of its own with one of the names of [`CONTEXT_FIELDS`] is called `aikit_` and that name.
    pub fn log(&self, level: Level, message: &str, fields: Map) {
        if !self.is_level_enabled(level) {
            return;
        }
        let draft = self.draft(message, fields);
        if subscriber::is_installed() {
            emit(level, &self.own, draft, None);
        } else {
            // A program in Rust that brought its own subscriber.
            pass_on(level, &self.own, draft);
        }
    }

    /// What a record says, without the fields of its Context.
    fn draft(&self, message: &str, fields: Map) -> Draft {
        // The name of a component comes from data, unlike those of crates.
        let is_made = self.component.is_none();
        let mut draft = Draft::new(is_made, |text| text.push_str(&self.target()));
        draft.set_message(|text| text.push_str(message));
        let mut set = |name: String, value| draft.fields.set(own_name(Cow::Owned(name)), value);
        for (name, value) in self.bindings.iter() {
            set(name.clone(), value.clone());
        }
        if let Some(component) = &self.component {
            set("component".to_owned(), Value::from(&**component));
        }
        for (name, value) in fields {
            set(name, value);
        }
        draft
    }

    fn target(&self) -> String {
        match &self.component {
            None => ROOT.to_owned(),
            Some(name) => format!("{ROOT}.{name}"),
        }
    }
}

macro_rules! levels {
    ($($name:ident $level:ident,)+) => {
        impl Logger {
            $(
                #[doc = concat!("Logs at the level `", stringify!($name), "`.")]
                pub fn $name(&self, message: &str, fields: Map) {
                    self.log(Level::$level, message, fields);
                }
            )+
        }
    };
}

levels! {
    trace Trace,
    debug Debug,
    info Info,
    warn Warn,
    error Error,
    fatal Fatal,
}

/// Gives a record of another library, which speaks neither to a [`Logger`] nor to `tracing`, to
/// whoever wants it.
pub fn foreign(level: Level, target: &str, message: &str, place: Option<(&str, u32)>) {
    if is_level_enabled(level) && subscriber::is_heard(level, target) {
        let mut draft = subscriber::draft(target);
        draft.set_message(|text| text.push_str(message));
        emit(level, &Own::default(), draft, place);
    }
}

/// Adds the fields of the Context and gives the record to whoever wants it.
fn emit(level: Level, own: &Own, mut draft: Draft, place: Option<(&str, u32)>) {
    let state = STATE.load();
    let context = Context::try_get();
    // What the host's own handler calls would come back to it without an end.
    let is_silent = context.as_ref().is_some_and(Context::is_silent);
    let context = complete(&state, own, &mut draft, context);
    let record = Record {
        level,
        target: draft.target(),
        format: own.format,
        message: draft.message(),
        context: &context,
        fields: &draft.fields,
        file: place.map(|(file, _)| file),
        line: place.map(|(_, line)| line),
        time: SystemClock.now(),
    };
    let host = state.host.as_deref().filter(|_| !is_silent);
    for sink in host.into_iter().chain(state.writer()) {
        if level.number() >= sink.threshold() {
            sink.write(&record);
        }
    }
}

/// The same for the subscriber of the program.
fn pass_on(level: Level, own: &Own, mut draft: Draft) {
    let context = complete(&STATE.load(), own, &mut draft, Context::try_get());
    let fields = line::pairs(&context, &draft.fields);
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_value()));
    let fields = Value::Map(fields.collect());
    subscriber::pass_on(level, draft.target(), draft.message(), &fields);
}

/// Answers the fields of the Context, and hides the secrets in them and in the draft.
fn complete(state: &State, own: &Own, draft: &mut Draft, context: Option<Context>) -> Fields {
    let mut context = context.map_or_else(Fields::default, |it| {
        own.context_fields(&it, &state.context_fields)
    });
    secrets::clean(draft, &mut context);
    context
}

#[cfg(test)]
mod tests;
