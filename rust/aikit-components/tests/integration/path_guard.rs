//! The path guard: nothing outside the working directory and the listed roots is opened.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use aikit_components::security::{
    policy::{Profile, TablePolicy},
    roots,
    sandbox::PathGuard,
};
use aikit_core::{
    Context, ErrorKind, Result,
    context::{Caller, Overrides},
    services::{FilePart, Files as _, ListOptions},
};

use crate::support::wait;

/// Two listed folders and a secret beside them.
struct World {
    _folder: tempfile::TempDir,
    guard: Arc<PathGuard>,
    base: std::path::PathBuf,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for (path, text) in [
        ("work/a.txt", "inside"),
        ("work/deep/b.txt", "deeper"),
        ("work/.env", "KEY=1"),
        ("listed/c.txt", "listed"),
        ("workshop/d.txt", "secret"),
        ("secret.txt", "secret"),
    ] {
        let path = base.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let work = base.join("work");
    symlink("../secret.txt", work.join("out.txt")).unwrap();
    symlink("/etc", work.join("etc")).unwrap();
    symlink("..", work.join("up")).unwrap();
    symlink("a.txt", work.join("in.txt")).unwrap();
    symlink("deep", work.join("folder")).unwrap();
    symlink(".env", work.join("harmless.txt")).unwrap();
    symlink("loop", work.join("loop")).unwrap();
    let roots = roots::resolve(&[work, base.join("listed")]).unwrap();
    let policy = Arc::new(TablePolicy::new(
        Profile::Notebook,
        roots.clone(),
        Vec::new(),
    ));
    let guard = Arc::new(PathGuard::new(&roots, policy, None).unwrap());
    World {
        _folder: folder,
        guard,
        base,
    }
}

fn context(caller: Caller) -> Context {
    Context::create(Overrides {
        caller: Some(caller),
        ..Overrides::default()
    })
}

impl World {
    fn read_as(&self, caller: Caller, path: &str) -> Result<FilePart> {
        let (guard, path) = (Arc::clone(&self.guard), path.to_owned());
        wait(async move { guard.read(&context(caller), &path, 0, 1000).await })
    }

    fn read(&self, path: &str) -> Result<String> {
        let part = self.read_as(Caller::User, path)?;
        Ok(String::from_utf8(part.bytes.to_vec()).unwrap())
    }

    fn list(&self, caller: Caller, path: &str, hidden: bool) -> Vec<String> {
        let (guard, path) = (Arc::clone(&self.guard), path.to_owned());
        let options = ListOptions {
            hidden,
            honour_ignore: true,
            include: Vec::new(),
            exclude: Vec::new(),
            max_entries: 100,
        };
        let found = wait(async move { guard.list(&context(caller), &path, options).await });
        found
            .unwrap()
            .iter()
            .map(|it| it.to_string_lossy().into_owned())
            .collect()
    }
}

#[test]
fn paths_inside_are_read_in_every_spelling() {
    let world = world();
    let absolute = world.base.join("work/a.txt");
    let listed = world.base.join("listed/c.txt");
    for (path, text) in [
        ("a.txt", "inside"),
        ("./a.txt", "inside"),
        ("deep/../a.txt", "inside"),
        ("deep//b.txt", "deeper"),
        ("in.txt", "inside"),
        ("folder/b.txt", "deeper"),
        ("../work/a.txt", "inside"),
        ("../listed/c.txt", "listed"),
        (absolute.to_str().unwrap(), "inside"),
        (listed.to_str().unwrap(), "listed"),
    ] {
        assert_eq!(world.read(path).unwrap(), text, "{path}");
    }
}

#[test]
fn paths_outside_are_denied_in_every_spelling() {
    let world = world();
    let absolute = world.base.join("secret.txt");
    let neighbour = world.base.join("workshop/d.txt");
    let climbing = world.base.join("work/../secret.txt");
    for path in [
        "../secret.txt",
        "deep/../../secret.txt",
        "../workshop/d.txt",
        "out.txt",
        "./out.txt",
        "etc/passwd",
        "up/secret.txt",
        "up/work/../secret.txt",
        "/etc/passwd",
        "//etc//passwd",
        "/proc/self/environ",
        "/dev/zero",
        "..",
        "/",
        absolute.to_str().unwrap(),
        neighbour.to_str().unwrap(),
        climbing.to_str().unwrap(),
    ] {
        let error = world.read(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{path}: {error:?}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("roots")),
            "{path}: {error:?}"
        );
    }
}

