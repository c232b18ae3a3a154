//! Searches by vectors, by words and by both, with and without filters.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aikit_components::rag::{
    Embedder, Fusion, Hit, IngestOptions, Mode, Rag, RagOptions, Record, SearchOptions, Source,
};
use aikit_core::{
    Context, ErrorKind, Result, Value, script::Callable, tool::ToolContext, value::Map,
};
use futures::{FutureExt as _, future::BoxFuture};

use super::{context_in, ingest, ingest_with, open, sources};
use crate::support::wait;

/// Embeds by what a text is about; counts the texts.
#[derive(Debug, Default)]
struct Topics {
    texts: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Callable for Topics {
    fn name(&self) -> &'static str {
        "topics"
    }

    fn call(&self, _cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let texts = args[0].as_list().unwrap();
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        let topics = [["bird", "owl", "penguin"], ["ship", "sail", "harbour"]];
        let vectors = texts.iter().map(|text| {
            let text = text.as_str().unwrap().to_lowercase();
            self.seen.lock().unwrap().push(text.clone());
            let about = topics.iter().map(|words| {
                let count = words.iter().filter(|word| text.contains(*word)).count();
                Value::from(if count > 0 { 1.0 } else { 0.0 })
            });
            about.chain([Value::from(0.1)]).collect::<Value>()
        });
        futures::future::ready(Ok(vectors.collect())).boxed()
    }
}

