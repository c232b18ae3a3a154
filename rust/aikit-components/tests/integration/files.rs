//! Writing, listing and deleting files through the path guard.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use aikit_core::{Error, ErrorKind, Result, Value, tool::ToolContext};

use crate::session::{self, Setup};

fn open(folder: &Path) -> ToolContext {
    session::open(folder, Setup::default())
}

fn write(cx: &ToolContext, path: &str, content: &str, mode: &str) -> Result<Value> {
    let args = [("path", path), ("content", content), ("mode", mode)];
    let args = args.map(|(name, it)| (name, Value::from(it)));
    session::invoke(cx, "write_file", Value::map(args))
}

fn list(cx: &ToolContext, pairs: &[(&str, Value)]) -> Result<Vec<(String, String)>> {
    let args = Value::map(pairs.iter().cloned());
    let listed = session::invoke(cx, "list_directory", args)?;
    let entries = listed.get("entries").and_then(Value::as_list).unwrap();
    let text = |entry: &Value, name: &str| entry.get(name).unwrap().to_string().replace('"', "");
    Ok(entries
        .iter()
        .map(|it| {
            (
                text(it, "path"),
                format!("{} {}", text(it, "kind"), text(it, "bytes")),
            )
        })
        .collect())
}

#[test]
fn a_file_is_replaced_at_once_and_keeps_its_rights() {
    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    let file = folder.path().join("a.sh");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o750)).unwrap();
    // Whoever has the old file open goes on reading it.
    let mut reader = std::fs::File::open(&file).unwrap();
    write(&cx, "a.sh", "new", "overwrite").unwrap();
    let mut old = String::new();
    std::io::Read::read_to_string(&mut reader, &mut old).unwrap();
    assert_eq!(old, "old");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

#[test]
fn a_link_inside_is_followed_and_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    std::fs::write(folder.path().join("real.txt"), "old").unwrap();
    std::os::unix::fs::symlink("real.txt", folder.path().join("link.txt")).unwrap();
    write(&cx, "link.txt", "new", "overwrite").unwrap();
    let real = std::fs::read_to_string(folder.path().join("real.txt")).unwrap();
    assert_eq!(real, "new");
    assert!(folder.path().join("link.txt").is_symlink());
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    let error = write(&cx, "dangling", "x", "overwrite").unwrap_err();
    assert!(error.message().contains("leads nowhere"), "{error}");
}

#[test]
fn pipes_and_missing_folders_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    let fifo = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    let read = |tool: &str, path: &str| -> Error {
        let mut args = vec![("path", Value::from(path))];
        if tool == "search_files" {
            args.push(("pattern", Value::from("x")));
        }
        session::invoke(&cx, tool, Value::map(args)).unwrap_err()
    };
    for tool in ["read_file", "search_files", "list_directory"] {
        assert_eq!(read(tool, "pipe").message(), "`pipe` is a pipe", "{tool}");
        let missing = read(tool, "none");
        assert_eq!(
            missing.message(),
            "there is no file or folder `none`",
            "{tool}"
        );
    }
    let error = write(&cx, "pipe", "x", "append").unwrap_err();
    assert_eq!(error.message(), "`pipe` is a pipe");
    session::invoke(
        &cx,
        "delete_file",
        Value::map([("path", Value::from("pipe"))]),
    )
    .unwrap();
    assert!(!fifo.exists());
}

