//! The terminal: the only place of the command line that prints.

use std::io::{self, Write as _};

use aikit_core::Error;

/// Prints a line on standard output. A reader that went away is not an error of the command.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints an error with its traceback and hint on standard error; answers the exit status.
pub(crate) fn show_error(error: &Error) -> u8 {
    let mut out = io::stderr().lock();
    drop(writeln!(out, "error: {}", error.message()));
    for frame in error.traceback() {
        drop(writeln!(out, "  {frame}"));
    }
    if let Some(hint) = error.hint() {
        drop(writeln!(out, "hint: {hint}"));
    }
    error.kind().exit_status()
}

/// Prints what clap has to say: help on standard output, a wrong command line on standard error.
pub(crate) fn show_usage(error: &clap::Error) -> u8 {
    drop(error.print());
    u8::try_from(error.exit_code()).unwrap_or(2)
}
