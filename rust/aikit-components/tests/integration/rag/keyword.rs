//! The keyword index beside its store: kept in a file, followed, damaged, killed, shared.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aikit_components::rag::{Hit, Mode, Rag, RagOptions, Record, SearchOptions, Source};
use aikit_core::{Context, ErrorKind, Value, tool::ToolContext};

use super::{context_in, ingest, open, sources};
use crate::support::wait;

/// Documents that make an index worth a file.
const MANY: usize = 1_100;

const STORE: &str = "AIKIT_TEST_KEYWORD_STORE";

fn document(number: usize) -> Source {
    Source::Record(Record {
        id: format!("document {number}"),
        text: format!("Common words and number{number}."),
        ..Record::default()
    })
}

fn documents(numbers: std::ops::Range<usize>) -> Vec<Source> {
    numbers.map(document).collect()
}

fn at(path: &Path) -> RagOptions {
    RagOptions {
        path: Some(path.to_owned()),
        ..RagOptions::default()
    }
}

fn file_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".keyword");
    PathBuf::from(name)
}

fn by_words(rag: &Rag, cx: &ToolContext, query: &str, k: usize) -> Vec<Hit> {
    let (rag, cx, query) = (rag.clone(), cx.clone(), query.to_owned());
    let options = SearchOptions {
        k,
        mode: Mode::Keyword,
        ..SearchOptions::default()
    };
    wait(async move { rag.search(&cx, &query, options).await }).unwrap()
}

fn delete(rag: &Rag, id: &str) {
    let (rag, ids) = (rag.clone(), vec![id.to_owned()]);
    wait(async move { rag.delete(&Context::default(), ids).await }).unwrap();
}

#[test]
fn words_are_found_by_their_stem_and_by_their_letters_without_accents() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = open(RagOptions::default()).unwrap();
    let record = |id: &str, title: &str, text: &str| {
        Source::Record(Record {
            id: id.to_owned(),
            text: text.to_owned(),
            title: Some(title.to_owned()),
            ..Record::default()
        })
    };
    let records = vec![
        record("owl", "Birds", "Owls hunt mice at night."),
        record("food", "Crème brûlée", "A dessert of custard."),
        record("code", "Files", "Call read_file(path) to read."),
    ];
    ingest(&rag, &cx, records).unwrap();
    for (query, source) in [
        ("hunting owl", "owl"),
        ("bird", "owl"),
        ("creme BRULEE", "food"),
        ("read_file", "code"),
        ("\"owls\" AND (hunt* OR +mice -night", "owl"),
    ] {
        let hits = by_words(&rag, &cx, query, 5);
        assert_eq!(hits[0].source, source, "{query}");
        assert_eq!(hits[0].scores.keyword, Some(hits[0].score));
        assert_eq!(hits[0].scores.dense, None);
    }
    assert_eq!(by_words(&rag, &cx, "zebra", 5), []);
    assert_eq!(by_words(&rag, &cx, "?!", 5), []);
}

#[test]
fn an_index_of_many_chunks_is_kept_in_a_file_and_followed_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let (cx, store) = (context_in(folder.path()), folder.path().join("rag.db"));
    let rag = open(at(&store)).unwrap();
    ingest(&rag, &cx, documents(0..MANY)).unwrap();
    assert!(file_of(&store).is_file());
    // What came and went since the file was written is replayed from the rows.
    ingest(&rag, &cx, documents(MANY..MANY + 3)).unwrap();
    delete(&rag, "document 7");
    let before = fs::read(file_of(&store)).unwrap();
    let again = open(at(&store)).unwrap();
    assert_eq!(by_words(&again, &cx, "common words", 1_000).len(), 1_000);
    assert_eq!(
        sources(&by_words(&again, &cx, "number1102", 5)),
        ["document 1102"]
    );
    assert_eq!(by_words(&again, &cx, "number7", 5), []);
    assert_eq!(by_words(&again, &cx, "number1099", 5).len(), 1);
    assert_eq!(
        fs::read(file_of(&store)).unwrap(),
        before,
        "three changes are not worth it"
    );
    // Other handles see what one writes, at their next search.
    ingest(&rag, &cx, vec![document(5_000)]).unwrap();
    assert_eq!(by_words(&again, &cx, "number5000", 5).len(), 1);
}

