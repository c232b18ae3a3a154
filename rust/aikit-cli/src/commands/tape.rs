//! `--record FILE` and `--replay FILE` of the commands that run something.

use std::path::PathBuf;

use aikit_components::{models::cassette::Mode, registry::Components};
use aikit_core::Result;
use clap::Args;

#[derive(Args, Clone, Debug, Default)]
pub(super) struct TapeArgs {
    /// Records what models and tools answer; the file is written when the run succeeds
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answers models and tools from a recorded file: no network, no key
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

/// Does `work` with the cassette that the options name.
///
/// # Errors
///
/// Those of the work and of the cassette.
pub(super) fn within<T>(
    components: &Components,
    args: &TapeArgs,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (path, mode) = match (&args.record, &args.replay) {
        (Some(path), _) => (path, Mode::Record),
        (None, Some(path)) => (path, Mode::Replay),
        (None, None) => return work(),
    };
    components.deck.insert(path, mode, true)?;
    let outcome = work();
    let ended = components.deck.eject(outcome.is_ok());
    let answer = outcome?;
    ended?;
    Ok(answer)
}
