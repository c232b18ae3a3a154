//! Cassettes: what models and tools answered, recorded in a file and given again without a network.
//!
//! A session has one [`Deck`]. While a cassette is in it, every call of a model, every embedding
//! and every call of a tool that touches the outside is recorded, or answered from the file. The
//! clock stands still at the time of the recording, and randomness follows from its seed.

mod clock;
mod file;
mod form;
mod miss;
mod request;
mod scrub;
mod taped;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock},
    tape::{Tape, TapeCall},
};

pub use self::clock::DeckClock;
use self::{
    file::{Entry, Header, Key},
    miss::Miss,
    scrub::Scrubber,
};
pub(crate) use self::{
    form::{Form, RESPONSE, VECTORS, events},
    request::{chat, embedding, tool},
    scrub::is_secret_name,
    taped::{Recording, taped},
};
use crate::{nearest, security::place};

/// Most answers in one cassette.
const ENTRIES_MAX: usize = 100_000;

/// What is done with a cassette.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Calls are made, and the file is written anew.
    Record,
    /// Calls are answered from the file.
    Replay,
    /// Replays when the file is there, else records.
    Auto,
}

impl Mode {
    /// Reads a mode by its name.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another name, with the nearest one.
    pub fn parse(name: &str) -> Result<Self> {
        let known = [
            ("record", Self::Record),
            ("replay", Self::Replay),
            ("auto", Self::Auto),
        ];
        let found = known.iter().find(|(known, _)| *known == name);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let names = known.iter().map(|(name, _)| *name);
            let hint = nearest::hint(name, names, "the modes are `record`, `replay` and `auto`");
            Error::invalid_args(format!("a cassette has no mode `{name}`")).with_hint(hint)
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Replay => "replay",
            Self::Auto => "auto",
        }
    }
}

/// What a cassette did until it was taken out.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// [`Mode::Record`] or [`Mode::Replay`].
    pub mode: Mode,
    /// Answers in the file.
    pub entries: usize,
    /// Answers that were recorded, or that nobody asked for.
    pub unused: usize,
}

impl Report {
    /// The report as data: `path`, `mode`, `entries`, `unused`.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("path", Value::from(self.path.display().to_string())),
            ("mode", Value::from(self.mode.name())),
            ("entries", Value::from(self.entries)),
            ("unused", Value::from(self.unused)),
        ])
    }
}

/// The place for one cassette of a session.
#[derive(Debug, Default)]
pub struct Deck {
    playing: Mutex<Option<Playing>>,
    /// Held while a cassette is put in or taken out: files are read and written without the other
    /// lock, which every look at the clock takes.
    changing: Mutex<()>,
    scrubber: Scrubber,
}

#[derive(Debug)]
struct Playing {
    path: PathBuf,
    header: Header,
    entries: Vec<Arc<Entry>>,
    doing: Doing,
    /// The process that put it in; one that is forked off writes no file.
    pid: u32,
    /// How many numbers were drawn from the seed.
    drawn: u64,
}

#[derive(Debug)]
enum Doing {
    Recording,
    Replaying {
        strict: bool,
        /// Which entries were given.
        given: Vec<bool>,
    },
}

