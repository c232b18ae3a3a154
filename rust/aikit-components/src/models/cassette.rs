//! Cassettes: what models and tools answered, recorded in a file and given again without asking.
//!
//! A session has one [`Deck`]. While a cassette is in it, every call of a model, every embedding of
//! a provider and every call of a tool that touches the outside or asks a person is recorded, or
//! answered from the file; anything else runs. The clock stands still at the time of the recording,
//! and randomness follows from its seed.

mod clock;
mod file;
mod form;
mod miss;
mod playing;
mod request;
mod scrub;
mod secret_text;
mod taped;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock},
    tape::{Beginning, Tape, TapeCall},
};

pub use self::clock::DeckClock;
use self::{
    file::{Entry, Header, Key},
    playing::{Doing, Found, Playing, Recorded, Replaying, Room},
    scrub::Scrubber,
};
pub(crate) use self::{
    form::{Form, RESPONSE, VECTORS, events},
    request::{chat, embedding, tool},
    scrub::is_secret_variable,
    taped::{Recording, taped},
};
use crate::{nearest, security::place};

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
    /// Held for moments only: every look at the clock takes it. Files are read and written, and
    /// what is nearest to a call is looked for, without it.
    playing: Mutex<Option<Playing>>,
    /// How many cassettes were put in.
    inserted: AtomicU64,
    scrubber: Scrubber,
    room: Room,
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
        self.lock().as_ref().map_or(Ok(()), refuse_second)?;
        let replays = match mode {
            Mode::Record => false,
            Mode::Replay => true,
            Mode::Auto => path.exists(),
        };
        let mut playing = if replays {
            let (header, entries) = file::read(path, &self.scrubber)?;
            let replaying = Replaying::new(entries, strict);
            Playing::new(path, header, Doing::Replaying(replaying))
        } else {
            place::refuse_reserved(path)?;
            file::try_place(path)?;
            let recorded = Recorded::new(self.room);
            let header = Header::begin(&SystemClock);
            Playing::new(path, header, Doing::Recording(recorded))
        };
        let mut slot = self.lock();
        slot.as_ref().map_or(Ok(()), refuse_second)?;
        playing.number = self.inserted.fetch_add(1, Ordering::Relaxed) + 1;
        *slot = Some(playing);
        Ok(if replays { Mode::Replay } else { Mode::Record })
    }

    /// Takes the cassette out. A recording is written, whole or not at all; with `keep` false it
    /// is forgotten and the file stays as it was. A recording that cannot be written stays in, so
    /// that this can be tried again, or with another place.
    ///
    /// # Errors
    ///
    /// `invalid_args` when there is none, `io`, `denied` or `no_space` when it cannot be written,
    /// `conflict` while it is being written. `limit_exceeded` when it had no room for some calls
    /// that were made: what it holds is written, and it is out.
    pub fn eject(&self, keep: bool) -> Result<Report> {
        if keep {
            return self.write_and_eject(None);
        }
        let mut slot = self.lock();
        let Some(playing) = &*slot else {
            return Err(none_is_in());
        };
        refuse_ending(playing)?;
        let ended = slot.take().ok_or_else(none_is_in)?;
        drop(slot);
        let entries = ended.entries();
        Ok(ended.report(entries))
    }

    /// Takes the cassette out and writes what was recorded to `path` instead of its own place.
    ///
    /// # Errors
    ///
    /// As of [`Deck::eject`] and of [`Deck::insert`]; `invalid_args` for a replay, which writes
    /// nothing.
    pub fn eject_to(&self, path: &Path) -> Result<Report> {
        self.write_and_eject(Some(path))
    }

    fn write_and_eject(&self, place: Option<&Path>) -> Result<Report> {
        let (path, header, lines) = {
            let mut slot = self.lock();
            let playing = slot.as_mut().ok_or_else(none_is_in)?;
            refuse_ending(playing)?;
            let Some(recorded) = playing.recorded() else {
                if place.is_some() {
                    let message = "a replay is in, which writes no file";
                    return Err(Error::invalid_args(message).with_hint("end it without a path"));
                }
                let ended = slot.take().ok_or_else(none_is_in)?;
                drop(slot);
                let entries = ended.entries();
                return Ok(ended.report(entries));
            };
            let lines = recorded.lines.clone();
            let path = place.unwrap_or(&playing.path).to_owned();
            playing.is_ending = true;
            (path, playing.header.clone(), lines)
        };
        let written =
            place::refuse_reserved(&path).and_then(|()| file::write(&path, &header, &lines));
        let mut slot = self.lock();
        match written {
            Ok(()) => {
                let mut ended = slot.take().ok_or_else(none_is_in)?;
                drop(slot);
                ended.path = path;
                ended.refuse_loss()?;
                Ok(ended.report(lines.len()))
            }
            Err(error) => {
                if let Some(playing) = &mut *slot {
                    playing.is_ending = false;
                }
                let hint = "the recording is still in: end it again when that is mended, or with \
                            another `path`";
                Err(Error::new(error.kind(), error.message()).with_hint(hint))
            }
        }
    }

    /// Whether calls are answered from a file, so that no key is needed.
    pub fn is_replaying(&self) -> bool {
        let slot = self.lock();
        slot.as_ref()
            .is_some_and(|it| matches!(it.doing, Doing::Replaying(_)))
    }

    /// Remembers a value that no file may show.
    pub fn hide(&self, secret: &str) {
        self.scrubber.hide(secret);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Playing>> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none_is_in() -> Error {
    Error::invalid_args("no cassette is in").with_hint("begin with `record` or `replay`")
}

fn refuse_second(playing: &Playing) -> Result<()> {
    let message = format!("the cassette `{}` is in already", playing.path.display());
    Err(Error::new(ErrorKind::Conflict, message).with_hint("end it before another one begins"))
}

fn refuse_ending(playing: &Playing) -> Result<()> {
    if !playing.is_ending {
        return Ok(());
    }
    let message = format!("the cassette `{}` is being written", playing.path.display());
    Err(Error::new(ErrorKind::Conflict, message).with_hint("wait until it is out"))
}

impl Playing {
    fn entries(&self) -> usize {
        match &self.doing {
            Doing::Recording(recorded) => recorded.lines.len(),
            Doing::Replaying(replaying) => replaying.entries.len(),
        }
    }

    /// Fails for a recording that had no room for some calls.
    fn refuse_loss(&mut self) -> Result<()> {
        let lost = self.recorded().map_or(0, |it| it.lost);
        if lost == 0 {
            return Ok(());
        }
        let calls = if lost == 1 { "call is" } else { "calls are" };
        let message = format!(
            "the cassette `{}` was full: {lost} {calls} not in it",
            self.path.display()
        );
        Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("what it holds is written; record the rest in another one"))
    }

    fn report(self, entries: usize) -> Report {
        let (mode, unused) = match &self.doing {
            Doing::Recording(_) => (Mode::Record, 0),
            Doing::Replaying(replaying) => (Mode::Replay, replaying.unused()),
        };
        Report {
            path: self.path,
            mode,
            entries,
            unused,
        }
    }
}

