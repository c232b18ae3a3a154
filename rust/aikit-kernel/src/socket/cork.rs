//! Messages that are made together leave together, written by the thread that made them.
//!
//! A message that is queued wakes the task that writes to its peer, mostly on another thread. The
//! loop of the kernel tells several peers several things in a row, of the cell that ended and of
//! the one behind it; each of these wake-ups costs more than the writing.

use std::{cell::RefCell, future::poll_fn, pin::pin, sync::Arc};

use super::peer::Peer;

thread_local! {
    /// Peers for whom something was queued while this thread polls what runs in [`corked`].
    static CORK: RefCell<Option<Vec<Arc<Peer>>>> = const { RefCell::new(None) };
}

/// Runs `future`; what it queues while it is polled is written when the poll ends.
pub(crate) async fn corked<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _cork = Cork::put_in();
        future.as_mut().poll(cx)
    })
    .await
}

/// Whether whoever polls writes what was queued for `peer`; else its own task has to.
pub(super) fn holds(peer: &Arc<Peer>) -> bool {
    let held = CORK.try_with(|cork| {
        let mut cork = cork.borrow_mut();
        let Some(peers) = &mut *cork else {
            return false;
        };
        if !peers.iter().any(|it| Arc::ptr_eq(it, peer)) {
            peers.push(Arc::clone(peer));
        }
        true
    });
    // A thread that ends polls nothing.
    held.unwrap_or(false)
}

/// Takes the cork out when dropped, also when a poll panics.
struct Cork(());

impl Cork {
    fn put_in() -> Self {
        CORK.set(Some(Vec::new()));
        Self(())
    }
}

impl Drop for Cork {
    fn drop(&mut self) {
        for peer in CORK.take().unwrap_or_default() {
            peer.write_now();
        }
    }
}
