//! What an ingest reports, and that it does only what is needed.

use std::{fs, path::Path};

use aikit_components::rag::{Gone, IngestOptions, IngestReport, Rag, RagOptions, Record, Source};
use aikit_core::{Context, ErrorKind, Value, tool::ToolContext, value::Map};

use super::{context_in, ingest, ingest_with, open, path, search, sources};
use crate::support::wait;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// Added, updated, unchanged, deleted, failed.
fn counts(report: &IngestReport) -> [usize; 5] {
    [
        report.added,
        report.updated,
        report.unchanged,
        report.deleted,
        report.failed.len(),
    ]
}

fn small() -> (tempfile::TempDir, ToolContext, Rag) {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("docs/apples.md", "# Apples\n\nApples grow on trees.\n"),
            (
                "docs/sub/pears.rst.txt",
                "Pears\n=====\n\nPears are green.\n",
            ),
            ("docs/plums.txt", "Plums are blue."),
            ("docs/picture.png", "not a text"),
        ],
    );
    let cx = context_in(folder.path());
    let path = Some(folder.path().join("store/rag.db"));
    let rag = open(RagOptions {
        path,
        ..RagOptions::default()
    });
    (folder, cx, rag.unwrap())
}

#[test]
fn only_what_changed_is_written_and_what_is_gone_is_deleted() {
    let (folder, cx, rag) = small();
    let again = || counts(&ingest(&rag, &cx, vec![path("docs")]).unwrap());
    assert_eq!(again(), [3, 0, 0, 0, 0]);
    assert_eq!(again(), [0, 0, 3, 0, 0]);
    write(folder.path(), &[("docs/plums.txt", "Plums are violet.")]);
    fs::remove_file(folder.path().join("docs/apples.md")).unwrap();
    write(folder.path(), &[("docs/figs.md", "Figs.")]);
    assert_eq!(again(), [1, 1, 1, 1, 0]);
    let hits = search(&rag, &cx, "apples", 5).unwrap();
    assert!(!sources(&hits).contains(&"docs/apples.md"), "{hits:?}");
    let hits = search(&rag, &cx, "violet plum", 1).unwrap();
    assert_eq!(hits[0].text, "Plums are violet.");
    let stats = wait({
        let rag = rag.clone();
        async move { rag.stats(&Context::default()).await }
    });
    let stats = stats.unwrap();
    assert_eq!((stats.documents, stats.chunks, stats.damaged), (3, 3, 0));
    assert_eq!(
        (stats.embedder.as_str(), stats.dimension),
        ("lexical", 1024)
    );
}

#[test]
fn what_is_gone_stays_when_asked_and_when_another_folder_is_ingested() {
    let (folder, cx, rag) = small();
    ingest(&rag, &cx, vec![path("docs")]).unwrap();
    fs::remove_file(folder.path().join("docs/plums.txt")).unwrap();
    let keep = IngestOptions {
        gone: Gone::Keep,
        ..IngestOptions::default()
    };
    let report = ingest_with(&rag, &cx, vec![path("docs")], keep).unwrap();
    assert_eq!(counts(&report), [0, 0, 2, 0, 0]);
    write(folder.path(), &[("other/nuts.md", "Nuts.")]);
    let report = ingest(&rag, &cx, vec![path("other")]).unwrap();
    assert_eq!(counts(&report), [1, 0, 0, 0, 0]);
    let report = ingest(&rag, &cx, vec![path("docs")]).unwrap();
    assert_eq!(counts(&report), [0, 0, 2, 1, 0]);
}

#[test]
fn another_spelling_of_the_same_files_changes_nothing() {
    let (folder, cx, rag) = small();
    let again = |source: &str| counts(&ingest(&rag, &cx, vec![path(source)]).unwrap());
    assert_eq!(again("docs"), [3, 0, 0, 0, 0]);
    let absolute = folder.path().join("docs/sub");
    let spellings = [
        ("./docs/", 3),
        ("docs/../docs", 3),
        ("docs/**/*.md", 1),
        ("docs/plums.txt", 1),
        (".", 3),
        (absolute.to_str().unwrap(), 1),
    ];
    for (spelling, files) in spellings {
        assert_eq!(again(spelling), [0, 0, files, 0, 0], "{spelling}");
    }
    // A glob has the depth that is written.
    assert_eq!(again("docs/*.txt"), [0, 0, 1, 0, 0]);
}

#[test]
fn what_is_gone_is_deleted_however_the_folder_was_named_before() {
    let (folder, cx, rag) = small();
    let again = |source: &str| counts(&ingest(&rag, &cx, vec![path(source)]).unwrap());
    assert_eq!(again("docs"), [3, 0, 0, 0, 0]);
    assert_eq!(again("docs/picture.png"), [1, 0, 0, 0, 0]);
    fs::remove_file(folder.path().join("docs/apples.md")).unwrap();
    // The pears and the picture are there, though this glob does not lead to them.
    assert_eq!(again("docs/*.txt"), [0, 0, 1, 1, 0]);
    let record = Record {
        id: "docs/none.md".to_owned(),
        text: "A text that never was a file.".to_owned(),
        ..Record::default()
    };
    ingest(&rag, &cx, vec![Source::Record(record)]).unwrap();
    assert_eq!(again("."), [0, 0, 2, 0, 0]);
    fs::remove_file(folder.path().join("docs/plums.txt")).unwrap();
    fs::remove_dir_all(folder.path().join("docs/sub")).unwrap();
    // An empty folder is no mistake when its documents are known.
    assert_eq!(again("docs"), [0, 0, 0, 2, 0]);
}