/// A session that ends keeps what was recorded.
impl Drop for Deck {
    fn drop(&mut self) {
        let is_own = |playing: &Playing| playing.pid == std::process::id();
        if self.lock().as_ref().is_some_and(is_own)
            && let Err(error) = self.eject(true)
        {
            tracing::warn!(%error, "a cassette was not written whole");
        }
    }
}

impl Tape for Deck {
    fn is_running(&self) -> bool {
        self.lock().is_some()
    }

    fn find(&self, call: &TapeCall) -> Result<Option<Value>> {
        let call = self.scrubber.call(call.clone());
        let key = Key::of(call.kind, &call.request);
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
        let records = |it: &mut Playing| it.recorded().is_some();
        if !self.lock().as_mut().is_some_and(records) {
            return;
        }
        let call = self.scrubber.call(call);
        let outcome = self.scrubber.value(outcome);
        let line = Arc::from(Entry::line(&call, &outcome));
        let mut slot = self.lock();
        if let Some(recorded) = slot.as_mut().and_then(Playing::recorded) {
            recorded.push(line);
        }
    }

    fn beginning(&self) -> Option<Beginning> {
        let slot = self.lock();
        let playing = slot.as_ref()?;
        let mut stream = blake3::Hasher::new_keyed(&playing.header.seed);
        stream.update(b"beginning");
        let mut seed = [0; 16];
        stream.finalize_xof().fill(&mut seed);
        let number = playing.number;
        Some(Beginning { number, seed })
    }

