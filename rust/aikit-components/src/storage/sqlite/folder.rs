//! Makes the folder that a store stands in.

use std::{fs, io, path::Path};

use aikit_core::{Error, ErrorKind};

/// Where a project keeps what aikit makes.
const OURS: &str = ".aikit";

/// Makes a folder with those above it. A new `.aikit` keeps itself out of version control: it
/// holds conversations and whole documents.
///
/// # Errors
///
/// Those of the file system.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let ours = folder
        .ancestors()
        .find(|it| it.file_name().is_some_and(|name| name == OURS))
        .filter(|it| !it.exists());
    fs::create_dir_all(folder)?;
    if let Some(ours) = ours {
        fs::write(ours.join(".gitignore"), "*\n")?;
    }
    Ok(())
}

/// What it means that a folder cannot be made: nothing is kept there, whatever the rights are
/// that are missing.
pub(super) fn failed(folder: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Io,
    };
    let message = format!("the folder `{}` cannot be made: {error}", folder.display());
    Error::new(kind, message)
        .with_hint(
            "work in a folder that can be written, or change its permissions; what need not be \
             kept can be in memory",
        )
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_what_to_do() {
        for (cause, expected) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::Io),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::Io),
            (io::ErrorKind::StorageFull, ErrorKind::NoSpace),
        ] {
            let error = failed(Path::new("/locked/.aikit"), cause.into());
            assert_eq!(error.kind(), expected);
            assert!(error.message().contains("/locked/.aikit"), "{error}");
            assert!(error.hint().is_some_and(|it| it.contains("can be written")));
        }
    }

    #[test]
    fn a_new_folder_of_ours_is_not_committed_and_an_old_one_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        make(&home.path().join(".aikit/rag")).unwrap();
        let ignored = home.path().join(".aikit/.gitignore");
        assert_eq!(fs::read_to_string(&ignored).unwrap(), "*\n");
        fs::remove_file(&ignored).unwrap();
        make(&home.path().join(".aikit/rag")).unwrap();
        make(&home.path().join("data/deep")).unwrap();
        assert!(!ignored.exists() && !home.path().join("data/.gitignore").exists());
    }
}
