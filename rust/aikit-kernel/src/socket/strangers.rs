//! Peers that have sent nothing genuine yet, and how much they may make us keep together.
//!
//! A signature is looked at once a message is whole, so whoever may connect can make us keep a
//! part of one. All strangers of a socket share one budget. When it is exceeded, the one for whom
//! most is kept has to go, and the others wait until that is freed.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// What is kept for all strangers of one socket: one largest message with the heads of its frames
/// fits. With as many peers as a socket takes, one that sends less than 256 KiB first is never the
/// one that has to go; a client's first request is a few hundred bytes.
pub(super) const STRANGERS_BYTES_MAX: usize = (1 << 26) + (1 << 20);

/// The budget of one socket.
#[derive(Debug)]
pub(super) struct Strangers {
    bytes_max: usize,
    shares: Mutex<HashMap<u64, Share>>,
    /// Told when somebody has to go, and when bytes were freed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    has_to_go: bool,
}

impl Strangers {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            shares: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Takes in a peer; `number` tells connections apart.
    pub(super) fn admit(self: &Arc<Self>, number: u64) -> Arc<Stranger> {
        self.shares().insert(number, Share::default());
        Arc::new(Stranger {
            number,
            strangers: Arc::clone(self),
        })
    }

    /// Sends those away for whom most is kept until the rest fits.
    fn make_room(&self, shares: &mut HashMap<u64, Share>) {
        loop {
            let staying = || shares.values().filter(|it| !it.has_to_go);
            if staying().map(|it| it.bytes).sum::<usize>() <= self.bytes_max {
                return;
            }
            let staying = shares.values_mut().filter(|it| !it.has_to_go);
            if let Some(largest) = staying.max_by_key(|it| it.bytes) {
                largest.has_to_go = true;
                self.changed.notify_waiters();
            }
        }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<u64, Share>> {
        // A plain mutex: it is never held across an await.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One peer's share of the budget, until it has proved itself or is gone.
#[derive(Debug)]
pub(super) struct Stranger {
    number: u64,
    strangers: Arc<Strangers>,
}

impl Stranger {
    /// Notes how many bytes are kept for this peer now.
    pub(super) fn keep(&self, bytes: usize) {
        let mut shares = self.strangers.shares();
        let Some(share) = shares.get_mut(&self.number) else {
            return;
        };
        let before = std::mem::replace(&mut share.bytes, bytes);
        if bytes > before {
            self.strangers.make_room(&mut shares);
        } else if bytes < before {
            self.strangers.changed.notify_waiters();
        }
    }

    /// Waits until more may be read from this peer.
    ///
    /// # Errors
    ///
    /// When this peer has to go.
    pub(super) async fn room(&self) -> io::Result<()> {
        loop {
            let changed = self.strangers.changed.notified();
            {
                let shares = self.strangers.shares();
                let Some(share) = shares.get(&self.number) else {
                    return Ok(());
                };
                if share.has_to_go {
                    return Err(refused());
                }
                let kept: usize = shares.values().map(|share| share.bytes).sum();
                if kept <= self.strangers.bytes_max {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// Waits until this peer has to go; never ends for one that has proved itself.
    pub(super) async fn has_to_go(&self) -> io::Error {
        loop {
            let changed = self.strangers.changed.notified();
            if self
                .strangers
                .shares()
                .get(&self.number)
                .is_some_and(|share| share.has_to_go)
            {
                return refused();
            }
            changed.await;
        }
    }

    /// The peer sent something genuine: it is no stranger any more.
    pub(super) fn prove(&self) {
        if self.strangers.shares().remove(&self.number).is_some() {
            self.strangers.changed.notify_waiters();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.prove();
    }
}

fn refused() -> io::Error {
    io::Error::new(
        io::ErrorKind::QuotaExceeded,
        "too much is kept for peers that sent nothing genuine",
    )
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Whether a future is ready; it is dropped either way.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        future.now_or_never()
    }

    fn admit<const COUNT: usize>(strangers: &Arc<Strangers>) -> [Arc<Stranger>; COUNT] {
        std::array::from_fn(|number| strangers.admit(number as u64))
    }

    #[test]
    fn the_largest_goes_and_the_others_wait_until_it_is_gone() {
        let strangers = Strangers::new(100);
        let [small, large, middle] = admit(&strangers);
        small.keep(10);
        large.keep(60);
        middle.keep(30);
        assert!(now(small.room()).unwrap().is_ok(), "100 of 100");
        middle.keep(31);
        assert!(now(large.has_to_go()).is_some());
        assert!(now(large.room()).unwrap().is_err());
        for staying in [&small, &middle] {
            assert!(now(staying.has_to_go()).is_none());
            assert!(now(staying.room()).is_none(), "what is kept is still there");
        }
        let waiting = small.room();
        drop(large);
        assert!(now(waiting).unwrap().is_ok());
        assert!(now(middle.room()).unwrap().is_ok());
    }

    #[test]
    fn the_one_that_exceeds_it_goes_when_it_is_the_largest() {
        let strangers = Strangers::new(100);
        let [first, second] = admit(&strangers);
        first.keep(50);
        second.keep(51);
        assert!(now(second.room()).unwrap().is_err());
        assert!(now(first.has_to_go()).is_none());
    }

    #[test]
    fn a_message_that_is_done_with_frees_its_bytes() {
        let strangers = Strangers::new(100);
        let [first, second] = admit(&strangers);
        for _ in 0..10 {
            first.keep(90);
            first.keep(0);
        }
        second.keep(100);
        assert!(now(second.room()).unwrap().is_ok());
    }

    #[test]
    fn whoever_proved_itself_neither_counts_nor_waits_nor_goes() {
        let strangers = Strangers::new(100);
        let [known, stranger] = admit(&strangers);
        known.keep(99);
        known.prove();
        known.keep(1_000_000);
        stranger.keep(100);
        assert!(now(known.room()).unwrap().is_ok());
        assert!(now(stranger.room()).unwrap().is_ok());
        stranger.keep(101);
        assert!(now(stranger.room()).unwrap().is_err());
        assert!(now(known.has_to_go()).is_none());
        assert!(now(known.room()).unwrap().is_ok(), "it waits for nobody");
    }
}