#[test]
fn a_listing_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    for (path, text) in [
        ("a.txt", "123"),
        ("d/b.md", ""),
        ("d/e/c.md", "1"),
        (".gitignore", "d/e\n"),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("a.txt", folder.path().join("link")).unwrap();
    let found = |pairs: &[(&str, Value)]| -> Vec<String> {
        let found = list(&cx, pairs).unwrap().into_iter();
        found
            .map(|(path, what)| format!("{path}: {what}"))
            .collect()
    };
    let yes = Value::Bool(true);
    assert_eq!(
        found(&[]),
        ["a.txt: file 3", "d: folder null", "link: link null"]
    );
    assert_eq!(
        found(&[("hidden", yes.clone())]),
        [
            ".gitignore: file 4",
            "a.txt: file 3",
            "d: folder null",
            "link: link null"
        ]
    );
    assert_eq!(
        found(&[("path", Value::from("d")), ("recursive", yes.clone())]),
        ["d/b.md: file 0", "d/e: folder null", "d/e/c.md: file 1"]
    );
    let markdown = [("recursive", yes.clone()), ("pattern", Value::from("*.md"))];
    assert_eq!(found(&markdown), ["d/b.md: file 0", "d/e/c.md: file 1"]);
    let shallow = [
        ("recursive", yes.clone()),
        ("max_depth", Value::Int(2)),
        ("pattern", Value::from("*.md")),
    ];
    assert_eq!(found(&shallow), ["d/b.md: file 0"]);
    let ignoring = [
        ("recursive", yes.clone()),
        ("gitignore", yes),
        ("pattern", Value::from("*.md")),
    ];
    assert_eq!(found(&ignoring), ["d/b.md: file 0"]);
}

#[test]
fn an_edit_of_a_file_that_changed_meanwhile_is_refused() {
    use aikit_core::services::{NewContent, WriteMode};

    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    std::fs::write(folder.path().join("a.txt"), "theirs").unwrap();
    let content = NewContent {
        bytes: "ours".into(),
        mode: WriteMode::Overwrite,
        expected: Some("what was read".into()),
        detail: String::new(),
    };
    let error = crate::support::wait(async move {
        let files = cx.services.files().unwrap();
        files.write(&cx.context, "a.txt", content).await
    });
    assert_eq!(error.unwrap_err().kind().code(), "conflict");
    let kept = std::fs::read_to_string(folder.path().join("a.txt")).unwrap();
    assert_eq!(kept, "theirs");
}

#[test]
fn a_read_root_is_not_written() {
    use aikit_components::{
        registry::{Components, Setup as Session},
        security::policy::Profile,
    };
    use aikit_core::context::Principal;

    let (folder, readable, writable) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let settings = format!(
        "[security]\nroots = [{:?}]\nwrite_roots = [{:?}]\n",
        readable.path(),
        writable.path()
    );
    std::fs::write(folder.path().join("aikit.toml"), settings).unwrap();
    let components = Components::assemble(Session {
        profile: Profile::Notebook,
        working_directory: folder.path().to_owned(),
        variables: aikit_components::config::Variables::none(),
        ask: None,
        principal: Principal::default(),
    })
    .unwrap();
    let cx = components.tool_context();
    let path = |root: &tempfile::TempDir| root.path().join("a.txt").display().to_string();
    let error = write(&cx, &path(&readable), "x", "create").unwrap_err();
    assert_eq!(error.kind().code(), "denied");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("AIKIT_SECURITY__WRITE_ROOTS="),
        "{error:?}"
    );
    write(&cx, &path(&writable), "x", "create").unwrap();
    assert!(writable.path().join("a.txt").exists());
}

#[test]
fn a_path_that_names_a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let cx = open(folder.path());
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let (wrong, none) = (ErrorKind::InvalidArgs, ErrorKind::NotFound);
    for (path, kind, says) in [
        ("d/", wrong, "names a folder"),
        ("file/sub", none, "`file` is a file, not a folder"),
    ] {
        let error = write(&cx, path, "x", "overwrite").unwrap_err();
        assert_eq!(error.kind(), kind, "{path}");
        assert!(error.message().contains(says), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn of_many_that_append_at_once_no_line_is_lost() {
    const WRITERS: usize = 8;
    const LINES: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let start = std::sync::Arc::new(std::sync::Barrier::new(WRITERS));
    let writers: [_; WRITERS] = std::array::from_fn(|writer| {
        let (cx, start) = (open(folder.path()), std::sync::Arc::clone(&start));
        std::thread::spawn(move || {
            start.wait();
            for line in 0..LINES {
                write(&cx, "log", &format!("{writer} {line}\n"), "append").unwrap();
            }
        })
    });
    for writer in writers {
        writer.join().unwrap();
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let mut found: Vec<&str> = log.lines().collect();
    found.sort_unstable();
    let mut expected: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..LINES).map(move |line| format!("{writer} {line}")))
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
