//! What is recorded of ingest, search, delete and stats.

use std::{sync::Arc, time::Duration};

use aikit_components::{
    rag::{Embedder, Rag, RagOptions, Record, SearchOptions, Source, ToolOptions},
    tools,
};
use aikit_core::{
    Context, ErrorKind, Result, Value, context::Overrides, graph::Status, model::EmbeddingModel,
    tool::ToolContext,
};
use futures::future::BoxFuture;

use super::{context_in, ingest, open, search};
use crate::support::wait;

fn ingested(path: Option<std::path::PathBuf>, cx: &ToolContext) -> Rag {
    let options = RagOptions {
        path,
        ..RagOptions::default()
    };
    let rag = open(options).unwrap();
    let record = Source::Record(Record {
        id: "note".to_owned(),
        text: "plain words".to_owned(),
        ..Record::default()
    });
    ingest(&rag, cx, vec![record]).unwrap();
    rag
}

/// Names and ends of what ran, and the name of its caller.
fn recorded(cx: &ToolContext) -> Vec<(String, Status, Option<String>)> {
    let nodes = cx.context.graph().all();
    let seen = nodes.iter().map(|node| {
        let caller = node.parent.as_ref().map(|it| it.name.to_string());
        (node.name.to_string(), node.status(), caller)
    });
    seen.collect()
}

#[test]
fn every_operation_is_a_procedure_and_its_stages_stand_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = ingested(Some(folder.path().join("notes.db")), &cx);
    search(&rag, &cx, "words", 1).unwrap();
    search(&rag, &cx, "words", 0).unwrap_err();
    let context = cx.context.clone();
    wait(async move {
        rag.stats(&context).await.unwrap();
        rag.delete(&context, vec!["note".to_owned()]).await.unwrap();
    });
    let (done, failed) = (Status::Completed, Status::Failed);
    let (ingested, found) = (Some("rag ingest"), Some("retrieval notes.db"));
    let expected = [
        ("rag ingest", done, None),
        ("rag load", done, ingested),
        ("rag split", done, ingested),
        ("rag embed", done, ingested),
        ("retrieval notes.db", done, None),
        // By vectors and by words at the same time.
        ("rag embed", done, found),
        ("rag search", done, found),
        ("rag search", done, found),
        ("rag rerank", done, found),
        ("retrieval notes.db", failed, None),
        ("rag stats", done, None),
        ("rag delete", done, None),
    ];
    let expected = expected.map(|(name, status, caller)| {
        let caller = caller.map(str::to_owned);
        (name.to_owned(), status, caller)
    });
    assert_eq!(recorded(&cx), expected);
}

#[test]
fn a_search_of_the_tool_is_recorded_once_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let tool = ingested(None, &cx).as_tool(ToolOptions {
        name: "find".to_owned(),
        ..ToolOptions::default()
    });
    let tool = tool.unwrap();
    let cx = cx.with_context(cx.context.root_child(Overrides::default()));
    let mut events = cx.context.events().subscribe("procedure.start");
    let args = Value::map([("query", Value::from("words"))]);
    let called = cx.clone();
    wait(async move { tools::invoke(&called, &tool, args).await }).unwrap();
    let find = "tool:find".to_owned();
    let expected = [
        (find.clone(), Status::Completed, None),
        ("retrieval memory".to_owned(), Status::Completed, Some(find)),
    ];
    let recorded = recorded(&cx);
    assert_eq!(recorded[..2], expected);
    let stage = |it: &(String, Status, Option<String>)| it.0.starts_with("rag ");
    assert!(recorded[2..].iter().all(stage));
    for _ in &recorded {
        assert!(events.try_next().is_some());
    }
    assert!(events.try_next().is_none());
}

#[test]
fn every_operation_ends_with_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = ingested(None, &cx);
    let late = cx.context.child(Overrides {
        timeout: Some(Duration::ZERO),
        ..Overrides::default()
    });
    let late = cx.with_context(late);
    let errors = wait(async move {
        let options = SearchOptions::default();
        let ids = vec!["note".to_owned()];
        [
            rag.search(&late, "words", options).await.unwrap_err(),
            rag.stats(&late.context).await.unwrap_err(),
            rag.delete(&late.context, ids).await.unwrap_err(),
        ]
    });
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
}

/// A model that never answers.
#[derive(Debug)]
struct Silent;

impl EmbeddingModel for Silent {
    fn name(&self) -> &'static str {
        "test:silent"
    }

    fn embed<'a>(&'a self, _: &'a Context, _: Vec<String>) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn opening_an_index_ends_with_its_context() {
    let options = RagOptions {
        embedder: Embedder::model(Arc::new(Silent)),
        ..RagOptions::default()
    };
    let cx = Context::create(Overrides {
        timeout: Some(Duration::from_millis(5)),
        ..Overrides::default()
    });
    let error = wait(async move { Rag::open(&cx, options).await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
