//! The command `aikit` without Python; the wheel's command is `aikit.__main__`.

use std::process::ExitCode;

fn main() -> ExitCode {
    aikit_cli::run(std::env::args(), None).into()
}
