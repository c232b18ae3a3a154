//! Remembers which messages came, so that a recorded one cannot be sent again.

use std::collections::{HashSet, VecDeque};

use crate::wire::frame::Digest;

/// How many messages are remembered; the number `jupyter_client` uses.
const DIGESTS_MAX: usize = 1 << 16;

/// Digests of the newest messages.
#[derive(Debug, Default)]
pub(super) struct ReplayGuard {
    known: HashSet<Digest>,
    order: VecDeque<Digest>,
}

impl ReplayGuard {
    /// Whether `digest` is new; remembers it, and forgets the oldest beyond the limit.
    pub(super) fn is_new(&mut self, digest: Digest) -> bool {
        if !self.known.insert(digest) {
            return false;
        }
        self.order.push_back(digest);
        if self.order.len() > DIGESTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_new_once_while_it_is_remembered() {
        let mut guard = ReplayGuard::default();
        assert!(guard.is_new(1));
        assert!(!guard.is_new(1));
        for digest in 2..=DIGESTS_MAX as u128 + 1 {
            assert!(guard.is_new(digest));
        }
        assert!(guard.is_new(1), "the oldest is forgotten");
        assert_eq!(guard.known.len(), DIGESTS_MAX);
    }
}
