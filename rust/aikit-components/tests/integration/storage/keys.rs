//! `KeyValueStore`: compared with a model map, conflicts, paging, watching, damage.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aikit_components::storage;
use aikit_core::{
    Context, ErrorKind, Result,
    clock::{Clock, SystemClock, UnixMicros},
    context::Overrides,
    io,
    storage::{Batch, KeyChange, KeyValueStore, Record, Revision},
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};

use super::{places, wait};

type Keys = Arc<dyn KeyValueStore>;

fn apply(keys: &Keys, batch: Batch) -> Result<Revision> {
    let keys = Arc::clone(keys);
    wait(async move { keys.apply(batch).await })
}

fn put(keys: &Keys, key: &str, value: &str) -> Revision {
    let puts = vec![(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))];
    let batch = Batch {
        puts,
        ..Batch::default()
    };
    apply(keys, batch).unwrap()
}

fn delete(keys: &Keys, key: &str) -> Revision {
    let deletes = vec![key.to_owned()];
    let batch = Batch {
        deletes,
        ..Batch::default()
    };
    apply(keys, batch).unwrap()
}

fn get(keys: &Keys, key: &str) -> Result<Option<Record>> {
    let (keys, key) = (Arc::clone(keys), key.to_owned());
    wait(async move { keys.get(&key).await })
}

fn scan(keys: &Keys, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let (keys, prefix) = (Arc::clone(keys), prefix.to_owned());
    let after = after.map(str::to_owned);
    let found = wait(async move { keys.scan(&prefix, after.as_deref(), limit).await });
    found.unwrap().into_iter().map(|entry| entry.key).collect()
}

#[test]
fn every_backend_behaves_as_a_map_with_revisions() {
    const NAMES: &[&str] = &["", "a", "a/", "a/b", "a/é", "b", "b\0c", "ba", "🦀"];
    for place in places() {
        let (one, two) = place.open_twice();
        let mut model: BTreeMap<&str, (Vec<u8>, Revision)> = BTreeMap::new();
        let (mut state, mut last) = (1_u64, 0);
        for step in 0..300_u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let pick = usize::try_from(state >> 33).unwrap();
            let name = NAMES[pick % NAMES.len()];
            let keys = if pick & 0x40 == 0 {
                &one.keys
            } else {
                &two.keys
            };
            let mut batch = Batch::default();
            if pick & 0x80 == 0 {
                let found = model.get(name).map(|it| it.1);
                batch.expect = vec![(name.to_owned(), found)];
            }
            if pick & 0x300 == 0 {
                batch.deletes = vec![name.to_owned()];
            } else {
                let value = Bytes::from(step.to_le_bytes().to_vec());
                batch.puts = vec![(name.to_owned(), value)];
            }
            let is_put = batch.deletes.is_empty();
            let revision = apply(keys, batch).unwrap();
            assert!(revision > last, "revisions grow");
            last = revision;
            if is_put {
                model.insert(name, (step.to_le_bytes().to_vec(), revision));
            } else {
                model.remove(name);
            }
        }
        for name in NAMES {
            let expected = model.get(name).map(|(value, revision)| Record {
                value: Bytes::copy_from_slice(value),
                revision: *revision,
            });
            assert_eq!(get(&one.keys, name).unwrap(), expected, "{name:?}");
            let expected: Vec<&str> = model
                .keys()
                .copied()
                .filter(|it| it.starts_with(name))
                .collect();
            assert_eq!(scan(&two.keys, name, None, 100), expected, "{name:?}");
        }
    }
}

#[test]
fn a_batch_with_one_wrong_revision_changes_nothing() {
    for place in places() {
        let keys = place.open().keys;
        let first = put(&keys, "a", "1");
        put(&keys, "b", "1");
        for (expected, message) in [
            (
                Some(first + 1),
                format!("`a` is at revision {first}, not at revision {}", first + 1),
            ),
            (None, format!("`a` is at revision {first}, not absent")),
        ] {
            let batch = Batch {
                expect: vec![("c".to_owned(), None), ("a".to_owned(), expected)],
                puts: vec![("c".to_owned(), Bytes::from_static(b"2"))],
                deletes: vec!["b".to_owned()],
                ..Batch::default()
            };
            let error = apply(&keys, batch).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert_eq!(error.message(), message);
        }
        assert_eq!(scan(&keys, "", None, 10), ["a", "b"]);
    }
}

