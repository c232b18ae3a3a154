//! The command line: parses the arguments, runs one command, turns an error into an exit status.

mod commands;
mod editor;
mod interpreter;
mod session;
mod stdin;
mod terminal;

use std::time::Duration;

use aikit_components::event_log;
use aikit_core::telemetry;
use clap::Parser as _;

pub use crate::{interpreter::Interpreter, session::check_profile};

use crate::commands::Cli;

/// How long the end of a command waits for the spans that are not sent yet.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(3);

/// Runs one command; `argv` begins with the program's name. `interpreter` is what runs it, where
/// that is Python.
///
/// Answers the exit status: 0 or what a script chose, 2 for a wrong command line, else the one of the error's kind.
pub fn run(argv: impl IntoIterator<Item = String>, interpreter: Option<&Interpreter>) -> u8 {
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => return terminal::show_usage(&error),
    };
    let status = match commands::run(cli, interpreter) {
        Ok(status) => status,
        Err(error) => terminal::show_error(&error),
    };
    event_log::settle();
    telemetry::flush(FLUSH_TIME_MAX);
    status
}
