//! A cassette while it is in: what was recorded so far, or what there is to give.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{Error, ErrorKind, Result, Value};

use super::{
    file::{Entry, FILE_BYTES_MAX, Header, Key},
    miss::Miss,
    wildcard,
};

/// The cassette of a deck.
#[derive(Debug)]
pub(super) struct Playing {
    pub(super) path: PathBuf,
    /// Its folder when a recording began, links resolved.
    pub(super) folder: Option<PathBuf>,
    pub(super) header: Header,
    pub(super) doing: Doing,
    /// Which one of its deck it is.
    pub(super) number: u64,
    /// The process that put it in; one that is forked off writes no file.
    pub(super) pid: u32,
    /// How many numbers were drawn from the seed.
    pub(super) drawn: u64,
    /// Whether its file is being written.
    pub(super) is_ending: bool,
}

/// What is done with it.
#[derive(Debug)]
pub(super) enum Doing {
    Recording(Recorded),
    Replaying(Replaying),
}

impl Playing {
    pub(super) fn new(path: &Path, header: Header, doing: Doing) -> Self {
        Self {
            path: path.to_owned(),
            folder: None,
            header,
            doing,
            number: 0,
            pid: std::process::id(),
            drawn: 0,
            is_ending: false,
        }
    }

    /// What there is for the call of `kind` with `key`.
    pub(super) fn find(&mut self, kind: &str, key: &Key) -> Result<Found> {
        match &mut self.doing {
            Doing::Recording(recorded) => {
                recorded.check_room(&self.path)?;
                Ok(Found::Nothing)
            }
            Doing::Replaying(replaying) => Ok(replaying.find(&self.path, kind, key)),
        }
    }

    /// What was recorded, where this is the recording of a number.
    pub(super) fn recording(&mut self, number: u64) -> Option<&mut Recorded> {
        let is_this = self.number == number;
        self.recorded().filter(|_| is_this)
    }

    /// What was recorded, while a recording is in.
    pub(super) const fn recorded(&mut self) -> Option<&mut Recorded> {
        match &mut self.doing {
            Doing::Recording(recorded) => Some(recorded),
            Doing::Replaying(_) => None,
        }
    }
}

/// How much one cassette holds: no more than is read again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            entries: 100_000,
            // The first line has some place as well.
            bytes: FILE_BYTES_MAX - 4096,
        }
    }
}

/// What was recorded so far, as lines of the file.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) lines: Vec<Arc<str>>,
    bytes: u64,
    room: Room,
    is_full: bool,
    /// Calls that were made, and for whose outcomes there was no room.
    pub(super) lost: usize,
}

impl Recorded {
    pub(super) const fn new(room: Room) -> Self {
        Self {
            lines: Vec::new(),
            bytes: 0,
            room,
            is_full: false,
            lost: 0,
        }
    }

    /// Adds a line, where there is room for it.
    pub(super) fn push(&mut self, line: Arc<str>) {
        let bytes = self.bytes + line.len() as u64 + 1;
        self.is_full |= bytes > self.room.bytes || self.lines.len() >= self.room.entries;
        if self.is_full {
            self.lost += 1;
            return;
        }
        self.bytes = bytes;
        self.lines.push(line);
    }

    /// Said before a call is made, which could not be recorded.
    fn check_room(&self, path: &Path) -> Result<()> {
        if !self.is_full && self.lines.len() < self.room.entries {
            return Ok(());
        }
        let message = format!(
            "the cassette `{}` is full: it holds {} calls and {} bytes",
            path.display(),
            self.lines.len(),
            self.bytes
        );
        Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("end it, and record the rest in another one"))
    }
}

/// What a cassette has for a call.
#[derive(Debug)]
pub(super) enum Found {
    Outcome(Value),
    Nothing,
    Miss(Miss),
}

/// What was recorded and is given again.
#[derive(Debug)]
pub(super) struct Replaying {
    strict: bool,
    pub(super) entries: Arc<[Entry]>,
    /// Which entries were given.
    given: Vec<bool>,
    places: HashMap<Key, Places>,
    /// Entries in whose requests something is hidden.
    hiding: Arc<[usize]>,
    /// Position after the entry that was given last.
    next: usize,
}

/// Where the outcomes of one call are, in the order of the recording.
#[derive(Debug, Default)]
struct Places {
    all: Vec<usize>,
    given: usize,
}

impl Replaying {
    pub(super) fn new(entries: Vec<Entry>, strict: bool) -> Self {
        let mut places: HashMap<Key, Places> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            places.entry(entry.key).or_default().all.push(index);
        }
        let hiding = (0..entries.len()).filter(|it| wildcard::hides(&entries[*it].request));
        Self {
            strict,
            hiding: hiding.collect(),
            given: vec![false; entries.len()],
            entries: entries.into(),
            places,
            next: 0,
        }
    }

    /// The outcomes that were recorded for a call, one after the other; without `strict` the last
    /// one again and again.
    fn find(&mut self, path: &Path, kind: &str, key: &Key) -> Found {
        let places = self.places.get_mut(key);
        let made = places.as_ref().map_or(0, |it| it.all.len());
        let place = places.and_then(|it| {
            // Some were given to calls that were recorded with something hidden.
            while it.all.get(it.given).is_some_and(|place| self.given[*place]) {
                it.given += 1;
            }
            let place = it.all.get(it.given).copied();
            place.or_else(|| it.all.last().copied().filter(|_| !self.strict))
        });
        if let Some(place) = place {
            return Found::Outcome(self.give(place));
        }
        if !self.strict && self.hiding.is_empty() {
            return Found::Nothing;
        }
        Found::Miss(Miss {
            path: path.to_owned(),
            kind: kind.to_owned(),
            strict: self.strict,
            made,
            hiding: Arc::clone(&self.hiding),
            entries: Arc::clone(&self.entries),
            given: self.given.clone(),
            next: self.next,
        })
    }

    /// The outcome at a place that a [`Miss`] found, unless it was given meanwhile and is to be
    /// given once.
    pub(super) fn give_found(&mut self, place: usize) -> Option<Value> {
        (!self.strict || !self.given[place]).then(|| self.give(place))
    }

    fn give(&mut self, place: usize) -> Value {
        self.given[place] = true;
        self.next = place + 1;
        self.entries[place].outcome.clone()
    }

    /// Outcomes that nobody asked for.
    pub(super) fn unused(&self) -> usize {
        self.given.iter().filter(|it| !**it).count()
    }
}
