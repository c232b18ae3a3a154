//! One record, and who is given it.

use std::fmt;

use super::{Fields, Format, Level, line};
use crate::clock::UnixMicros;

/// One record. Its texts hold no secret that is known.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// How severe it is.
    pub level: Level,
    /// Whose it is, such as `aikit.components.models`.
    pub target: &'a str,
    /// How whoever made it wants its line to look, where the writer was not told.
    pub format: Option<Format>,
    /// What is said.
    pub message: &'a str,
    /// Fields of the Context.
    pub context: &'a Fields,
    /// Fields of its own; they go before those of the Context, and have none of the names that tell
    /// whose a record is.
    pub fields: &'a Fields,
    /// The source file, where it is known.
    pub file: Option<&'a str>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// When it was made.
    pub time: UnixMicros,
}

impl Record<'_> {
    /// The message with the record's own fields: `loaded rows=3`.
    pub fn to_text(&self) -> String {
        line::said(self.message, self.fields)
    }
}

/// Takes records. It must not log itself.
pub trait Sink: fmt::Debug + Send + Sync {
    /// The number of the least severe level that it wants; above 50 for none.
    fn threshold(&self) -> u8;

    /// Takes a record.
    fn write(&self, record: &Record<'_>);
}