    fn hide(&self, secret: &str) {
        self.scrubber.hide_typed(secret);
    }
}

/// Time and randomness of the cassette that is in `deck`.
pub(crate) fn clock(deck: &Arc<Deck>) -> Arc<dyn Clock> {
    Arc::new(DeckClock::new(Arc::clone(deck), Arc::new(SystemClock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: i64) -> TapeCall {
        TapeCall {
            kind: "tool",
            request: Value::Int(number),
        }
    }

    fn answer(text: &str) -> Value {
        Value::map([("answer", Value::from(text))])
    }

    #[test]
    fn a_full_cassette_is_an_error_and_what_it_holds_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.cassette");
        let mut deck = Deck::default();
        for (entries, bytes) in [(2, 10_000), (100, 120)] {
            deck.room = Room { entries, bytes };
            deck.insert(&path, Mode::Record, true).unwrap();
            for number in 0..2 {
                assert_eq!(deck.find(&call(number)).unwrap(), None);
                deck.keep(call(number), answer("a"));
            }
            // The one before whose call there was room has acted; all after it are not made, and
            // who ends the recording is told.
            deck.keep(call(2), answer(&"long".repeat(10)));
            let (found, ended) = (deck.find(&call(3)), deck.eject(true));
            assert!(ended.as_ref().is_err_and(|it| it.message().contains("1 call ")));
            for error in [found.unwrap_err(), ended.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
                assert!(error.hint().is_some_and(|it| it.contains("another one")));
            }
            deck.insert(&path, Mode::Replay, true).unwrap();
            assert_eq!(deck.find(&call(1)).unwrap(), Some(answer("a")));
            assert_eq!(deck.eject(true).unwrap().unused, 1);
        }
    }

    #[test]
    fn the_clock_can_be_read_while_a_miss_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.cassette");
        let deck = Arc::new(Deck::default());
        deck.insert(&path, Mode::Record, true).unwrap();
        deck.keep(call(1), answer("a"));
        deck.eject(true).unwrap();
        deck.insert(&path, Mode::Replay, true).unwrap();
        let key = Key::of("tool", &Value::Int(2));
        let found = deck.lock().as_mut().unwrap().find("tool", &key).unwrap();
        // All that the lock is held for is done.
        assert!(clock(&deck).now() > 0);
        let Found::Miss(miss) = found else {
            panic!("{found:?}");
        };
        assert_eq!(miss.error(&call(2)).kind(), ErrorKind::CassetteMiss);
    }

    #[test]
    fn each_cassette_begins_randomness_once_and_a_replay_as_its_recording() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.cassette");
        let deck = Deck::default();
        assert_eq!(deck.beginning(), None);
        let begun = |mode| {
            deck.insert(&path, mode, true).unwrap();
            let beginning = deck.beginning().unwrap();
            assert_eq!(deck.beginning(), Some(beginning));
            deck.eject(true).unwrap();
            beginning
        };
        let recorded = begun(Mode::Record);
        let replayed = begun(Mode::Replay);
        assert_eq!(replayed.seed, recorded.seed);
        assert_ne!(replayed.number, recorded.number);
        assert_ne!(begun(Mode::Record).seed, recorded.seed);
    }
}