#[test]
fn files_globs_and_records_are_sources() {
    let (_folder, cx, rag) = small();
    let only = counts(&ingest(&rag, &cx, vec![path("docs/**/*.md")]).unwrap());
    assert_eq!(only, [1, 0, 0, 0, 0]);
    // A file named by itself is taken whatever its name.
    let report = ingest(&rag, &cx, vec![path("docs/picture.png")]).unwrap();
    assert_eq!(counts(&report), [1, 0, 0, 0, 0]);
    let record = Record {
        id: "note".to_owned(),
        text: "# Cherries\n\nCherries are red.".to_owned(),
        format: Some("markdown".to_owned()),
        metadata: Map::from([("year".to_owned(), Value::Int(2024))]),
        ..Record::default()
    };
    let sources = || vec![Source::Record(record.clone())];
    assert_eq!(
        counts(&ingest(&rag, &cx, sources()).unwrap()),
        [1, 0, 0, 0, 0]
    );
    assert_eq!(
        counts(&ingest(&rag, &cx, sources()).unwrap()),
        [0, 0, 1, 0, 0]
    );
    let hit = search(&rag, &cx, "cherry", 1).unwrap().remove(0);
    assert_eq!((hit.id.as_str(), hit.source.as_str()), ("note#0", "note"));
    assert_eq!(hit.title.as_deref(), Some("Cherries"));
    assert_eq!(hit.metadata.get("year"), Some(&Value::Int(2024)));
    let gone = wait({
        let rag = rag.clone();
        async move {
            rag.delete(
                &Context::default(),
                vec!["note".to_owned(), "absent".to_owned()],
            )
            .await
        }
    });
    assert_eq!(gone.unwrap(), 1);
    let hits = search(&rag, &cx, "cherry", 5).unwrap();
    assert!(!sources_contain(&hits, "note"));
}

fn sources_contain(hits: &[aikit_components::rag::Hit], id: &str) -> bool {
    sources(hits).contains(&id)
}

#[test]
fn every_document_is_an_event_with_its_place_in_the_whole() {
    let (_folder, cx, rag) = small();
    let mut events = cx.context.events().subscribe("rag.ingest.progress");
    ingest(&rag, &cx, vec![path("docs")]).unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.try_next() {
        let number = |key: &str| event.data.get(key).and_then(Value::as_i64).unwrap();
        seen.push((number("done"), number("total")));
    }
    assert_eq!(seen, [(1, 3), (2, 3), (3, 3)]);
}

#[test]
fn a_place_without_documents_is_an_error_that_says_what_is_read() {
    let (folder, cx, rag) = small();
    let fails = |source: &str| ingest(&rag, &cx, vec![path(source)]).unwrap_err();
    assert_eq!(fails("absent").kind(), ErrorKind::NotFound);
    fs::create_dir(folder.path().join("empty")).unwrap();
    let error = fails("empty");
    assert_eq!(error.message(), "no documents found at `empty`");
    assert!(error.hint().unwrap().contains("rst.txt"));
    // Beside a source that leads somewhere it is a line of the report.
    let report = ingest(&rag, &cx, vec![path("absent"), path("docs")]).unwrap();
    assert_eq!(counts(&report), [3, 0, 0, 0, 1]);
    assert_eq!(report.failed[0].kind, "not_found");
}

#[test]
fn a_cancelled_ingest_keeps_what_was_stored() {
    let (_folder, cx, rag) = small();
    cx.context.cancel(ErrorKind::Interrupted, "stop");
    let error = ingest(&rag, &cx, vec![path("docs")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn files_that_no_loader_reads_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.md", "b.pdf", "c", ".hidden"] {
        fs::write(folder.path().join(name), "words").unwrap();
    }
    let cx = context_in(folder.path());
    let rag = open(RagOptions::default()).unwrap();
    let skipped = |sources: &[&str]| {
        let sources = sources.iter().map(|it| path(it)).collect();
        let report = ingest(&rag, &cx, sources).unwrap();
        let skipped = report.skipped.into_iter();
        skipped.map(|it| (it.source, it.reason)).collect::<Vec<_>>()
    };
    let of = |source: &str, reason: &str| (source.to_owned(), reason.to_owned());
    let both = [
        of("b.pdf", "no loader reads `.pdf`"),
        of("c", "its name has no ending"),
    ];
    assert_eq!(skipped(&["."]), both);
    assert_eq!(skipped(&[".", "*"]), both);
    // What is named by itself is read.
    assert_eq!(skipped(&[".", "b.pdf"]), both[1..]);
    assert_eq!(skipped(&["a.md"]), []);
}
