//! The folders that a session may touch.

use std::path::PathBuf;

use aikit_core::{Error, ErrorKind, Result};

/// Resolves the folders that settings name, links and all.
///
/// # Errors
///
/// `config` when one of them is not a folder that can be read.
pub fn resolve(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let resolve = |folder: &PathBuf| {
        let resolved = folder.canonicalize().map_err(|error| {
            let message = format!(
                "the folder `{}` of the setting `roots` or `write_roots` cannot be read",
                folder.display()
            );
            Error::new(ErrorKind::Config, message)
                .with_hint("make the folder, or take it out of the list")
                .with_source(error)
        })?;
        if resolved.is_dir() {
            return Ok(resolved);
        }
        let message = format!(
            "`{}` of the setting `roots` or `write_roots` is not a folder",
            folder.display()
        );
        Err(Error::new(ErrorKind::Config, message).with_hint("list the folder that holds it"))
    };
    folders.iter().map(resolve).collect()
}
