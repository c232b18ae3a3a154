//! `aikit rag ingest|search|ask`: retrieval without a notebook.

mod ask;
mod index;
mod ingest;
mod search;

use aikit_core::Result;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(super) struct RagArgs {
    #[command(subcommand)]
    command: RagCommand,
}

#[derive(Debug, Subcommand)]
enum RagCommand {
    /// Takes documents in; what has not changed is skipped
    Ingest(ingest::IngestArgs),
    /// Finds the chunks that fit a question best
    Search(search::SearchArgs),
    /// Answers a question with a model, and says where the answer stands
    Ask(ask::AskArgs),
}

/// Runs the command; answers the exit status.
///
/// # Errors
///
/// Those of the index and of its embedder.
pub(super) fn run(args: RagArgs) -> Result<u8> {
    match args.command {
        RagCommand::Ingest(args) => ingest::run(args),
        RagCommand::Search(args) => search::run(args).map(|()| 0),
        RagCommand::Ask(args) => ask::run(args).map(|()| 0),
    }
}