#[test]
fn what_is_no_path_is_refused_and_nothing_panics() {
    let world = world();
    let (long_name, long_path) = ("x".repeat(300), "x/".repeat(4000));
    let cases = [
        ("", ErrorKind::InvalidArgs),
        ("a\0b", ErrorKind::InvalidArgs),
        ("../\0/etc/passwd", ErrorKind::InvalidArgs),
        (&long_path, ErrorKind::InvalidArgs),
        (&long_name, ErrorKind::InvalidArgs),
        ("none.txt", ErrorKind::NotFound),
        ("a.txt/b", ErrorKind::NotFound),
        ("deep", ErrorKind::InvalidArgs),
        (".", ErrorKind::InvalidArgs),
        ("~/a.txt", ErrorKind::NotFound),
        ("file:///etc/passwd", ErrorKind::NotFound),
    ];
    for (path, kind) in cases {
        let error = world.read(path).unwrap_err();
        assert_eq!(error.kind(), kind, "{path}: {error:?}");
    }
    assert!(world.read("loop").is_err());
}

#[test]
fn random_paths_never_read_the_secret() {
    let world = world();
    let parts = [
        "..",
        ".",
        "work",
        "deep",
        "up",
        "out.txt",
        "etc",
        "secret.txt",
        "a.txt",
        "",
        "folder",
    ];
    // A fixed sequence (a linear congruential generator), so that a failure comes back.
    let mut state: u32 = 7;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for _ in 0..3000 {
        let length = 1 + next() % 6;
        let path: Vec<&str> = (0..length).map(|_| parts[next() % parts.len()]).collect();
        let path = path.join("/");
        if let Ok(text) = world.read(&path) {
            assert_ne!(text, "secret", "{path}");
        }
    }
}

#[test]
fn a_link_does_not_hide_a_key_file_from_the_policy() {
    let world = world();
    assert_eq!(world.read("harmless.txt").unwrap(), "KEY=1");
    for path in [".env", "harmless.txt"] {
        let error = world.read_as(Caller::Agent, path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalNeeded, "{path}");
    }
}

#[test]
fn a_pipe_is_refused_instead_of_blocking() {
    let world = world();
    let pipe = world.base.join("work/pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        world.read("pipe").unwrap_err().kind(),
        ErrorKind::InvalidArgs
    );
}

#[test]
fn a_listing_follows_no_links_and_leaves_key_files_to_the_user() {
    let world = world();
    assert_eq!(
        world.list(Caller::User, ".", false),
        ["a.txt", "deep/b.txt"]
    );
    assert_eq!(
        world.list(Caller::User, ".", true),
        [".env", "a.txt", "deep/b.txt"]
    );
    assert_eq!(
        world.list(Caller::Agent, ".", true),
        ["a.txt", "deep/b.txt"]
    );
    assert_eq!(world.list(Caller::User, "folder", false), ["deep/b.txt"]);
    assert_eq!(world.list(Caller::User, "a.txt", false), ["a.txt"]);
    let listed = world.base.join("listed");
    let found = world.list(Caller::User, "../listed", false);
    assert_eq!(
        found.iter().map(Path::new).collect::<Vec<_>>(),
        [listed.join("c.txt")]
    );
}

#[test]
fn a_root_that_is_no_folder_is_an_error_of_the_configuration() {
    let world = world();
    for path in ["none", "secret.txt"] {
        let error = roots::resolve(&[world.base.join(path)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}");
    }
}

#[test]
fn a_tilde_is_the_home_folder_and_the_roots_still_decide() {
    let world = world();
    let policy = || {
        let roots = vec![world.base.join("work")];
        Arc::new(TablePolicy::new(Profile::Notebook, roots, Vec::new()))
    };
    let roots = [world.base.join("work")];
    let read = |home: Option<&str>, path: &str| {
        let guard = PathGuard::new(&roots, policy(), None).unwrap();
        let guard = guard.with_home(home.map(|it| world.base.join(it)));
        let path = path.to_owned();
        wait(async move { guard.read(&Context::default(), &path, 0, 1000).await })
    };
    assert_eq!(&*read(Some("work"), "~/a.txt").unwrap().bytes, b"inside");
    assert_eq!(&*read(Some(""), "~/work/a.txt").unwrap().bytes, b"inside");
    for path in ["~/secret.txt", "~/work/../secret.txt", "~"] {
        let error = read(Some(""), path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{path}: {error}");
    }
    let error = read(None, "~/a.txt").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("`./~`"), "{error:?}");
}

#[test]
fn a_file_that_stands_where_a_folder_should_is_named() {
    let world = world();
    for (path, file) in [
        ("a.txt/sub", "`a.txt`"),
        ("a.txt/sub/more", "`a.txt`"),
        ("a.txt/", "`a.txt`"),
        ("deep/b.txt/c", "`deep/b.txt`"),
    ] {
        let error = world.read(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{path}");
        assert!(
            error
                .message()
                .ends_with(&format!("{file} is a file, not a folder")),
            "{error}"
        );
    }
    assert_eq!(
        world.read("none/sub").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(world.list(Caller::User, "deep/", false), ["deep/b.txt"]);
}
