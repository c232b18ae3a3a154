//! Tools that read, write and list files.

mod delete_file;
mod edit_file;
mod list_directory;
mod read_file;
mod search_files;
mod write_file;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<read_file::ReadFile>,
    built_in::<write_file::WriteFile>,
    built_in::<edit_file::EditFile>,
    built_in::<delete_file::DeleteFile>,
    built_in::<list_directory::ListDirectory>,
    built_in::<search_files::SearchFiles>,
];
