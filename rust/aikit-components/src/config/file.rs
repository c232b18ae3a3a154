//! Which `aikit.toml` counts: the nearest one of this project or of the user's home folder, unless
//! somebody else could have written it.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
};

use super::{FILE_NAME, Variables};

/// What marks the folder of a project; in a linked worktree it is a file.
const PROJECT_MARK: &str = ".git";

/// The nearest file at or above `folder`. The search ends with the first folder that holds a
/// project and with the home folder: what is above them belongs to neither.
pub(super) fn find(folder: &Path, variables: &Variables) -> Option<PathBuf> {
    let (found, ignored) = search(folder, variables);
    for Ignored { file, reason } in ignored {
        let file = file.display().to_string();
        tracing::warn!(file, reason, "the configuration is ignored");
    }
    found
}

/// A file that is not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignored {
    /// Where it is.
    pub file: PathBuf,
    /// Why it is not read.
    pub reason: &'static str,
}

/// The file that counts, and those nearer to `folder` that do not.
pub(super) fn search(folder: &Path, variables: &Variables) -> (Option<PathBuf>, Vec<Ignored>) {
    let home = home(variables);
    let mut ignored = Vec::new();
    for folder in folder.ancestors() {
        let file = folder.join(FILE_NAME);
        match judge(&file) {
            Some(None) => return (Some(file), ignored),
            Some(Some(reason)) => ignored.push(Ignored { file, reason }),
            None => {}
        }
        if folder.join(PROJECT_MARK).exists() || home.iter().any(|it| it == folder) {
            break;
        }
    }
    (None, ignored)
}

/// The home folder, as it is named and with its links resolved.
pub(super) fn home(variables: &Variables) -> Vec<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let named = variables.get(name).filter(|it| !it.is_empty());
    let named = named.map(PathBuf::from);
    let resolved = named.as_ref().and_then(|it| it.canonicalize().ok());
    named.into_iter().chain(resolved).collect()
}

/// Where programs keep what a user would not miss: `XDG_STATE_HOME`, or `.local/state` in the home
/// folder.
pub(super) fn state_folder(variables: &Variables) -> Option<PathBuf> {
    let named = variables.get("XDG_STATE_HOME").map(PathBuf::from);
    // A relative one is to be ignored, says the specification of these folders.
    let named = named.filter(|it| it.is_absolute());
    named.or_else(|| Some(home(variables).first()?.join(".local/state")))
}

/// `None` when there is nothing; else why it is not read, if only this user and the administrator
/// can have written it then nothing.
#[expect(clippy::option_option, reason = "nothing there, taken, or a reason")]
fn judge(file: &Path) -> Option<Option<&'static str>> {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Some(distrust(&metadata)),
        Ok(_) => Some(Some("it is no file")),
        Err(_) if file.is_symlink() => Some(Some("it is a link that leads nowhere")),
        Err(_) => None,
    }
}

/// Why the file may hold the settings of somebody else.
#[cfg(unix)]
fn distrust(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;

    distrust_of(metadata.uid(), metadata.mode(), effective_user())
}

/// Elsewhere the rights of a file are not read.
#[cfg(not(unix))]
fn distrust(_: &Metadata) -> Option<&'static str> {
    None
}

// A file of root's is taken: whoever is root needs no setting. One that its group can write is
// taken too: where each user has a group of their own, every file is so.
#[cfg(unix)]
fn distrust_of(owner: u32, mode: u32, user: u32) -> Option<&'static str> {
    const WRITABLE_BY_OTHERS: u32 = 0o002;
    if owner != user && owner != 0 {
        return Some("it belongs to another user");
    }
    (mode & WRITABLE_BY_OTHERS != 0).then_some("every user can write it")
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "there is no safe function for this")]
fn effective_user() -> u32 {
    // SAFETY: the call has no arguments and always succeeds.
    unsafe { libc::geteuid() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_when_only_its_user_or_root_can_have_written_it() {
        for (owner, mode, user, is_taken) in [
            (1000, 0o100_644, 1000, true),
            (1000, 0o100_664, 1000, true),
            (0, 0o100_644, 1000, true),
            (1000, 0o100_646, 1000, false),
            (0, 0o100_666, 1000, false),
            (1001, 0o100_600, 1000, false),
            (1000, 0o100_600, 0, false),
        ] {
            let reason = distrust_of(owner, mode, user);
            assert_eq!(reason.is_none(), is_taken, "{owner} {mode:o} {user}");
        }
    }
}
