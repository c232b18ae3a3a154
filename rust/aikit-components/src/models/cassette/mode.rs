//! Whether a cassette records or replays, and what is said of one.

use std::path::PathBuf;

use aikit_core::{Error, Result, Value};

use crate::nearest;

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

/// A cassette that was put in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// Which one of its deck it is.
    pub number: u64,
    /// [`Mode::Record`] or [`Mode::Replay`].
    pub mode: Mode,
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
    /// Calls that ended while the file was written, and are not in it.
    pub late: usize,
}

impl Report {
    /// The report as data: `path`, `mode`, `entries`, `unused`, `late`.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("path", Value::from(self.path.display().to_string())),
            ("mode", Value::from(self.mode.name())),
            ("entries", Value::from(self.entries)),
            ("unused", Value::from(self.unused)),
            ("late", Value::from(self.late)),
        ])
    }
}