#[test]
fn a_batch_with_one_wrong_number_of_keys_changes_nothing() {
    for place in places() {
        let keys = place.open().keys;
        for key in ["a", "a/", "a/b", "a/é", "a0", "b"] {
            put(&keys, key, "1");
        }
        delete(&keys, "a/b");
        for (prefix, count) in [("", 5_u64), ("a/", 2), ("a", 4), ("b", 1), ("c", 0)] {
            for wrong in [count + 1, count.wrapping_sub(1)] {
                let batch = Batch {
                    counts: vec![(prefix.to_owned(), wrong)],
                    deletes: vec!["b".to_owned()],
                    ..Batch::default()
                };
                let error = apply(&keys, batch).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Conflict);
                let message = format!("{count} keys begin with `{prefix}`, not {wrong}");
                assert_eq!(error.message(), message);
            }
            let right = Batch {
                counts: vec![(prefix.to_owned(), count)],
                ..Batch::default()
            };
            apply(&keys, right).unwrap();
        }
        assert_eq!(scan(&keys, "", None, 10).len(), 5);
    }
}

#[test]
fn of_two_handles_that_count_together_none_loses_a_step() {
    const STEPS: usize = 25;
    for place in places() {
        let (one, two) = place.open_twice();
        let counters = [one.keys, two.keys].map(|keys| {
            std::thread::spawn(move || {
                let mut done = 0;
                while done < STEPS {
                    let found = get(&keys, "count").unwrap();
                    let count = found.as_ref().map_or(0, |it| it.value[0]);
                    let batch = Batch {
                        expect: vec![("count".to_owned(), found.map(|it| it.revision))],
                        puts: vec![("count".to_owned(), Bytes::from(vec![count + 1]))],
                        ..Batch::default()
                    };
                    match apply(&keys, batch) {
                        Ok(_) => done += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                    }
                }
                keys
            })
        });
        // Both have ended before either is read: the slower one may still be counting.
        let counted = counters.map(|counter| counter.join().unwrap());
        for keys in counted {
            assert_eq!(
                usize::from(get(&keys, "count").unwrap().unwrap().value[0]) % STEPS,
                0
            );
        }
        let keys = place.backend.is_persistent.then(|| place.open().keys);
        if let Some(keys) = keys {
            assert_eq!(get(&keys, "count").unwrap().unwrap().value[..], [50]);
        }
    }
}

#[test]
fn pages_of_a_scan_join_without_gap_or_repetition() {
    for place in places() {
        let keys = place.open().keys;
        let names: Vec<String> = (0..23).map(|number| format!("page/{number:02}")).collect();
        for name in names.iter().rev() {
            put(&keys, name, "");
        }
        put(&keys, "other", "");
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = scan(&keys, "page/", found.last().map(String::as_str), 5);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, names);
        // Keys before the prefix do not end the scan before it began.
        assert_eq!(scan(&keys, "page/2", Some("a"), 9), names[20..]);
        assert_eq!(scan(&keys, "page/", None, 0), Vec::<String>::new());
    }
}

#[test]
fn a_watcher_sees_what_another_handle_writes_below_its_prefix() {
    for place in places() {
        let (one, two) = place.open_twice();
        put(&one.keys, "seen/before", "");
        let watcher = Arc::clone(&one.keys);
        let mut changes = wait(async move { watcher.watch("seen/").await }).unwrap();
        put(&two.keys, "unseen", "");
        let written = put(&two.keys, "seen/a", "1");
        let (change, changes_left) = wait(async move { (changes.next().await, changes) });
        let expected = |revision, is_deleted| KeyChange {
            key: "seen/a".to_owned(),
            revision,
            is_deleted,
        };
        assert_eq!(change.unwrap().unwrap(), expected(written, false));
        let deleted = delete(&two.keys, "seen/a");
        let mut changes = changes_left;
        let change = wait(async move { changes.next().await });
        assert_eq!(change.unwrap().unwrap(), expected(deleted, true));
    }
}

