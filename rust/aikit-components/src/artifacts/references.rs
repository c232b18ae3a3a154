//! How many artifacts have a content: with the last one it goes.

use aikit_core::{
    ErrorKind, Result,
    storage::{Batch, Entry, Revision},
};
use serde::{Deserialize, Serialize};

use super::{ArtifactInfo, Artifacts, FRAME_BYTES, hash};
use crate::project;

/// How many artifacts have a content, as it is stored.
#[derive(Default, Deserialize, Serialize)]
struct References {
    count: u64,
}

/// A count as it was found.
pub(super) struct Counted {
    pub(super) count: u64,
    /// What a write of it expects: that its key is as it was found; where the stored count was
    /// damaged, that the descriptions are those that were counted.
    pub(super) expect: Vec<(String, Option<Revision>)>,
    /// As [`Batch::counts`].
    pub(super) counts: Vec<(String, u64)>,
}

impl Artifacts {
    /// Whether the content that is stored has this hash.
    pub(super) async fn is_whole(&self, expected: &str) -> Result<bool> {
        match self.store.get(&self.content(expected)).await {
            Ok(record) => Ok(record.is_some_and(|it| hash(&it.value) == expected)),
            Err(error) if error.kind() == ErrorKind::CorruptRecord => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes a reference to a content away, and the content with the last one.
    pub(super) async fn release(&self, hash: &str, batch: &mut Batch) -> Result<()> {
        let counted = self.references(hash).await?;
        if let Some(count @ 1..) = counted.count.checked_sub(1) {
            return self.count(hash, Counted { count, ..counted }, batch);
        }
        batch.expect.extend(counted.expect);
        batch.counts.extend(counted.counts);
        batch
            .deletes
            .extend([self.counted(hash), self.content(hash)]);
        Ok(())
    }

    /// Adds the write of a count to a batch.
    pub(super) fn count(&self, hash: &str, counted: Counted, batch: &mut Batch) -> Result<()> {
        let Counted {
            count,
            expect,
            counts,
        } = counted;
        let written = project::encode("a count", &References { count }, FRAME_BYTES)?;
        batch.expect.extend(expect);
        batch.counts.extend(counts);
        batch.puts.push((self.counted(hash), written));
        Ok(())
    }

    pub(super) async fn references(&self, hash: &str) -> Result<Counted> {
        let key = self.counted(hash);
        let record = match self.store.get(&key).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                return Ok(Counted {
                    count: 0,
                    expect: vec![(key, None)],
                    counts: Vec::new(),
                });
            }
            Err(error) if error.kind() == ErrorKind::CorruptRecord => {
                return self.recount(hash).await;
            }
            Err(error) => return Err(error),
        };
        match project::decode::<References>("the count of a content", &record.value) {
            Ok(References { count }) => Ok(Counted {
                count,
                expect: vec![(key, Some(record.revision))],
                counts: Vec::new(),
            }),
            Err(_) => self.recount(hash).await,
        }
    }

    /// A count that is damaged is made anew from the descriptions, of all scopes.
    async fn recount(&self, hash: &str) -> Result<Counted> {
        let seen = |entry: Entry| {
            let Ok(record) = entry.record else {
                return (true, None);
            };
            let info = project::decode::<ArtifactInfo>("an artifact", &record.value);
            // One that cannot be read may have it: a content too many does no harm.
            let may_have_it = info.map_or(true, |it| it.hash == hash);
            (may_have_it, Some((entry.key, Some(record.revision))))
        };
        let all = self.all_named();
        let seen = project::collect(&*self.store, &all, usize::MAX, seen).await?;
        let number = seen.len() as u64;
        let count = seen.iter().filter(|(may_have_it, _)| *may_have_it).count() as u64;
        Ok(Counted {
            count,
            expect: seen.into_iter().filter_map(|(_, key)| key).collect(),
            counts: vec![(all, number)],
        })
    }
}
