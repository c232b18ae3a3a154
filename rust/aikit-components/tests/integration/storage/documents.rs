//! `DocumentStore`: transactions, history, and what damage does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aikit_core::{
    ErrorKind, Result, Value,
    storage::{
        Changes, Chunk, ChunkId, Document, DocumentStore, Embedded, EmbedderSettings, StoredChunk,
        Term,
    },
};

use super::{places, wait};

type Documents = Arc<dyn DocumentStore>;

fn document(id: &str, version: u8, chunks: u8) -> Document {
    let chunk = |position: u8| Chunk {
        text: format!("{id} v{version} #{position}"),
        headings: vec!["Top".to_owned(), format!("Part {position}")],
        start: usize::from(position) * 10,
        end: usize::from(position) * 10 + 9,
        embedded: Embedded {
            vector: vec![f32::from(version), f32::from(position)],
            terms: vec![Term {
                hash: u32::MAX - u32::from(version),
                weight: 0.5,
            }],
        },
    };
    Document {
        id: id.to_owned(),
        origin: None,
        title: Some(format!("Title of {id}")),
        content_hash: format!("hash {version}"),
        metadata: [("version".to_owned(), Value::from(u32::from(version)))].into(),
        chunks: (0..chunks).map(chunk).collect(),
    }
}

fn upsert(documents: &Documents, all: Vec<Document>) -> Result<()> {
    let documents = Arc::clone(documents);
    wait(async move { documents.upsert(all).await })
}

fn delete(documents: &Documents, ids: &[&str]) -> usize {
    let documents = Arc::clone(documents);
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    wait(async move { documents.delete(ids).await }).unwrap()
}

fn changes(documents: &Documents, after: u64, limit: usize) -> Changes {
    let documents = Arc::clone(documents);
    wait(async move { documents.changes(after, limit).await }).unwrap()
}

fn fetch(documents: &Documents, ids: Vec<ChunkId>) -> Result<Vec<StoredChunk>> {
    let documents = Arc::clone(documents);
    wait(async move { documents.fetch(ids).await })
}

/// Follows the history from `*after` on, page by page.
fn replay(documents: &Documents, after: &mut u64, live: &mut BTreeMap<ChunkId, Embedded>) {
    loop {
        let page = changes(documents, *after, 3);
        assert!(!page.must_restart);
        if page.items.is_empty() {
            return;
        }
        for change in page.items {
            assert!(change.sequence > *after, "the history is in order");
            *after = change.sequence;
            match change.added {
                Some(embedded) => drop(live.insert(change.id, embedded.unwrap())),
                None => drop(live.remove(&change.id)),
            }
        }
    }
}

fn texts(documents: &Documents, live: &BTreeMap<ChunkId, Embedded>) -> BTreeSet<String> {
    let chunks = fetch(documents, live.keys().copied().collect()).unwrap();
    assert_eq!(
        chunks.len(),
        live.len(),
        "every id of the history is in the store"
    );
    chunks.into_iter().map(|chunk| chunk.text).collect()
}

#[test]
fn a_reader_that_follows_the_history_has_what_the_store_has() {
    for place in places() {
        let (one, two) = place.open_twice();
        let (writer, reader) = (one.documents, two.documents);
        let (mut after, mut live) = (0, BTreeMap::new());
        upsert(&writer, vec![document("a", 1, 4), document("b", 1, 1)]).unwrap();
        replay(&reader, &mut after, &mut live);
        assert_eq!(texts(&reader, &live).len(), 5);
        upsert(&writer, vec![document("a", 2, 2)]).unwrap();
        assert_eq!(delete(&writer, &["b", "absent"]), 1);
        upsert(&writer, vec![document("c", 1, 0)]).unwrap();
        replay(&reader, &mut after, &mut live);
        let expected = ["a v2 #0", "a v2 #1"].map(str::to_owned);
        assert_eq!(texts(&reader, &live), expected.into());
        let (mut from_start, mut fresh) = (0, BTreeMap::new());
        replay(&reader, &mut from_start, &mut fresh);
        assert_eq!(fresh, live, "a new reader finds the same");
    }
}

#[test]
fn a_chunk_comes_back_as_it_was_written() {
    for place in places() {
        let documents = place.open().documents;
        let written = document("a", 3, 2);
        upsert(&documents, vec![written.clone()]).unwrap();
        let history = changes(&documents, 0, 10).items;
        let embedded = history[1].added.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(embedded, &written.chunks[1].embedded);
        let found = fetch(&documents, vec![history[1].id, 999, history[0].id]).unwrap();
        let [second, first] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((first.position, second.position), (0, 1));
        let chunk = &written.chunks[1];
        assert_eq!(second.text, chunk.text);
        assert_eq!(second.headings, chunk.headings);
        assert_eq!((second.start, second.end), (chunk.start, chunk.end));
        assert_eq!(second.title, written.title);
        assert_eq!(second.metadata, written.metadata);
    }
}

