//! Tools that read files, through the path guard.

mod read_file;
mod search_files;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<read_file::ReadFile>,
    built_in::<search_files::SearchFiles>,
];
