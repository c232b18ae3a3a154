//! Keys with revisions in SQLite.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Context, Result,
    clock::{Clock, SystemClock},
    storage::{Batch, Entry, KeyChange, KeyValueStore, Record, Revision},
};
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, select},
    stream::{self, BoxStream},
};
use rusqlite::{OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use super::{
    failed,
    pool::{Database, advance, counter},
    signed, to_row, unsigned,
};
use crate::storage::{TOMBSTONES_MAX, check_count, check_expected, final_writes, record};

/// How often a watcher looks for the writes of other processes.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Old deletions are forgotten once in this many writes.
const FORGET_INTERVAL: u64 = 1024;

#[derive(Debug)]
pub(super) struct Keys(pub(super) Arc<Database>);

/// What the record of a key holds.
#[derive(Debug, Deserialize, Serialize)]
struct Body {
    value: Bytes,
}

impl KeyValueStore for Keys {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        let key = key.to_owned();
        let found = self.0.read(move |transaction| {
            let row = transaction
                .prepare_cached(
                    "SELECT revision, record FROM keys WHERE key = ?1 AND record NOT NULL",
                )
                .and_then(|mut it| {
                    it.query_row([&key], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
                        .optional()
                })
                .map_err(failed)?;
            row.map(|(revision, bytes)| to_record(&key, revision, &bytes))
                .transpose()
        });
        found.boxed()
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let found = self
            .0
            .read(move |transaction| scan(transaction, &prefix, after.as_deref(), limit));
        found.boxed()
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Revision>> {
        self.0
            .write(move |transaction| apply(transaction, &batch))
            .boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<KeyChange>>>> {
        let database = Arc::clone(&self.0);
        let prefix: Arc<str> = Arc::from(prefix);
        async move {
            let clock = Context::try_get().map(|cx| Arc::clone(cx.clock()));
            let clock: Arc<dyn Clock> = clock.unwrap_or_else(|| Arc::new(SystemClock));
            let written = database.written().await?;
            let seen = database
                .read(|transaction| counter(transaction, "revision"))
                .await?;
            let pages = stream::unfold((database, written, seen), move |state| {
                let (database, mut written, seen) = state;
                let (prefix, clock) = (Arc::clone(&prefix), Arc::clone(&clock));
                async move {
                    let page = database
                        .read(move |transaction| changes(transaction, &prefix, seen))
                        .await;
                    let (items, reached) = match page {
                        Ok((changes, reached)) if reached > seen => {
                            (changes.into_iter().map(Ok).collect(), reached)
                        }
                        Ok(_) => {
                            let other = clock.sleep(WATCH_INTERVAL);
                            select(written.changed().boxed(), other).await;
                            (Vec::new(), seen)
                        }
                        Err(error) => {
                            clock.sleep(WATCH_INTERVAL).await;
                            (vec![Err(error)], seen)
                        }
                    };
                    Some((stream::iter(items), (database, written, reached)))
                }
            });
            Ok(pages.flatten().boxed())
        }
        .boxed()
    }
}

fn to_record(key: &str, revision: i64, bytes: &[u8]) -> Result<Record> {
    let Body { value } = record::decode(key, bytes)?;
    Ok(Record {
        value,
        revision: unsigned(revision),
    })
}

fn scan(
    transaction: &Transaction<'_>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Entry>> {
    let mut statement = transaction
        .prepare_cached(
            "SELECT key, revision, record FROM keys
             WHERE key >= ?1 AND (?2 IS NULL OR key > ?2) AND record NOT NULL
             ORDER BY key LIMIT ?3",
        )
        .map_err(failed)?;
    let begin = after.map_or(prefix, |after| after.max(prefix));
    let mut rows = statement
        .query((begin, after, to_row(limit)))
        .map_err(failed)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let key: String = row.get(0).map_err(failed)?;
        if !key.starts_with(prefix) {
            break;
        }
        let revision = row.get(1).map_err(failed)?;
        let bytes: Vec<u8> = row.get(2).map_err(failed)?;
        let record = to_record(&key, revision, &bytes);
        entries.push(Entry { key, record });
    }
    Ok(entries)
}

/// How many keys begin with a prefix.
fn count(transaction: &Transaction<'_>, prefix: &str) -> Result<u64> {
    let mut statement = transaction
        .prepare_cached("SELECT key FROM keys WHERE key >= ?1 AND record NOT NULL ORDER BY key")
        .map_err(failed)?;
    let mut rows = statement.query([prefix]).map_err(failed)?;
    let mut found = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        // Compared as text here: the order of the database is not that of prefixes.
        let key = row
            .get_ref(0)
            .and_then(|it| Ok(it.as_str()?))
            .map_err(failed)?;
        if !key.starts_with(prefix) {
            break;
        }
        found += 1;
    }
    Ok(found)
}

fn apply(transaction: &Transaction<'_>, batch: &Batch) -> Result<Revision> {
    for (key, expected) in &batch.expect {
        let found = transaction
            .prepare_cached("SELECT revision FROM keys WHERE key = ?1 AND record NOT NULL")
            .and_then(|mut it| it.query_row([key], |row| row.get(0)).optional())
            .map_err(failed)?;
        check_expected(key, *expected, found.map(unsigned))?;
    }
    for (prefix, expected) in &batch.counts {
        check_count(prefix, *expected, count(transaction, prefix)?)?;
    }
    let revision = advance(transaction, "revision", 1)? + 1;
    let number = signed(revision);
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO keys (key, revision, record) VALUES (?1, ?2, ?3)")
        .map_err(failed)?;
    let mut delete = transaction
        .prepare_cached(
            "UPDATE keys SET revision = ?2, record = NULL WHERE key = ?1 AND record NOT NULL",
        )
        .map_err(failed)?;
    for (key, value) in final_writes(batch) {
        let changed = match value {
            Some(value) => {
                let body = Body {
                    value: Bytes::copy_from_slice(value),
                };
                put.execute((key, number, record::encode(key, &body)?))
            }
            None => delete.execute((key, number)),
        };
        changed.map_err(failed)?;
    }
    if revision.is_multiple_of(FORGET_INTERVAL) {
        let kept = revision.saturating_sub(TOMBSTONES_MAX as u64);
        transaction
            .execute(
                "DELETE FROM keys WHERE record IS NULL AND revision <= ?1",
                [signed(kept)],
            )
            .map_err(failed)?;
    }
    Ok(revision)
}

/// The last change of each key after `seen`, in order, and the revision they reach.
fn changes(
    transaction: &Transaction<'_>,
    prefix: &str,
    seen: Revision,
) -> Result<(Vec<KeyChange>, Revision)> {
    let reached = counter(transaction, "revision")?;
    let mut statement = transaction
        .prepare_cached(
            "SELECT key, revision, record IS NULL FROM keys WHERE revision > ?1 ORDER BY revision, key",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([signed(seen)], |row| {
            Ok(KeyChange {
                key: row.get(0)?,
                revision: unsigned(row.get(1)?),
                is_deleted: row.get(2)?,
            })
        })
        .map_err(failed)?;
    let changes: Vec<KeyChange> = rows
        .filter(|change| !matches!(change, Ok(it) if !it.key.starts_with(prefix)))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    Ok((changes, reached))
}
