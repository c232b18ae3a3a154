//! A set of chunks as bits, small and quick to ask.

use aikit_core::storage::ChunkId;

const BITS: u64 = u64::BITS as u64;

/// Ids of chunks. They are counted from 1 without gaps, so a bit each is little.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Ids {
    words: Vec<u64>,
    count: usize,
}

impl Ids {
    pub(super) fn insert(&mut self, id: ChunkId) {
        let Ok(word) = usize::try_from(id / BITS) else {
            return;
        };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (id % BITS);
        self.count += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    pub(super) fn contains(&self, id: ChunkId) -> bool {
        let word = usize::try_from(id / BITS).ok();
        let word = word.and_then(|it| self.words.get(it));
        word.is_some_and(|word| word & (1 << (id % BITS)) != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl FromIterator<ChunkId> for Ids {
    fn from_iter<I: IntoIterator<Item = ChunkId>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_in_and_nothing_else() {
        let set: Ids = [0, 1, 63, 64, 1_000, 1_000].into_iter().collect();
        for id in 0..2_000 {
            let expected = [0, 1, 63, 64, 1_000].contains(&id);
            assert_eq!(set.contains(id), expected, "{id}");
        }
        assert!(!set.contains(u64::MAX) && !set.is_empty());
        assert_eq!(set.count, 5);
        assert!(Ids::default().is_empty());
    }
}