#[test]
fn texts_and_labels_tell_the_same_history() {
    for place in places() {
        let documents = place.open().documents;
        upsert(&documents, vec![document("a", 1, 3), document("b", 1, 2)]).unwrap();
        upsert(&documents, vec![document("a", 2, 1)]).unwrap();
        let plain = |after: u64, limit: usize| -> Vec<(u64, ChunkId, bool)> {
            let items = changes(&documents, after, limit).items.into_iter();
            items
                .map(|it| (it.sequence, it.id, it.added.is_some()))
                .collect()
        };
        for (after, limit) in [(0, 100), (0, 2), (5, 3)] {
            let store = Arc::clone(&documents);
            let (texts, labels) = wait(async move {
                let texts = store.texts(after, limit).await.unwrap();
                (texts, store.labels(after, limit).await.unwrap())
            });
            assert!(!texts.must_restart && !labels.must_restart);
            let row = |it: (u64, ChunkId, bool)| it;
            let of_texts = texts.items.iter();
            let of_texts = of_texts.map(|it| row((it.sequence, it.id, it.added.is_some())));
            assert_eq!(of_texts.collect::<Vec<_>>(), plain(after, limit));
            let of_labels = labels.items.iter();
            let of_labels = of_labels.map(|it| row((it.sequence, it.id, it.added.is_some())));
            assert_eq!(of_labels.collect::<Vec<_>>(), plain(after, limit));
            for (text, label) in texts.items.iter().zip(&labels.items) {
                let (Some(text), Some(label)) = (&text.added, &label.added) else {
                    continue;
                };
                let (text, label) = (text.as_ref().unwrap(), label.as_ref().unwrap());
                let fetched = fetch(&documents, vec![text.id]).unwrap().remove(0);
                assert_eq!(
                    (&text.text, &text.title, text.position, &text.headings),
                    (
                        &fetched.text,
                        &fetched.title,
                        fetched.position,
                        &fetched.headings
                    )
                );
                assert_eq!(*label.document_id, *text.document_id);
                assert_eq!(*label.metadata, text.metadata);
            }
        }
    }
}

#[test]
fn a_document_comes_back_with_its_chunks() {
    for place in places() {
        let documents = place.open().documents;
        let written = Document {
            origin: Some("docs".to_owned()),
            ..document("a", 3, 2)
        };
        upsert(&documents, vec![document("b", 1, 1), written.clone()]).unwrap();
        let get = |id: &'static str| {
            let documents = Arc::clone(&documents);
            wait(async move { documents.document(id).await }).unwrap()
        };
        assert_eq!(format!("{:?}", get("a").unwrap()), format!("{written:?}"));
        assert!(get("absent").is_none());
    }
}

#[test]
fn a_store_keeps_its_name_and_another_one_has_another() {
    for place in places() {
        let (one, two) = place.open_twice();
        let history = |documents: &Documents| {
            let documents = Arc::clone(documents);
            wait(async move { documents.history().await }).unwrap()
        };
        let before = history(&one.documents);
        assert_eq!((before.sequence, &before), (0, &history(&two.documents)));
        upsert(&one.documents, vec![document("a", 1, 3)]).unwrap();
        delete(&one.documents, &["a"]);
        let after = history(&two.documents);
        assert_eq!((after.sequence, &after.identity), (6, &before.identity));
        let last = changes(&two.documents, 0, 100).items.pop().unwrap();
        assert_eq!(last.sequence, after.sequence);
        if place.backend.is_persistent {
            let other = history(&place.other().documents);
            assert_ne!(other.identity, before.identity);
        }
    }
}

#[test]
fn heads_come_in_pages_in_the_order_of_ids() {
    for place in places() {
        let documents = place.open().documents;
        let all = ["c", "a", "b"].map(|id| document(id, 1, 2));
        upsert(&documents, all.into()).unwrap();
        let heads = |after: Option<&str>, limit| {
            let (documents, after) = (Arc::clone(&documents), after.map(str::to_owned));
            let heads = wait(async move { documents.heads(after.as_deref(), limit).await });
            let heads = heads.unwrap().into_iter();
            heads
                .map(|head| (head.id, head.content_hash, head.chunks))
                .collect::<Vec<_>>()
        };
        let row = |id: &str| (id.to_owned(), "hash 1".to_owned(), 2);
        assert_eq!(heads(None, 2), [row("a"), row("b")]);
        assert_eq!(heads(Some("b"), 2), [row("c")]);
    }
}

#[test]
fn one_id_twice_in_a_transaction_writes_nothing() {
    for place in places() {
        let documents = place.open().documents;
        let error = upsert(&documents, vec![document("a", 1, 1), document("a", 2, 1)]).unwrap_err();
        assert_eq!(error.message(), "the document `a` occurs twice");
        assert!(changes(&documents, 0, 10).items.is_empty());
    }
}

#[test]
fn the_first_embedder_stays() {
    for place in places() {
        let (one, two) = place.open_twice();
        let claim = |documents: Documents, name: &str| {
            let settings = EmbedderSettings {
                name: name.to_owned(),
                dimension: 3,
            };
            wait(async move { documents.claim(settings).await })
                .unwrap()
                .name
        };
        assert_eq!(claim(one.documents, "first"), "first");
        assert_eq!(claim(two.documents, "second"), "first");
    }
}

#[test]
fn a_damaged_embedding_or_text_spares_the_other_chunks() {
    for place in places().filter(|place| place.backend.name == "sqlite") {
        let documents = place.open().documents;
        upsert(&documents, vec![document("a", 1, 3)]).unwrap();
        let file = rusqlite::Connection::open(place.path()).unwrap();
        let damage = |sql: &str| assert_eq!(file.execute(sql, []).unwrap(), 1);
        damage("UPDATE chunks SET embedding = x'01' WHERE position = 1");
        damage("UPDATE chunks SET record = x'01ff' WHERE position = 2");
        let history = changes(&documents, 0, 10).items;
        let readable = history
            .iter()
            .map(|change| change.added.as_ref().unwrap().is_ok());
        assert_eq!(readable.collect::<Vec<_>>(), [true, false, true]);
        let kind = |place: usize| {
            let found = fetch(&documents, vec![history[place].id]);
            found.err().map(|error| error.kind())
        };
        assert_eq!(
            [0, 1, 2].map(kind),
            [None, None, Some(ErrorKind::CorruptRecord)]
        );
    }
}
