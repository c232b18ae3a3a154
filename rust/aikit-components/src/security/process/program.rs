//! Finds the file of a program before anybody is asked, so that what is approved is what is run.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Where programs are looked for when no variable says it.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The file that `program` names: a path as it is, absolute below `folder`; a name in the first
/// folder of `search` (a `PATH`) that has an executable file of it. `None` when there is none.
///
/// Links stay: programs look at the name they were called by.
pub(super) fn find(program: &str, folder: &Path, search: Option<&str>) -> Option<PathBuf> {
    if cfg!(not(unix)) {
        return Some(PathBuf::from(program));
    }
    let absolute = |path: PathBuf| folder.join(path).components().collect::<PathBuf>();
    if program.contains('/') {
        return Some(absolute(PathBuf::from(program)));
    }
    let search = search.unwrap_or(PATH_DEFAULT);
    let places = std::env::split_paths(OsStr::new(search)).map(|it| absolute(it.join(program)));
    let mut files = places.filter(|it| it.is_file());
    // What may not be executed is named by the error of the one who tries.
    let first = files.next()?;
    let mut files = std::iter::once(first.clone()).chain(files);
    Some(files.find(|it| is_executable(it)).unwrap_or(first))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    path.metadata()
        .is_ok_and(|it| it.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_name_is_the_first_executable_file_of_the_search_path() {
        let place = tempfile::tempdir().unwrap();
        let make = |path: &str, mode: u32| {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (data, first) = (make("a/tool", 0o644), make("b/tool", 0o755));
        make("c/tool", 0o755);
        let only_data = make("a/data", 0o644);
        fs::create_dir_all(place.path().join("b/folder")).unwrap();
        let search = |names: &[&str]| {
            let folders = names.iter().map(|it| place.path().join(it));
            let joined = std::env::join_paths(folders).unwrap();
            joined.into_string().unwrap()
        };
        let find = |name: &str, search: &str| find(name, place.path(), Some(search));
        assert_eq!(find("tool", &search(&["none", "a", "b", "c"])), Some(first));
        assert_eq!(find("tool", &search(&["a"])), Some(data.clone()));
        assert_eq!(find("data", &search(&["a", "b"])), Some(only_data));
        assert_eq!(find("folder", &search(&["b"])), None);
        assert_eq!(find("nothing", &search(&["a", "b"])), None);
        // A place that is not absolute is below the folder where the program runs.
        assert_eq!(find("tool", "a"), Some(data.clone()));
        assert_eq!(find("./a/tool", "b"), Some(data.clone()));
        assert_eq!(find(data.to_str().unwrap(), ""), Some(data));
    }
}
