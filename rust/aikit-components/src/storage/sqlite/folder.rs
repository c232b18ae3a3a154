//! Makes the folder that a store stands in.

use std::{fs, io, path::Path};

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

#[cfg(test)]
mod tests {
    use super::*;

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
