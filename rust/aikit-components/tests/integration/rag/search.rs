//! What a search answers, with every embedder and both indexes.

use std::{fmt, sync::Arc};

use aikit_components::rag::{Embedder, Rag, RagOptions, Record, Source, ToolOptions};
use aikit_core::{
    Context, ErrorKind, Result, Value, io, model::EmbeddingModel, script::Callable,
    services::ModelOptions, tool::ToolContext,
};
use futures::{FutureExt as _, future::BoxFuture};

use super::{context_in, ingest, open, search, sources};
use crate::support::wait;

const TEXTS: &[(&str, &str)] = &[
    ("apples", "# Apples\n\nApples grow on trees in the garden."),
    ("pears", "# Pears\n\nPears ripen on the window sill."),
    (
        "plums",
        "# Plums\n\n## Colour\n\nPlums are blue, some are yellow.",
    ),
];

fn records() -> Vec<Source> {
    let records = TEXTS.iter().map(|(id, text)| {
        Source::Record(Record {
            id: (*id).to_owned(),
            text: (*text).to_owned(),
            format: Some("markdown".to_owned()),
            ..Record::default()
        })
    });
    records.collect()
}

fn here() -> (tempfile::TempDir, ToolContext) {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    (folder, cx)
}

/// Counts letters: near for texts that have the same ones.
fn letters(text: &str) -> Vec<f32> {
    let mut counts = vec![0.01_f32; 26];
    for letter in text.to_lowercase().bytes().filter(u8::is_ascii_lowercase) {
        counts[usize::from(letter - b'a')] += 1.0;
    }
    counts
}

type MakeVector = fn(&str) -> Value;

struct Letters(MakeVector);

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letters")
    }
}

impl Callable for Letters {
    fn name(&self) -> &'static str {
        "letters"
    }

    fn call(&self, _cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let texts = args[0].as_list().unwrap();
        let vectors = texts.iter().map(|text| (self.0)(text.as_str().unwrap()));
        futures::future::ready(Ok(vectors.collect())).boxed()
    }
}

#[derive(Debug)]
struct LetterModel;

impl EmbeddingModel for LetterModel {
    fn name(&self) -> &'static str {
        "test:letters"
    }

    fn embed<'a>(
        &'a self,
        _cx: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        futures::future::ready(Ok(texts.iter().map(|it| letters(it)).collect())).boxed()
    }
}

fn function(make: MakeVector) -> Embedder {
    Embedder::function("letters", 26, Arc::new(Letters(make)))
}

fn numbers(text: &str) -> Value {
    letters(text).into_iter().map(Value::from).collect()
}

#[test]
fn every_embedder_with_either_index_finds_the_fitting_chunk_first() {
    let embedders = [
        Embedder::lexical(),
        Embedder::model(Arc::new(LetterModel)),
        function(numbers),
    ];
    for embedder in embedders {
        for index in ["flat", "hnsw"] {
            let (_folder, cx) = here();
            let options = RagOptions {
                embedder: embedder.clone(),
                index: index.to_owned(),
                ..RagOptions::default()
            };
            let rag = open(options).unwrap();
            ingest(&rag, &cx, records()).unwrap();
            // The last word is one of another text.
            let query = "plums colour blue some are yellow sill";
            let hits = search(&rag, &cx, query, 2).unwrap();
            assert_eq!(hits[0].source, "plums", "{} {index}", embedder.name());
            assert!(hits[0].score > hits[1].score);
            assert_eq!(hits.len(), 2);
        }
    }
}

#[test]
fn a_hit_says_where_it_stands() {
    let (_folder, cx) = here();
    let rag = open(RagOptions {
        chunk_size_tokens: 10,
        chunk_overlap_tokens: Some(0),
        ..RagOptions::default()
    });
    let rag = rag.unwrap();
    ingest(&rag, &cx, records()).unwrap();
    let hit = search(&rag, &cx, "yellow", 1).unwrap().remove(0);
    assert_eq!(hit.headings, ["Plums", "Colour"]);
    assert_eq!(hit.title.as_deref(), Some("Plums"));
    let characters: Vec<char> = TEXTS[2].1.chars().collect();
    let there: String = characters[hit.start..hit.end].iter().collect();
    assert_eq!(there, hit.text);
    assert!(hit.text.contains("yellow"));
}

#[test]
fn a_misspelt_word_still_finds_its_chunk() {
    let (_folder, cx) = here();
    let rag = open(RagOptions::default()).unwrap();
    ingest(&rag, &cx, records()).unwrap();
    for (misspelt, expected) in [("aples", "apples"), ("windwo", "pears"), ("yelow", "plums")] {
        let hits = search(&rag, &cx, misspelt, 1).unwrap();
        assert_eq!(sources(&hits), [expected], "{misspelt}");
    }
}

#[test]
fn the_order_of_ingest_does_not_change_the_answer() {
    let (_folder, cx) = here();
    let answer = |groups: Vec<Vec<Source>>| {
        let rag = open(RagOptions::default()).unwrap();
        for group in groups {
            ingest(&rag, &cx, group).unwrap();
            search(&rag, &cx, "anything", 1).unwrap();
        }
        let hits = search(&rag, &cx, "green trees on the window", 3).unwrap();
        let found = hits
            .into_iter()
            .map(|hit| (hit.source, format!("{:.3}", hit.score)));
        found.collect::<Vec<_>>()
    };
    let mut backwards = records();
    backwards.reverse();
    let one_by_one = backwards.into_iter().map(|record| vec![record]).collect();
    assert_eq!(answer(vec![records()]), answer(one_by_one));
}

