//! Where the store of an index is: a name in the project, or a path below it.

use std::path::{Path, PathBuf};

use aikit_core::{Error, ErrorKind, Result};

use crate::{
    config,
    security::{folder, home},
};

/// Folder of the indexes that are opened by name, below the working directory.
const FOLDER: &str = ".aikit/rag";

/// The file of the index that a script calls `place`: a plain name means `.aikit/rag/NAME.db`,
/// anything with a separator or an ending is a path. Both stay below `working_directory`.
///
/// # Errors
///
/// `invalid_args` for an empty name, `denied` for a path that leads elsewhere, by a symbolic link
/// too, or is the configuration's.
pub fn store_path(working_directory: &Path, place: &str) -> Result<PathBuf> {
    let given = Path::new(place);
    if place.trim().is_empty() || place.contains('\0') {
        return Err(
            Error::invalid_args(format!("`{place}` is no name of an index"))
                .with_hint("give a name such as `manual`, or nothing for an index in memory"),
        );
    }
    home::refuse(place)?;
    let is_name = given.components().count() == 1 && given.extension().is_none();
    let path = if is_name && !place.starts_with('.') {
        working_directory.join(FOLDER).join(format!("{place}.db"))
    } else {
        working_directory.join(given)
    };
    if !folder::is_inside(working_directory, &path) {
        let message = format!("an index at `{place}` would be outside the working directory");
        return Err(Error::new(ErrorKind::Denied, message)
            .with_hint("give a name, or a path below the working directory without `..`"));
    }
    if path.is_dir() {
        return Err(Error::invalid_args(format!("`{place}` is a folder"))
            .with_hint("give a name such as `manual`, or the path of a file"));
    }
    if path
        .file_name()
        .is_some_and(|name| name == config::FILE_NAME)
    {
        let message = format!("`{place}` is the place of the configuration");
        return Err(Error::new(ErrorKind::Denied, message).with_hint("give the index another name"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_path_stay_below_the_working_directory() {
        let folder = Path::new("/home/user/project");
        let cases = [
            ("manual", Ok("/home/user/project/.aikit/rag/manual.db")),
            ("data/manual.db", Ok("/home/user/project/data/manual.db")),
            ("./manual.db", Ok("/home/user/project/./manual.db")),
            ("/home/user/project/x.db", Ok("/home/user/project/x.db")),
            ("../x.db", Err(ErrorKind::Denied)),
            ("a/../../x.db", Err(ErrorKind::Denied)),
            ("/etc/x.db", Err(ErrorKind::Denied)),
            ("..", Err(ErrorKind::Denied)),
            (" ", Err(ErrorKind::InvalidArgs)),
            ("~/x.db", Err(ErrorKind::InvalidArgs)),
        ];
        for (place, expected) in cases {
            let found = store_path(folder, place).map_err(|error| error.kind());
            assert_eq!(found, expected.map(PathBuf::from), "{place}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_refused() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(home.path().join("inside")).unwrap();
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, home.path().join(name)).unwrap();
        };
        link(elsewhere.path(), "out");
        link(&elsewhere.path().join("none.db"), "dangling.db");
        link(&home.path().join("inside"), "in");
        for (place, allowed) in [
            ("out/x.db", false),
            ("out/deeper/x.db", false),
            ("dangling.db", false),
            ("aikit.toml", false),
            ("in/x.db", true),
            ("new/x.db", true),
        ] {
            assert_eq!(store_path(home.path(), place).is_ok(), allowed, "{place}");
        }
    }
}
