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
mod mode;
mod playing;
mod request;
mod scrub;
mod secret_forms;
mod secret_text;
mod taped;
mod wildcard;

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
    logger,
    tape::{self, Beginning, Tape, TapeCall},
};

pub use self::{
    clock::DeckClock,
    mode::{Begun, Mode, Report},
};
use self::{
    file::{Entry, Header, Key},
    miss::Miss,
    playing::{Doing, Found, Playing, Recorded, Replaying, Room},
    scrub::{HIDDEN, Scrubber, is_secret_name},
};
pub(crate) use self::{
    form::{Form, RESPONSE, VECTORS, events},
    request::{chat, embedding, tool},
    scrub::is_secret_variable,
    taped::{Recording, taped},
};
use crate::security::place;

/// What is known of the forms and the names of secrets.
pub(crate) const SCRUBBER: logger::Scrubber = logger::Scrubber {
    may_hold: secret_forms::may_hold,
    hide: hide_secrets,
};

/// A text without what looks like a secret, by its form or by the name of its field (empty for
/// none); `None` when nothing does.
fn hide_secrets(name: &str, text: &str) -> Option<String> {
    if !name.is_empty() && is_secret_name(name) {
        return Some(HIDDEN.to_owned());
    }
    if !secret_forms::may_hold(text) {
        return None;
    }
    let hidden = secret_text::hide(text.to_owned());
    (hidden != text).then_some(hidden)
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
    /// Begins with the cassette `path`; answers which one it is and whether it records or replays.
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
    pub fn insert(&self, path: &Path, mode: Mode, strict: bool) -> Result<Begun> {
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
            let mut playing = Playing::new(path, header, Doing::Recording(recorded));
            playing.folder = file::folder(path);
            playing
        };
        let mut slot = self.lock();
        slot.as_ref().map_or(Ok(()), refuse_second)?;
        let number = self.inserted.fetch_add(1, Ordering::Relaxed) + 1;
        playing.number = number;
        *slot = Some(playing);
        let mode = if replays { Mode::Replay } else { Mode::Record };
        Ok(Begun { number, mode })
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
        self.take_out(None, keep)
    }

    /// As [`Deck::eject`], only the cassette `number`: another one stays in.
    ///
    /// # Errors
    ///
    /// As of [`Deck::eject`]; `invalid_args` when that one is out.
    pub fn eject_only(&self, number: u64, keep: bool) -> Result<Report> {
        self.take_out(Some(number), keep)
    }

    /// As [`Deck::eject_to`], only the cassette `number`.
    ///
    /// # Errors
    ///
    /// As of [`Deck::eject_to`]; `invalid_args` when that one is out.
    pub fn eject_only_to(&self, number: u64, path: &Path) -> Result<Report> {
        self.write_and_eject(Some(number), Some(path))
    }

    /// Whether the cassette `number` is in.
    pub fn holds(&self, number: u64) -> bool {
        self.lock().as_ref().is_some_and(|it| it.number == number)
    }

    fn take_out(&self, number: Option<u64>, keep: bool) -> Result<Report> {
        if keep {
            return self.write_and_eject(number, None);
        }
        let mut slot = self.lock();
        refuse_ending(which(&mut slot, number)?)?;
        let ended = self.take(slot)?;
        let entries = ended.entries();
        Ok(ended.report(entries))
    }

    /// What is in, which is out now; what was typed for it is forgotten with it.
    fn take(&self, mut slot: MutexGuard<'_, Option<Playing>>) -> Result<Playing> {
        let ended = slot.take().ok_or_else(none_is_in)?;
        self.scrubber.forget_typed();
        Ok(ended)
    }

    /// Takes the cassette out and writes what was recorded to `path` instead of its own place.
    ///
    /// # Errors
    ///
    /// As of [`Deck::eject`] and of [`Deck::insert`]; `invalid_args` for a replay, which writes
    /// nothing.
    pub fn eject_to(&self, path: &Path) -> Result<Report> {
        self.write_and_eject(None, Some(path))
    }

    fn write_and_eject(&self, number: Option<u64>, place: Option<&Path>) -> Result<Report> {
        if let Some(ending) = self.begin_ending(number, place)? {
            return self.write_ending(&ending);
        }
        let mut slot = self.lock();
        which(&mut slot, number)?;
        let ended = self.take(slot)?;
        let entries = ended.entries();
        Ok(ended.report(entries))
    }

    /// What is to be written; `None` for a replay, which writes nothing.
    fn begin_ending(&self, number: Option<u64>, place: Option<&Path>) -> Result<Option<Ending>> {
        let mut slot = self.lock();
        let playing = which(&mut slot, number)?;
        refuse_ending(playing)?;
        let Some(recorded) = playing.recorded() else {
            if place.is_some() {
                let message = "a replay is in, which writes no file";
                return Err(Error::invalid_args(message).with_hint("end it without a path"));
            }
            return Ok(None);
        };
        let lines = recorded.lines.clone();
        playing.is_ending = true;
        Ok(Some(Ending {
            path: place.unwrap_or(&playing.path).to_owned(),
            folder: playing.folder.clone().filter(|_| place.is_none()),
            header: playing.header.clone(),
            lines,
        }))
    }

    fn write_ending(&self, ending: &Ending) -> Result<Report> {
        let written = ending.write();
        let mut slot = self.lock();
        match written {
            Ok(()) => {
                let mut ended = self.take(slot)?;
                ended.path.clone_from(&ending.path);
                ended.refuse_loss()?;
                Ok(ended.report(ending.lines.len()))
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

    /// The outcome of a call that was recorded with something hidden in it that nobody knows now.
    fn find_hidden(&self, number: u64, miss: &Miss, call: &TapeCall) -> Option<Value> {
        miss.hidden(call).into_iter().find_map(|place| {
            let mut slot = self.lock();
            let playing = slot.as_mut().filter(|it| it.number == number)?;
            match &mut playing.doing {
                Doing::Replaying(replaying) => replaying.give_found(place),
                Doing::Recording(_) => None,
            }
        })
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

/// A recording that is being written.
struct Ending {
    path: PathBuf,
    /// Its folder, where the place is that which was looked at in the beginning.
    folder: Option<PathBuf>,
    header: Header,
    lines: Vec<Arc<str>>,
}

impl Ending {
    /// Writes the file, unless its folder leads to another place than in the beginning, where
    /// nobody has looked whether it may be written.
    fn write(&self) -> Result<()> {
        place::refuse_reserved(&self.path)?;
        if let Some(folder) = &self.folder
            && file::folder(&self.path).is_some_and(|it| it != *folder)
        {
            let message = format!(
                "the folder of `{}` leads elsewhere than when it was begun",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::Denied, message));
        }
        file::write(&self.path, &self.header, &self.lines)
    }
}

fn none_is_in() -> Error {
    Error::invalid_args("no cassette is in").with_hint("begin with `record` or `replay`")
}

/// What is in, where it is the one of a number.
fn which(slot: &mut Option<Playing>, number: Option<u64>) -> Result<&mut Playing> {
    let is_it = |it: &&mut Playing| number.is_none_or(|number| it.number == number);
    slot.as_mut().filter(is_it).ok_or_else(|| match number {
        Some(_) => {
            Error::invalid_args("the cassette is out already").with_hint("end a cassette once")
        }
        None => none_is_in(),
    })
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
        let (mode, unused, late) = match &self.doing {
            Doing::Recording(recorded) => (Mode::Record, 0, recorded.lines.len() - entries),
            Doing::Replaying(replaying) => (Mode::Replay, replaying.unused(), 0),
        };
        Report {
            path: self.path,
            mode,
            entries,
            unused,
            late,
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

    fn find(&self, call: &TapeCall) -> Result<tape::Found> {
        let call = self.scrubber.call(call.clone());
        let key = Key::of(call.kind, &call.request);
        let (number, found) = match &mut *self.lock() {
            Some(playing) => (playing.number, playing.find(call.kind, &key)?),
            None => (0, Found::Nothing),
        };
        match found {
            Found::Outcome(outcome) => Ok(tape::Found::Recorded(outcome)),
            Found::Nothing => Ok(tape::Found::Missing(number)),
            Found::Miss(miss) => match self.find_hidden(number, &miss, &call) {
                Some(outcome) => Ok(tape::Found::Recorded(outcome)),
                None if miss.strict => Err(miss.error(&call)),
                None => Ok(tape::Found::Missing(number)),
            },
        }
    }

    fn keep(&self, number: u64, call: TapeCall, outcome: Value) {
        if self
            .lock()
            .as_mut()
            .and_then(|it| it.recording(number))
            .is_none()
        {
            return;
        }
        let outcome = match call.kind {
            "chat" => form::scrubbed(outcome, &self.scrubber),
            _ => self.scrubber.value(outcome),
        };
        let call = self.scrubber.call(call);
        let line = Arc::from(Entry::line(&call, &outcome));
        let mut slot = self.lock();
        if let Some(recorded) = slot.as_mut().and_then(|it| it.recording(number)) {
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
mod tests;
