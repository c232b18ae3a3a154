//! What several shells keep under one bound: where it is reached, the shell that has most gives up
//! its oldest, so that none loses anything to another that has more.

use std::collections::{BTreeMap, VecDeque};

/// The bound of all shells together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// Entries by shell, whose numbers are those of [`Shell`](crate::handlers::subshell::Shell).
#[derive(Debug)]
pub(crate) struct Shares<T> {
    most: Most,
    parts: BTreeMap<u32, Part<T>>,
    entries: usize,
    bytes: usize,
}

/// The entries of one shell, oldest first, each with its size.
#[derive(Debug)]
struct Part<T> {
    entries: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Shares<T> {
    pub(crate) fn new(most: Most) -> Self {
        Self {
            most,
            parts: BTreeMap::new(),
            entries: 0,
            bytes: 0,
        }
    }

    /// Adds the newest entry of a shell, which stays whatever its size; answers how many others had
    /// to go.
    pub(crate) fn push(&mut self, shell: u32, bytes: usize, entry: T) -> usize {
        self.insert(shell, bytes, |entries| entries.push_back((bytes, entry)));
        let mut gone = 0;
        while self.is_full()
            && let Some(largest) = self.largest(shell, bytes)
        {
            gone += usize::from(self.pop(largest).is_some());
        }
        gone
    }

    /// Gives back what [`Shares::pop`] took, unless others have filled its place; answers whether
    /// it is kept.
    pub(crate) fn unpop(&mut self, shell: u32, bytes: usize, entry: T) -> bool {
        let is_kept =
            self.entries < self.most.entries && self.bytes.saturating_add(bytes) <= self.most.bytes;
        if is_kept {
            self.insert(shell, bytes, |entries| entries.push_front((bytes, entry)));
        }
        is_kept
    }

    /// Takes the oldest entry of a shell, and its size.
    pub(crate) fn pop(&mut self, shell: u32) -> Option<(usize, T)> {
        let part = self.parts.get_mut(&shell)?;
        let (bytes, entry) = part.entries.pop_front()?;
        part.bytes -= bytes;
        if part.entries.is_empty() {
            self.parts.remove(&shell);
        }
        self.entries -= 1;
        self.bytes -= bytes;
        Some((bytes, entry))
    }

    /// The entries of a shell, oldest first.
    pub(crate) fn of(&self, shell: u32) -> impl Iterator<Item = &T> {
        let part = self.parts.get(&shell);
        part.into_iter()
            .flat_map(|part| part.entries.iter().map(|(_, entry)| entry))
    }

    /// How many entries a shell has.
    pub(crate) fn count(&self, shell: u32) -> usize {
        self.parts.get(&shell).map_or(0, |part| part.entries.len())
    }

    /// The shells that have entries.
    pub(crate) fn shells(&self) -> Vec<u32> {
        self.parts.keys().copied().collect()
    }

    /// Drops what a shell has.
    pub(crate) fn forget(&mut self, shell: u32) {
        if let Some(part) = self.parts.remove(&shell) {
            self.entries -= part.entries.len();
            self.bytes -= part.bytes;
        }
    }

    fn insert(&mut self, shell: u32, bytes: usize, add: impl FnOnce(&mut VecDeque<(usize, T)>)) {
        let part = self.parts.entry(shell).or_insert_with(|| Part {
            entries: VecDeque::new(),
            bytes: 0,
        });
        add(&mut part.entries);
        part.bytes += bytes;
        self.entries += 1;
        self.bytes += bytes;
    }

    fn is_full(&self) -> bool {
        self.entries > self.most.entries || self.bytes > self.most.bytes
    }

    /// The shell that has most of what there is too much of, but for the newest entry, which is one
    /// of `newest` and has `size`; none when there is nothing else.
    fn largest(&self, newest: u32, size: usize) -> Option<u32> {
        let is_bytes = self.bytes > self.most.bytes;
        let weights = self.parts.iter().filter_map(|(shell, part)| {
            let (mut entries, mut bytes) = (part.entries.len(), part.bytes);
            if *shell == newest {
                (entries, bytes) = (entries - 1, bytes - size);
            }
            let weight = if is_bytes {
                (bytes, entries)
            } else {
                (entries, bytes)
            };
            (entries > 0).then_some((weight, *shell))
        });
        weights.max().map(|(_, shell)| shell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(shares: &Shares<&'static str>) -> Vec<(u32, Vec<&'static str>)> {
        let of = |shell| (shell, shares.of(shell).copied().collect());
        shares.shells().into_iter().map(of).collect()
    }

    #[test]
    fn the_shell_that_has_most_gives_up_its_oldest() {
        let mut shares = Shares::new(Most {
            entries: 4,
            bytes: 100,
        });
        for entry in ["a", "b", "c"] {
            assert_eq!(shares.push(0, 10, entry), 0);
        }
        assert_eq!(shares.push(1, 10, "own"), 0);
        assert_eq!(shares.push(2, 10, "new"), 1);
        assert_eq!(
            kept(&shares),
            [(0, vec!["b", "c"]), (1, vec!["own"]), (2, vec!["new"])]
        );
        // By bytes: the one that has most of them, not the one that has most entries.
        assert_eq!(shares.push(1, 65, "large"), 1);
        assert_eq!(
            kept(&shares),
            [(0, vec!["c"]), (1, vec!["own", "large"]), (2, vec!["new"])]
        );
        assert_eq!(shares.push(2, 10, "third"), 1);
        assert_eq!(shares.of(1).copied().collect::<Vec<_>>(), ["large"]);
        assert_eq!(shares.count(2), 2);
    }

    #[test]
    fn the_newest_stays_whatever_its_size_and_all_else_goes() {
        let mut shares = Shares::new(Most {
            entries: 10,
            bytes: 100,
        });
        for shell in 0..5 {
            shares.push(shell, 10, "small");
        }
        assert_eq!(shares.push(3, 1000, "huge"), 5);
        assert_eq!(kept(&shares), [(3, vec!["huge"])]);
        assert_eq!(shares.push(4, 1, "next"), 1);
        assert_eq!(kept(&shares), [(4, vec!["next"])]);
        assert_eq!((shares.entries, shares.bytes), (1, 1));
    }

    #[test]
    fn what_was_taken_goes_back_to_its_place_if_there_is_room() {
        let mut shares = Shares::new(Most {
            entries: 2,
            bytes: 100,
        });
        shares.push(0, 10, "first");
        shares.push(0, 10, "second");
        let (bytes, first) = shares.pop(0).unwrap();
        assert!(shares.unpop(0, bytes, first));
        assert_eq!(kept(&shares), [(0, vec!["first", "second"])]);
        let (bytes, first) = shares.pop(0).unwrap();
        shares.push(1, 10, "of another");
        assert!(!shares.unpop(0, bytes, first));
        shares.forget(0);
        assert_eq!(kept(&shares), [(1, vec!["of another"])]);
        assert_eq!(shares.pop(7), None);
    }
}
