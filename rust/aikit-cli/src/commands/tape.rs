//! `--record FILE` and `--replay FILE` of the commands that run something.

use std::path::{Path, PathBuf};

use aikit_components::{
    models::cassette::{Deck, Mode},
    registry::Components,
};
use aikit_core::{
    Error, Result,
    clock::{Clock as _, SystemClock},
};
use clap::{ArgAction, Args};

#[derive(Args, Clone, Debug, Default)]
pub(super) struct TapeArgs {
    /// Records what models and tools answer; the file is written when the run succeeds
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answers models, tools that touch the outside and questions from a recorded file: no key
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Whether a call that was not recorded is an error, the default, or made for real
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, requires = "replay")]
    strict: Option<bool>,
}

/// Does `work` with the cassette that the options name; answers how the work ended. What was
/// recorded is written when the work `succeeds`, and forgotten otherwise.
///
/// # Errors
///
/// Those of the cassette, where the work succeeded.
pub(super) fn within<T>(
    components: &Components,
    args: &TapeArgs,
    work: impl FnOnce() -> Result<T>,
    succeeds: impl FnOnce(&Result<T>) -> bool,
) -> Result<Result<T>> {
    let (path, mode) = match (&args.record, &args.replay) {
        (Some(path), _) => (path, Mode::Record),
        (None, Some(path)) => (path, Mode::Replay),
        (None, None) => return Ok(work()),
    };
    let deck = &components.deck;
    // The folder of the program may change while it runs.
    let begun = deck.insert(
        &std::path::absolute(path)?,
        mode,
        args.strict.unwrap_or(true),
    )?;
    let outcome = work();
    let is_kept = succeeds(&outcome);
    let ended = end(deck, begun.number, path, is_kept);
    if is_kept {
        ended?;
    }
    Ok(outcome)
}

/// Takes the cassette out. The program ends after this, so a recording that cannot be written to
/// its place is saved where temporary files are.
fn end(deck: &Deck, number: u64, path: &Path, keep: bool) -> Result<()> {
    // The run may have taken it out by itself, and put in another one.
    if !deck.holds(number) {
        return Ok(());
    }
    let Err(error) = deck.eject_only(number, keep) else {
        return Ok(());
    };
    let saved = std::env::temp_dir()
        .join(format!("aikit-{}", SystemClock.uuid().simple()))
        .join(path.file_name().unwrap_or_default());
    // One that was full is written and out.
    if !deck.holds(number) || deck.eject_to(&saved).is_err() {
        return Err(error);
    }
    let hint = format!("it was saved as `{}`: move it", saved.display());
    Err(Error::new(error.kind(), error.message()).with_hint(hint))
}
