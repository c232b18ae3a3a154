//! Writes records as lines to a file or a stream.

use std::{fmt, fs::File, io::Write as _, sync::Arc};

use super::{Format, Level, Record, Sink, line};

/// Takes the bytes of a line.
type Write = dyn Fn(&[u8]) + Send + Sync;

/// Where lines go. Each is one write, so that lines of several processes do not mix in a file that
/// was opened for appending. There is no lock and no buffer: nothing is lost when a process ends.
#[derive(Clone)]
pub enum Output {
    /// A file.
    File(Arc<File>),
    /// What takes the bytes of a line, such as the process's error stream.
    Function(Arc<Write>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Function(_) => "Function",
        })
    }
}

impl Output {
    /// A file, opened for appending.
    pub fn file(file: File) -> Self {
        Self::File(Arc::new(file))
    }

    // A record that cannot be written is lost; there is nobody to tell.
    fn write(&self, line: &[u8]) {
        match self {
            Self::File(file) => drop((&**file).write_all(line)),
            Self::Function(write) => write(line),
        }
    }
}

/// Writes records as lines.
pub struct Writer {
    output: Output,
    format: Option<Format>,
    level: Level,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("format", &self.format)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer of records from `level` on; a record has its own format where none is given.
    pub const fn new(output: Output, format: Option<Format>, level: Level) -> Self {
        Self {
            output,
            format,
            level,
        }
    }
}

impl Sink for Writer {
    fn threshold(&self) -> u8 {
        self.level.number()
    }

    fn write(&self, record: &Record<'_>) {
        let format = self.format.or(record.format).unwrap_or_default();
        self.output.write(line::render(record, format).as_bytes());
    }
}