impl Deck {
    /// Begins with the cassette `path`; answers whether it records or replays.
    ///
    /// With `strict`, a call that was not recorded, or not so often, is an error; without, it is
    /// made for real. Only a replay reads `strict`.
    ///
    /// # Errors
    ///
    /// `conflict` while another cassette is in, `not_found` for a file that is not there,
    /// `version_mismatch` for one of a newer version, `corrupt_record` for one that is damaged.
    /// Of a recording: `invalid_args` where another file than a cassette is, `denied` in the store
    /// of a project and in what belongs to git, `io`, `denied` or `no_space` where none can be
    /// written.
    pub fn insert(&self, path: &Path, mode: Mode, strict: bool) -> Result<Mode> {
        let _changing = self.change();
        if let Some(other) = &*self.lock() {
            let message = format!("the cassette `{}` is in already", other.path.display());
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_hint("stop it before another one begins"));
        }
        let replays = match mode {
            Mode::Record => false,
            Mode::Replay => true,
            Mode::Auto => path.exists(),
        };
        let playing = if replays {
            let (header, entries) = file::read(path)?;
            let given = vec![false; entries.len()];
            Playing::new(path, header, entries, Doing::Replaying { strict, given })
        } else {
            place::refuse_reserved(path)?;
            file::try_place(path)?;
            let header = Header::begin(&SystemClock);
            Playing::new(path, header, Vec::new(), Doing::Recording)
        };
        *self.lock() = Some(playing);
        Ok(if replays { Mode::Replay } else { Mode::Record })
    }

    /// Takes the cassette out. A recording is written, whole or not at all; with `keep` false it
    /// is forgotten and the file stays as it was. A recording that cannot be written stays in, so
    /// that this can be tried again.
    ///
    /// # Errors
    ///
    /// `invalid_args` when there is none, `io` or `no_space` when it cannot be written.
    pub fn eject(&self, keep: bool) -> Result<Report> {
        let _changing = self.change();
        let Some(playing) = self.lock().take() else {
            return Err(Error::invalid_args("no cassette is in")
                .with_hint("begin with `Replay.record` or `Replay.replay`"));
        };
        let entries = playing.entries.len();
        let (mode, unused) = match &playing.doing {
            Doing::Recording => {
                if keep
                    && let Err(error) =
                        file::write(&playing.path, &playing.header, &playing.entries)
                {
                    *self.lock() = Some(playing);
                    let hint = error.hint().unwrap_or_default();
                    let hint = format!("{hint}; then stop again, nothing is lost yet");
                    return Err(Error::new(error.kind(), error.message()).with_hint(hint));
                }
                (Mode::Record, 0)
            }
            Doing::Replaying { given, .. } => {
                (Mode::Replay, given.iter().filter(|it| !**it).count())
            }
        };
        Ok(Report {
            path: playing.path,
            mode,
            entries,
            unused,
        })
    }

    /// Whether calls are answered from a file, so that no key is needed.
    pub fn is_replaying(&self) -> bool {
        let slot = self.lock();
        slot.as_ref()
            .is_some_and(|it| matches!(it.doing, Doing::Replaying { .. }))
    }

    /// Remembers a value that no file may show.
    pub fn hide(&self, secret: &str) {
        self.scrubber.hide(secret);
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Playing>> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that ends keeps what was recorded.
impl Drop for Deck {
    fn drop(&mut self) {
        let is_own = |playing: &Playing| playing.pid == std::process::id();
        if self.lock().as_ref().is_some_and(is_own)
            && let Err(error) = self.eject(true)
        {
            tracing::warn!(%error, "a cassette was not written");
        }
    }
}

impl Playing {
    fn new(path: &Path, header: Header, entries: Vec<Arc<Entry>>, doing: Doing) -> Self {
        Self {
            path: path.to_owned(),
            header,
            entries,
            doing,
            pid: std::process::id(),
            drawn: 0,
        }
    }

    /// Answers that were recorded for the call with `key`, in the order of the recording; those
    /// that are not yet given first.
    fn find(&mut self, kind: &str, key: &Key) -> Result<Found> {
        let Doing::Replaying { strict, given } = &mut self.doing else {
            if self.entries.len() < ENTRIES_MAX {
                return Ok(Found::Nothing);
            }
            let path = self.path.display();
            let message = format!("the cassette `{path}` is full: it has {ENTRIES_MAX} calls");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("stop it and record the rest in another one"));
        };
        let mut last = None;
        for (index, entry) in Entry::of(key, &self.entries) {
            if !given[index] {
                given[index] = true;
                return Ok(Found::Outcome(entry.outcome.clone()));
            }
            last = Some(entry);
        }
        Ok(match (last, *strict) {
            (Some(entry), false) => Found::Outcome(entry.outcome.clone()),
            (None, false) => Found::Nothing,
            (_, true) => Found::Miss(Miss::new(&self.path, (kind, key), &self.entries, given)),
        })
    }
}

/// What a cassette has for a call.
enum Found {
    Outcome(Value),
    Nothing,
    Miss(Miss),
}

impl Tape for Deck {
    fn is_running(&self) -> bool {
        self.lock().is_some()
    }

    fn find(&self, call: &TapeCall) -> Result<Option<Value>> {
        let call = self.scrubber.call(call.clone());
        let key = Key::of(call.kind, &call.request);
        // What takes long is done without the lock.
        let found = match &mut *self.lock() {
            Some(playing) => playing.find(call.kind, &key)?,
            None => Found::Nothing,
        };
        match found {
            Found::Outcome(outcome) => Ok(Some(outcome)),
            Found::Nothing => Ok(None),
            Found::Miss(miss) => Err(miss.error(&call)),
        }
    }

    fn keep(&self, call: TapeCall, outcome: Value) {
        let is_recording = |it: &Playing| matches!(it.doing, Doing::Recording);
        if !self.lock().as_ref().is_some_and(is_recording) {
            return;
        }
        let call = self.scrubber.call(call);
        let outcome = self.scrubber.value(outcome);
        let entry = Arc::new(Entry::new(call, outcome));
        if let Some(playing) = self.lock().as_mut().filter(|it| is_recording(it)) {
            playing.entries.push(entry);
        }
    }

    fn hide(&self, secret: &str) {
        self.scrubber.hide(secret);
    }
}

/// Time and randomness of the cassette that is in `deck`.
pub(crate) fn clock(deck: &Arc<Deck>) -> Arc<dyn Clock> {
    Arc::new(DeckClock::new(Arc::clone(deck), Arc::new(SystemClock)))
}
