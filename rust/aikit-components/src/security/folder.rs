//! Whether a file that a script names, and that a store would make, stays in the working directory.

use std::path::{Component, Path};

/// Whether `path`, absolute, is below `working_directory` and no `..` or symbolic link on the way
/// leads out.
pub(crate) fn is_inside(working_directory: &Path, path: &Path) -> bool {
    let is_plain = path
        .components()
        .all(|part| !matches!(part, Component::ParentDir));
    is_plain && path.starts_with(working_directory) && !leads_out(working_directory, path)
}

/// Whether a symbolic link on the way to `path` leads out of the working directory.
fn leads_out(working_directory: &Path, path: &Path) -> bool {
    let existing = path.ancestors().find(|it| it.symlink_metadata().is_ok());
    let Some(existing) = existing.filter(|it| it.starts_with(working_directory)) else {
        return false;
    };
    match (existing.canonicalize(), working_directory.canonicalize()) {
        (Ok(resolved), Ok(home)) => !resolved.starts_with(home),
        // A link to nothing would be followed when the file is made.
        _ => true,
    }
}
