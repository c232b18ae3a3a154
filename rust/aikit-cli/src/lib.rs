//! The command line: parses the arguments, runs one command, turns an error into an exit status.

mod commands;
mod editor;
mod session;
mod stdin;
mod terminal;

use clap::Parser as _;

pub use crate::session::check_profile;

use crate::commands::Cli;

/// Runs one command; `argv` begins with the program's name.
///
/// Answers the exit status: 0 or what a script chose, 2 for a wrong command line, else the one of the error's kind.
pub fn run(argv: impl IntoIterator<Item = String>) -> u8 {
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => return terminal::show_usage(&error),
    };
    match commands::run(cli) {
        Ok(status) => status,
        Err(error) => terminal::show_error(&error),
    }
}