/// Time that stands still and counts who waits for it.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Clock for Counting {
    fn now(&self) -> UnixMicros {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemClock.random(bytes);
    }
}

#[test]
fn a_watcher_waits_by_the_clock_of_its_context() {
    for place in places().filter(|place| place.backend.is_persistent) {
        let keys = place.open().keys;
        let clock = Arc::new(Counting::default());
        let cx = Context::create(Overrides {
            clock: Some(clock.clone()),
            ..Overrides::default()
        });
        let watcher = Arc::clone(&keys);
        let mut changes = wait(async move { cx.run(watcher.watch("")).await }).unwrap();
        let next = io::spawn(async move { changes.next().await });
        // It waits for a write of this process, and by its clock for those of others.
        while clock.0.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let revision = put(&keys, "key", "value");
        let seen = wait(next).unwrap().unwrap().unwrap();
        assert_eq!((seen.key.as_str(), seen.revision), ("key", revision));
    }
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    for place in places().filter(|place| place.backend.is_persistent) {
        let revision = put(&place.open().keys, "key", "value");
        let keys = place.open().keys;
        let found = get(&keys, "key").unwrap().unwrap();
        assert_eq!(
            (&found.value[..], found.revision),
            (&b"value"[..], revision)
        );
        assert!(put(&keys, "key", "other") > revision);
    }
}

#[test]
fn a_damaged_record_is_an_error_of_its_own_key_only() {
    for place in places().filter(|place| place.backend.name == "sqlite") {
        let keys = place.open().keys;
        for name in ["a", "b", "c", "d"] {
            put(&keys, name, "value");
        }
        let file = rusqlite::Connection::open(place.path()).unwrap();
        let damage = |sql: &str| assert_eq!(file.execute(sql, []).unwrap(), 1);
        damage(
            "UPDATE keys SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE key = 'b'",
        );
        damage("UPDATE keys SET record = CAST(x'07' || substr(record, 2) AS BLOB) WHERE key = 'c'");
        let kind = |key: &str| get(&keys, key).unwrap_err().kind();
        assert_eq!(kind("b"), ErrorKind::CorruptRecord);
        assert_eq!(kind("c"), ErrorKind::VersionMismatch);
        let entries = {
            let keys = Arc::clone(&keys);
            wait(async move { keys.scan("", None, 9).await }).unwrap()
        };
        let readable = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.record.is_ok()));
        let expected = [("a", true), ("b", false), ("c", false), ("d", true)];
        assert_eq!(readable.collect::<Vec<_>>(), expected);
        put(&keys, "b", "again");
        assert_eq!(&get(&keys, "b").unwrap().unwrap().value[..], b"again");
    }
}

#[test]
fn a_file_of_another_program_or_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = folder.path().join(name);
        let backend = storage::find("sqlite").unwrap();
        wait(backend.open(Some(path))).unwrap_err().kind()
    };
    std::fs::write(
        folder.path().join("text"),
        "no database, but long enough to be one".repeat(40),
    )
    .unwrap();
    assert_eq!(open("text"), ErrorKind::Protocol);
    let other = rusqlite::Connection::open(folder.path().join("other")).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_eq!(open("other"), ErrorKind::Protocol);
    let newer = rusqlite::Connection::open(folder.path().join("newer")).unwrap();
    newer
        .execute_batch("PRAGMA application_id = 1634298740; PRAGMA user_version = 2")
        .unwrap();
    assert_eq!(open("newer"), ErrorKind::VersionMismatch);
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(open("file/store.db"), ErrorKind::Io);
}

#[test]
fn an_unknown_backend_is_named_with_those_there_are() {
    let error = storage::find("tape").unwrap_err();
    assert_eq!(error.hint(), Some("use one of `memory`, `sqlite`"));
}
