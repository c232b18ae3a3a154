//! The command line: parses the arguments, runs one command, turns an error into an exit status.

mod commands;
mod editor;
mod interpreter;
mod session;
mod stdin;
mod terminal;

use std::time::Duration;

use aikit_components::event_log;
use aikit_core::{
    clock::{Clock as _, SystemClock},
    telemetry,
};
use clap::Parser as _;

pub use crate::{interpreter::Interpreter, session::check_profile};

use crate::commands::{Cli, Ended};

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
    let ended = match commands::run(cli, interpreter) {
        Ok(ended) => ended,
        Err(error) => Ended::from(terminal::show_error(&error)),
    };
    settle(ended.time_left);
    ended.status
}

/// Waits for what is still on its way, where somebody waits for the end no longer than `time_left`.
fn settle(time_left: Option<Duration>) {
    let deadline = time_left.map(|it| SystemClock.monotonic() + it);
    let within = |most: Duration| {
        let left = |at: Duration| at.saturating_sub(SystemClock.monotonic());
        deadline.map_or(most, |at| most.min(left(at)))
    };
    event_log::settle_within(within(event_log::SETTLE_LIMIT));
    telemetry::flush(within(FLUSH_TIME_MAX));
}