#[test]
fn a_damaged_file_is_made_anew_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (cx, store) = (context_in(folder.path()), folder.path().join("rag.db"));
    ingest(&open(at(&store)).unwrap(), &cx, documents(0..MANY)).unwrap();
    let good = fs::read(file_of(&store)).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [
        &flipped[..],
        &good[..good.len() - 1],
        b"",
        b"something else",
    ] {
        fs::write(file_of(&store), bad).unwrap();
        let mut events = cx.context.events().subscribe("rag.index.rebuilt");
        let rag = open(at(&store)).unwrap();
        assert_eq!(by_words(&rag, &cx, "number42", 5).len(), 1);
        assert_eq!(by_words(&rag, &cx, "common", 1_000).len(), 1_000);
        let event = events.try_next().unwrap();
        assert_eq!(
            event.data.get("index").and_then(Value::as_str),
            Some("keyword")
        );
        assert!(
            event
                .data
                .get("reason")
                .unwrap()
                .as_str()
                .unwrap()
                .contains("damaged")
        );
        assert!(events.try_next().is_none(), "told once");
        assert_eq!(
            fs::read(file_of(&store)).unwrap()[..8],
            good[..8],
            "written anew"
        );
    }
}

#[test]
fn a_file_of_another_store_or_language_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (cx, store) = (context_in(folder.path()), folder.path().join("rag.db"));
    ingest(&open(at(&store)).unwrap(), &cx, documents(0..MANY)).unwrap();
    let german = |path: &Path| RagOptions {
        language: Some("german".to_owned()),
        ..at(path)
    };
    let error = open(german(&store)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.message().contains("`english`, not for `german`"),
        "{error}"
    );
    // What an index was made with is known when it is opened again.
    let other = folder.path().join("german.db");
    let houses = vec![Source::Record(Record {
        id: "a".to_owned(),
        text: "Die Häuser stehen am Fluss.".to_owned(),
        ..Record::default()
    })];
    ingest(&open(german(&other)).unwrap(), &cx, houses).unwrap();
    for again in [at(&other), german(&other)] {
        assert_eq!(by_words(&open(again).unwrap(), &cx, "Haus", 5).len(), 1);
    }
    fs::copy(file_of(&store), file_of(&other)).unwrap();
    assert_eq!(
        by_words(&open(at(&other)).unwrap(), &cx, "Haus", 5).len(),
        1
    );
    // The store is an older copy of itself: what the file has more is gone.
    let remove = |ending: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(ending);
        drop(fs::remove_file(name));
    };
    let copy = folder.path().join("copy.db");
    let older = open(at(&copy)).unwrap();
    ingest(&older, &cx, documents(0..2)).unwrap();
    fs::copy(file_of(&store), file_of(&copy)).unwrap();
    assert_eq!(
        by_words(&open(at(&copy)).unwrap(), &cx, "common", 10).len(),
        2
    );
    // The store was deleted and another one made in its place.
    for ending in ["", "-wal", "-shm"] {
        remove(ending);
    }
    assert!(file_of(&store).is_file());
    let new = open(at(&store)).unwrap();
    ingest(&new, &cx, documents(2_000..2_000 + MANY + 200)).unwrap();
    assert_eq!(by_words(&new, &cx, "number42", 5), []);
    assert_eq!(
        by_words(&open(at(&store)).unwrap(), &cx, "number2042", 5).len(),
        1
    );
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "started by `a_killed_process_leaves_no_ghost_and_loses_no_chunk`"]
fn write_without_end() {
    let Some(store) = std::env::var_os(STORE) else {
        return;
    };
    let store = PathBuf::from(store);
    let cx = context_in(store.parent().unwrap());
    let rag = open(at(&store)).unwrap();
    for round in 0.. {
        ingest(&rag, &cx, documents(round * MANY..(round + 1) * MANY)).unwrap();
        delete(&rag, &format!("document {}", round * MANY));
        by_words(&rag, &cx, "common", 1);
    }
}

#[test]
fn a_killed_process_leaves_no_ghost_and_loses_no_chunk() {
    for round in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let (cx, store) = (context_in(folder.path()), folder.path().join("rag.db"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rag::keyword::write_without_end", "--ignored"])
            .env(STORE, &store)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Two processes at once: this one follows while the other writes.
        let rag = open(at(&store)).unwrap();
        let watched = (MANY * round * 2) / 3;
        while by_words(&rag, &cx, &format!("number{watched}"), 1).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "the child failed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for rag in [rag, open(at(&store)).unwrap()] {
            let stats = {
                let rag = rag.clone();
                wait(async move { rag.stats(&Context::default()).await }).unwrap()
            };
            let first = by_words(&rag, &cx, "number1", 10);
            assert_eq!(sources(&first), ["document 1"]);
            for number in [2, MANY - 1, watched] {
                let hits = by_words(&rag, &cx, &format!("number{number}"), 10);
                assert_eq!(sources(&hits), [format!("document {number}")]);
            }
            // As many are found as there are, and each of them is there.
            let found = by_words(&rag, &cx, "common", 1_000);
            assert_eq!(found.len(), stats.chunks.min(1_000));
        }
    }
}
