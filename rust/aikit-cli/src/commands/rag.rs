//! `aikit rag ask`: retrieval without a notebook.

mod ask;

use aikit_core::Result;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(super) struct RagArgs {
    #[command(subcommand)]
    command: RagCommand,
}

#[derive(Debug, Subcommand)]
enum RagCommand {
    /// Answers a question from an index, with citations that were looked up
    Ask(ask::AskArgs),
}

/// Runs the command.
///
/// # Errors
///
/// Those of the index, the embedder and the model.
pub(super) fn run(args: RagArgs) -> Result<()> {
    match args.command {
        RagCommand::Ask(args) => ask::run(args),
    }
}