#[test]
fn what_another_handle_writes_is_found_and_survives_reopening() {
    let (folder, cx) = here();
    let options = || RagOptions {
        path: Some(folder.path().join("rag.db")),
        ..RagOptions::default()
    };
    let (reader, writer) = (open(options()).unwrap(), open(options()).unwrap());
    assert_eq!(search(&reader, &cx, "plums", 3).unwrap(), []);
    ingest(&writer, &cx, records()).unwrap();
    let hits = search(&reader, &cx, "plums", 1).unwrap();
    assert_eq!(sources(&hits), ["plums"]);
    wait({
        let writer = writer.clone();
        async move {
            writer
                .delete(&Context::default(), vec!["plums".to_owned()])
                .await
        }
    })
    .unwrap();
    let hits = search(&reader, &cx, "plums", 3).unwrap();
    assert!(!sources(&hits).contains(&"plums"));
    drop((reader, writer));
    let hits = search(&open(options()).unwrap(), &cx, "pears on the sill", 1).unwrap();
    assert_eq!(sources(&hits), ["pears"]);
}

#[test]
fn another_embedder_is_refused_with_the_cure() {
    let (folder, cx) = here();
    let options = |embedder| RagOptions {
        path: Some(folder.path().join("rag.db")),
        embedder,
        ..RagOptions::default()
    };
    ingest(&open(options(Embedder::lexical())).unwrap(), &cx, records()).unwrap();
    let error = open(options(function(numbers))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.message(),
        "the store was made with the embedder `lexical` of dimension 1024, not with `function:letters` of dimension 26"
    );
    assert_eq!(
        error.hint(),
        Some("open it with `lexical`, or ingest the documents into another file")
    );
}

#[test]
fn a_function_that_answers_no_vectors_is_named() {
    let wrong: [(MakeVector, &str); 4] = [
        (
            |_| Value::from("no"),
            "`function:letters` answered `string` for a vector",
        ),
        (|_| vec![1.0, 2.0].into(), "dimension 2, the store has 26"),
        (|_| vec![f64::NAN; 26].into(), "not finite"),
        (|_| vec![0.0; 26].into(), "length zero"),
    ];
    for (make, message) in wrong {
        let (_folder, cx) = here();
        let rag = open(RagOptions {
            embedder: function(make),
            ..RagOptions::default()
        });
        let report = ingest(&rag.unwrap(), &cx, records()).unwrap();
        assert_eq!(report.failed.len(), 3);
        let reason = &report.failed[0].reason;
        assert!(reason.contains(message), "{reason}");
    }
}

#[test]
fn wrong_questions_and_options_are_refused() {
    let (_folder, cx) = here();
    let rag = open(RagOptions::default()).unwrap();
    let kind = |query: &str, k| search(&rag, &cx, query, k).unwrap_err().kind();
    assert_eq!(kind("plums", 0), ErrorKind::InvalidArgs);
    assert_eq!(kind("plums", 1_001), ErrorKind::InvalidArgs);
    assert_eq!(kind(" \n", 5), ErrorKind::InvalidArgs);
    // A question of stop words only is a question without a match, not an error.
    assert_eq!(search(&rag, &cx, "how do I", 5).unwrap(), []);
    let refused = |options: RagOptions| open(options).unwrap_err();
    let error = refused(RagOptions {
        chunk_overlap_tokens: Some(800),
        ..RagOptions::default()
    });
    assert!(error.message().contains("`chunk_overlap_tokens` is `800`"));
    // What is left out fits the chunks, however small they are.
    let small = RagOptions {
        chunk_size_tokens: 1,
        ..RagOptions::default()
    };
    open(small).unwrap();
    let error = refused(RagOptions {
        index: "tree".to_owned(),
        ..RagOptions::default()
    });
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = Embedder::named("meaning", ModelOptions::default(), &cx.services);
    assert_eq!(error.unwrap_err().message(), "no embedder named `meaning`");
}

#[test]
fn the_tool_answers_what_the_search_answers() {
    let (_folder, cx) = here();
    let rag = open(RagOptions::default()).unwrap();
    ingest(&rag, &cx, records()).unwrap();
    let tool = rag.as_tool(ToolOptions::default()).unwrap();
    let named = |name: &str| ToolOptions {
        name: name.to_owned(),
        ..ToolOptions::default()
    };
    let error = rag.as_tool(named("my docs")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert_eq!(
        tool.spec().usage(),
        "`search_documents` takes `query` (string, required), `k` (integer)"
    );
    let call = |args: Value| {
        let (tool, cx) = (Arc::clone(&tool), cx.clone());
        io::wait(async move { tool.call(&cx, args).await }, || Ok(())).unwrap()
    };
    let query = "pears on the sill";
    let args = Value::map([("query", Value::from(query)), ("k", Value::Int(2))]);
    let expected = Value::from_serialize(&search(&rag, &cx, query, 2).unwrap()).unwrap();
    assert_eq!(call(args).unwrap(), expected);
    let error = call(Value::map([("q", Value::from(query))])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert!(error.hint().unwrap().contains("`query` (string, required)"));
}

#[test]
fn many_searches_at_once_while_documents_come_in_do_no_harm() {
    let (_folder, cx) = here();
    let rag = open(RagOptions::default()).unwrap();
    let searchers: Vec<_> = (0..4)
        .map(|_| {
            let (rag, cx): (Rag, ToolContext) = (rag.clone(), cx.clone());
            std::thread::spawn(move || {
                for _ in 0..20 {
                    search(&rag, &cx, "plums", 3).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..10 {
        ingest(&rag, &cx, records()).unwrap();
    }
    for searcher in searchers {
        searcher.join().unwrap();
    }
    assert_eq!(sources(&search(&rag, &cx, "plums", 1).unwrap()), ["plums"]);
}
