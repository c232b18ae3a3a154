//! The tests that are written in Lua: each file once in this process and once over a byte pipe.

use std::path::{Path, PathBuf};

use crate::support::{Border, Fixture};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lua");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has tests", folder.display());
    files
}

/// Runs a file; what it printed.
fn run(border: Border, path: &Path) -> String {
    let fixture = Fixture::with(border);
    std::fs::create_dir(fixture.folder.join("docs")).unwrap();
    std::fs::write(
        fixture.folder.join("docs/apple.md"),
        "# Apples\n\nAn apple is a fruit that grows on trees.\n",
    )
    .unwrap();
    std::fs::write(
        fixture.folder.join("docs/bridge.md"),
        "# Bridges\n\nA bridge spans a river or a valley.\n",
    )
    .unwrap();
    let code = std::fs::read_to_string(path).unwrap();
    if let Err(error) = fixture.run(&code) {
        panic!(
            "{} ({border:?}): {error:?}\n{:#?}",
            path.display(),
            error.traceback()
        );
    }
    fixture.sink.text()
}

/// A part of the files, so that no test comes near the time limit of one.
fn every_file_of(part: usize, parts: usize) {
    for path in files().into_iter().skip(part).step_by(parts) {
        let (local, piped) = std::thread::scope(|scope| {
            let local = scope.spawn(|| run(Border::Local, &path));
            let piped = run(Border::Pipe, &path);
            (local.join().unwrap(), piped)
        });
        assert!(local.ends_with("ok\n"), "{}: {local}", path.display());
        assert_eq!(piped, local, "{}", path.display());
    }
}

mod every_file_gives_the_same_in_process_and_over_a_pipe {
    use super::every_file_of;

    #[test]
    fn first_sixth() {
        every_file_of(0, 6);
    }

    #[test]
    fn second_sixth() {
        every_file_of(1, 6);
    }

    #[test]
    fn third_sixth() {
        every_file_of(2, 6);
    }

    #[test]
    fn fourth_sixth() {
        every_file_of(3, 6);
    }

    #[test]
    fn fifth_sixth() {
        every_file_of(4, 6);
    }

    #[test]
    fn last_sixth() {
        every_file_of(5, 6);
    }
}
