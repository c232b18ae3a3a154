//! Where the Python packages of this process are, if there is Python in it.

use std::{path::PathBuf, sync::OnceLock};

/// Finds the folder of an installed package by the name that Python imports.
pub type Finder = fn(&str) -> Option<PathBuf>;

/// What is installed is of the process, not of a session: the interpreter is one, and whoever
/// brings it says how to ask it.
static FINDER: OnceLock<Finder> = OnceLock::new();

/// Says how packages are found in this process; the first word counts.
pub fn find_packages_with(finder: Finder) {
    FINDER.get_or_init(|| finder);
}

/// The folder of an installed package; `None` when it is not there, or no Python.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    FINDER.get().and_then(|finder| finder(name))
}