fn map(json: &str) -> Map {
    match Value::from_json(serde_json::from_str(json).unwrap()) {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn record(id: &str, text: &str, metadata: &str) -> Source {
    Source::Record(Record {
        id: id.to_owned(),
        text: text.to_owned(),
        metadata: map(metadata),
        ..Record::default()
    })
}

fn with_topics(index: &str) -> (tempfile::TempDir, ToolContext, Rag, Arc<Topics>) {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let topics = Arc::new(Topics::default());
    let rag = open(RagOptions {
        embedder: Embedder::function("topics", 3, Arc::clone(&topics) as Arc<dyn Callable>),
        index: index.to_owned(),
        ..RagOptions::default()
    });
    let rag = rag.unwrap();
    let records = vec![
        record(
            "owl",
            "The owl hunts.",
            r#"{"year": 2023, "tags": ["night"]}"#,
        ),
        record("penguin", "A penguin swims.", r#"{"year": 2024}"#),
        record(
            "sail",
            "Sails need wind.",
            r#"{"year": 2024, "lang": "en"}"#,
        ),
        record(
            "harbour",
            "The harbour is full.",
            r#"{"year": 2025, "lang": "de"}"#,
        ),
        record("number", "Part E-4711 is made of steel.", "{}"),
    ];
    ingest(&rag, &cx, records).unwrap();
    (folder, cx, rag, topics)
}

fn find(rag: &Rag, cx: &ToolContext, query: &str, options: SearchOptions) -> Result<Vec<Hit>> {
    let (rag, cx, query) = (rag.clone(), cx.clone(), query.to_owned());
    wait(async move { rag.search(&cx, &query, options).await })
}

#[test]
fn each_mode_finds_what_it_compares_and_hybrid_finds_both() {
    let (_folder, cx, rag, topics) = with_topics("flat");
    let of = |query: &str, mode: Mode| {
        let options = SearchOptions {
            k: 2,
            mode,
            ..SearchOptions::default()
        };
        find(&rag, &cx, query, options).unwrap()
    };
    // Meaning without a common word.
    assert_eq!(sources(&of("bird", Mode::Dense)), ["owl", "penguin"]);
    assert_eq!(of("bird", Mode::Keyword), []);
    assert_eq!(sources(&of("bird", Mode::Hybrid)), ["owl", "penguin"]);
    // A word without a meaning.
    assert_eq!(sources(&of("E-4711", Mode::Keyword)), ["number"]);
    assert_eq!(sources(&of("E-4711", Mode::Hybrid))[..1], ["number"]);
    let hit = of("a sail on a ship", Mode::Hybrid).remove(0);
    assert_eq!(hit.source, "sail");
    assert!(hit.scores.dense.is_some() && hit.scores.keyword.is_some());
    assert!((hit.score - 1.0).abs() < 1e-6, "first in both lists");
    // A search by words asks no embedder.
    let before = topics.texts.load(Ordering::Relaxed);
    of("owl", Mode::Keyword);
    assert_eq!(topics.texts.load(Ordering::Relaxed), before);
    of("owl", Mode::Hybrid);
    assert_eq!(topics.texts.load(Ordering::Relaxed), before + 1);
}

#[test]
fn weight_fusion_and_least_score_are_taken() {
    let (_folder, cx, rag, _) = with_topics("flat");
    let of = |options: SearchOptions| find(&rag, &cx, "penguin wind", options).unwrap();
    let weighed = |dense_weight: f32, fusion: Fusion| {
        of(SearchOptions {
            fusion,
            dense_weight: Some(dense_weight),
            ..SearchOptions::default()
        })
    };
    for fusion in [Fusion::Convex, Fusion::Rrf] {
        let (words, vectors) = (weighed(0.0, fusion), weighed(1.0, fusion));
        assert_eq!(words[0].source, "penguin");
        let others = words.iter().map(|it| it.scores.keyword.is_some());
        assert_eq!(
            others.collect::<Vec<_>>(),
            [true, true, false, false, false]
        );
        assert!(
            vectors[..2]
                .iter()
                .all(|it| it.source == "owl" || it.source == "penguin")
        );
    }
    let best = of(SearchOptions {
        min_score: Some(0.9),
        ..SearchOptions::default()
    });
    assert_eq!(sources(&best), ["penguin"]);
    for (wrong, named) in [
        (
            SearchOptions {
                dense_weight: Some(1.5),
                ..SearchOptions::default()
            },
            "dense_weight",
        ),
        (
            SearchOptions {
                dense_weight: Some(f32::NAN),
                ..SearchOptions::default()
            },
            "dense_weight",
        ),
        (
            SearchOptions {
                min_score: Some(f32::NAN),
                ..SearchOptions::default()
            },
            "min_score",
        ),
    ] {
        let error = find(&rag, &cx, "x", wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.message().contains(named) && error.hint().is_some());
    }
}

#[test]
fn a_filter_holds_in_every_mode_before_anything_is_searched() {
    for index in ["flat", "hnsw"] {
        let (_folder, cx, rag, _) = with_topics(index);
        let of = |query: &str, mode: Mode, filter: &str| {
            let options = SearchOptions {
                k: 1,
                mode,
                filter: map(filter),
                ..SearchOptions::default()
            };
            find(&rag, &cx, query, options).unwrap()
        };
        for mode in [Mode::Hybrid, Mode::Dense] {
            // The nearest is filtered out: the next one takes its place, though `k` is 1.
            assert_eq!(
                sources(&of("owl", mode, r#"{"year": {"gte": 2024}}"#)),
                ["penguin"]
            );
            assert_eq!(sources(&of("ship", mode, r#"{"lang": "de"}"#)), ["harbour"]);
        }
        assert_eq!(of("owl", Mode::Keyword, r#"{"year": 2024}"#), []);
        assert_eq!(
            sources(&of("owl", Mode::Keyword, r#"{"tags": "night"}"#)),
            ["owl"]
        );
        assert_eq!(of("owl", Mode::Hybrid, r#"{"year": 1900}"#), []);
        // What changes is filtered by what it is now.
        ingest(
            &rag,
            &cx,
            vec![record("owl", "The owl hunts.", r#"{"year": 1900}"#)],
        )
        .unwrap();
        assert_eq!(
            sources(&of("owl", Mode::Hybrid, r#"{"year": 1900}"#)),
            ["owl"]
        );
        let rag2 = rag.clone();
        wait(async move {
            rag2.delete(&Context::default(), vec!["owl".to_owned()])
                .await
        })
        .unwrap();
        assert_eq!(of("owl", Mode::Hybrid, r#"{"year": 1900}"#), []);
    }
}

#[test]
fn an_unknown_operator_is_refused_with_the_nearest() {
    let (_folder, cx, rag, _) = with_topics("flat");
    let options = SearchOptions {
        filter: map(r#"{"year": {"gtr": 2024}}"#),
        ..SearchOptions::default()
    };
    let error = find(&rag, &cx, "owl", options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert!(error.message().contains("`gtr`"));
    assert!(error.hint().unwrap().contains("`gt`"), "{:?}", error.hint());
}

#[test]
fn of_a_changed_document_only_new_texts_are_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    for path in [None, Some(folder.path().join("rag.db"))] {
        let topics = Arc::new(Topics::default());
        let rag = open(RagOptions {
            path,
            embedder: Embedder::function("topics", 3, Arc::clone(&topics) as Arc<dyn Callable>),
            chunker: "markdown".to_owned(),
            chunk_size_tokens: 12,
            chunk_overlap_tokens: Some(0),
            ..RagOptions::default()
        });
        let rag = rag.unwrap();
        let write = |text: &str, metadata: &str| {
            topics.seen.lock().unwrap().clear();
            let record = Source::Record(Record {
                id: "guide".to_owned(),
                text: text.to_owned(),
                format: Some("markdown".to_owned()),
                ..Record::default()
            });
            let options = IngestOptions {
                metadata: map(metadata),
                ..IngestOptions::default()
            };
            let report = ingest_with(&rag, &cx, vec![record], options).unwrap();
            (report.updated, report.chunks, report.embedded)
        };
        let one =
            "# Guide\n\nAbout birds and their songs.\n\n## Owls\n\nOwls hunt at night often.\n\n";
        let first = format!("{one}## Ships\n\nShips cross the sea slowly.\n");
        let second = format!("{one}## Ships\n\nShips sail the seven seas now.\n");
        assert_eq!(write(&first, "{}"), (0, 3, 3));
        assert_eq!(write(&second, "{}"), (1, 3, 1));
        assert!(topics.seen.lock().unwrap()[0].contains("seven seas"));
        // What is known about it changed, but no text.
        assert_eq!(write(&second, r#"{"year": 2024}"#), (1, 3, 0));
        assert_eq!(write(&second, r#"{"year": 2024}"#), (0, 0, 0));
        let hits = find(&rag, &cx, "seven seas", SearchOptions::default()).unwrap();
        assert_eq!(hits[0].headings, ["Guide", "Ships"]);
        assert_eq!(hits[0].metadata, map(r#"{"year": 2024}"#));
    }
}

#[test]
fn what_neither_the_words_nor_the_vectors_know_is_no_hit() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = open(RagOptions::default()).unwrap();
    let texts = [
        ("bees", "bees make honey"),
        ("owls", "owls hunt at night"),
        ("x", "ships sail"),
    ];
    let records = texts.map(|(id, text)| {
        Source::Record(Record {
            id: id.to_owned(),
            text: text.to_owned(),
            ..Record::default()
        })
    });
    ingest(&rag, &cx, records.to_vec()).unwrap();
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Keyword] {
        let find = |query: &str| {
            let (rag, cx, query) = (rag.clone(), cx.clone(), query.to_owned());
            let options = SearchOptions {
                mode,
                ..SearchOptions::default()
            };
            wait(async move { rag.search(&cx, &query, options).await }).unwrap()
        };
        assert_eq!(sources(&find("honey")), ["bees"], "{mode:?}");
        assert_eq!(sources(&find("quantum")), [""; 0], "{mode:?}");
    }
}
