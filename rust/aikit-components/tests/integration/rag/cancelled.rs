//! Searches that are dropped half-way.

use std::{collections::BTreeSet, future::poll_fn, task::Poll};

use aikit_components::rag::{Hit, IngestOptions, Rag, RagOptions, Record, SearchOptions, Source};
use aikit_core::{ErrorKind, Result, context::Overrides, tool::ToolContext};
use futures::FutureExt as _;

use super::{context_in, ingest, open, search, sources};
use crate::support::wait;

fn documents(numbers: std::ops::Range<usize>) -> Vec<Source> {
    let document = |number| {
        Source::Record(Record {
            id: format!("document {number}"),
            text: format!("Common words and number{number}."),
            ..Record::default()
        })
    };
    numbers.map(document).collect()
}

/// Polls a search `polls` times and drops it; answers whether it had ended by then.
fn drop_after(rag: &Rag, cx: &ToolContext, polls: usize) -> bool {
    let (rag, cx) = (rag.clone(), cx.clone());
    wait(async move {
        // Out of the place where the first poll may be thrown away.
        tokio::task::yield_now().await;
        let options = SearchOptions {
            k: 1,
            ..SearchOptions::default()
        };
        let mut searched = Box::pin(rag.search(&cx, "common", options));
        polled(&mut searched, polls).await
    })
}

/// Polls a search up to `polls` times; whether it has ended.
async fn polled<F>(searched: &mut F, polls: usize) -> bool
where
    F: Future<Output = Result<Vec<Hit>>> + Unpin,
{
    let mut left = polls;
    poll_fn(|waker| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        searched.poll_unpin(waker).map(|hits| {
            hits.unwrap();
            true
        })
    })
    .await
}

fn found(rag: &Rag, cx: &ToolContext) -> BTreeSet<String> {
    let hits = search(rag, cx, "common words", 1_000).unwrap();
    sources(&hits).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_search_that_is_dropped_anywhere_loses_no_chunk() {
    for index in ["flat", "hnsw"] {
        for polls in 1.. {
            assert!(polls < 1_000, "the search ends at last");
            let folder = tempfile::tempdir().unwrap();
            let cx = context_in(folder.path());
            let options = || RagOptions {
                path: Some(folder.path().join("rag.db")),
                index: index.to_owned(),
                ..RagOptions::default()
            };
            let (reader, writer) = (open(options()).unwrap(), open(options()).unwrap());
            ingest(&writer, &cx, documents(0..6)).unwrap();
            assert_eq!(found(&reader, &cx).len(), 6);
            // Twice as many chunks: the index is made anew.
            ingest(&writer, &cx, documents(6..12)).unwrap();
            let has_ended = drop_after(&reader, &cx, polls);
            // One more: a change that does not make it anew.
            ingest(&writer, &cx, documents(12..13)).unwrap();
            let expected: BTreeSet<String> = (0..13).map(|it| format!("document {it}")).collect();
            assert_eq!(
                found(&reader, &cx),
                expected,
                "{index}, dropped after {polls} polls"
            );
            if has_ended {
                break;
            }
        }
    }
}

#[test]
fn a_search_that_is_cancelled_does_not_end_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let options = || RagOptions {
        path: Some(folder.path().join("rag.db")),
        ..RagOptions::default()
    };
    let (reader, writer) = (open(options()).unwrap(), open(options()).unwrap());
    ingest(&writer, &cx, documents(0..40)).unwrap();
    let both: (Result<_>, Result<_>) = wait(async move {
        let cancelled = cx.with_context(cx.context.child(Overrides::default()));
        let options = SearchOptions {
            k: 40,
            ..SearchOptions::default()
        };
        let mut first = Box::pin(reader.search(&cancelled, "common", options.clone()));
        let mut second = Box::pin(reader.search(&cx, "common", options));
        // Both wait for the same rows, the first has begun to read them.
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        cancelled.context.cancel(ErrorKind::Cancelled, "not wanted");
        (first.await, second.await)
    });
    assert_eq!(both.0.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(both.1.unwrap().len(), 40);
}

#[test]
fn what_is_written_while_a_search_reads_is_found_by_the_next() {
    for polls in 0.. {
        assert!(polls < 1_000, "the search ends at last");
        let folder = tempfile::tempdir().unwrap();
        let cx = context_in(folder.path());
        let options = || RagOptions {
            path: Some(folder.path().join("rag.db")),
            ..RagOptions::default()
        };
        let (reader, writer) = (open(options()).unwrap(), open(options()).unwrap());
        ingest(&writer, &cx, documents(0..6)).unwrap();
        let (searching, reading) = (reader.clone(), cx.clone());
        let (written, writing) = (writer.clone(), cx.clone());
        let has_ended = wait(async move {
            let options = SearchOptions {
                k: 1,
                ..SearchOptions::default()
            };
            let searched = searching.search(&reading, "common", options);
            let mut searched = Box::pin(searched.fuse());
            let has_ended = polled(&mut searched, polls).await;
            let ingested = written.ingest(&writing, documents(6..7), IngestOptions::default());
            ingested.await.unwrap();
            if !has_ended {
                searched.await.unwrap();
            }
            has_ended
        });
        assert_eq!(found(&reader, &cx).len(), 7, "written after {polls} polls");
        if has_ended {
            break;
        }
    }
}
