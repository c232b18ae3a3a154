//! Where a script may let a file of its own be made: below the working directory.

use std::path::{Path, PathBuf};

use aikit_core::{Error, ErrorKind, Result};

use super::{folder, home};
use crate::config;

/// The path of the file that a script names, below `working_directory`.
///
/// # Errors
///
/// `invalid_args` for what is no path of a file, `denied` for a path that leads elsewhere, by a
/// symbolic link too, or is the configuration's.
pub fn below(working_directory: &Path, given: &str) -> Result<PathBuf> {
    let refused = |what: &str| {
        let message = format!("`{given}` {what}");
        Error::new(ErrorKind::Denied, message)
            .with_hint("give a path below the working directory, without `..`")
    };
    if given.trim().is_empty() || given.contains('\0') {
        let message = format!("`{given}` is no path of a file");
        return Err(Error::invalid_args(message).with_hint("give a path such as `run.cassette`"));
    }
    home::refuse(given)?;
    let path = working_directory.join(given);
    if !folder::is_inside(working_directory, &path) {
        return Err(refused("is outside the working directory"));
    }
    if path.is_dir() {
        let message = format!("`{given}` is a folder");
        return Err(Error::invalid_args(message).with_hint("give the path of a file"));
    }
    if path.file_name().is_some_and(|it| it == config::FILE_NAME) {
        return Err(refused("is the place of the configuration"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_working_directory() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join("folder")).unwrap();
        let absolute = home.join("x.cassette").display().to_string();
        let cases = [
            ("x.cassette", None),
            ("new/x.cassette", None),
            (&*absolute, None),
            ("../x", Some(ErrorKind::Denied)),
            ("/etc/x", Some(ErrorKind::Denied)),
            ("~/x", Some(ErrorKind::InvalidArgs)),
            ("aikit.toml", Some(ErrorKind::Denied)),
            ("folder", Some(ErrorKind::InvalidArgs)),
            (" ", Some(ErrorKind::InvalidArgs)),
        ];
        for (given, expected) in cases {
            let kind = below(&home, given).err().map(|error| error.kind());
            assert_eq!(kind, expected, "{given}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_refused() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join("out")).unwrap();
        let error = below(home.path(), "out/x.cassette").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}
