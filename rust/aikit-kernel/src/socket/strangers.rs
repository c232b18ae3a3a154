//! Peers that have sent nothing genuine yet, and how much they may make us keep together.
//!
//! A signature is looked at once a message is whole, so whoever may connect can make us keep a
//! part of one, and answers that it does not read. All strangers of a socket share one budget. When
//! it is exceeded, the one for whom most is kept has to go, and the others wait until that is
//! freed. When a socket has as many peers as it takes, the stranger that has been there longest
//! makes room for the next one. Where nothing is signed (iopub, heartbeat) everybody is a stranger:
//! there a subscriber stays, and the one whose last beat is longest ago goes first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// What is kept for all strangers of one socket, in memory: one largest message with what its frames
/// cost fits. With as many peers as a socket takes, one that sends less than 128 KiB first is never
/// the one that has to go; a client's first request is a few hundred bytes.
pub(super) const STRANGERS_BYTES_MAX: usize = (1 << 26) + (1 << 20);

/// The budget of one socket.
#[derive(Debug)]
pub(super) struct Strangers {
    bytes_max: usize,
    shares: Mutex<Shares>,
    /// Told when somebody has to go, and when bytes were freed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Share {
    /// Of messages that are not whole, in memory and not in payload.
    bytes: usize,
    /// Of answers that wait to be read.
    answers_bytes: usize,
    /// Place in the order in which strangers make room; it grows.
    heard: u64,
    /// Whether it makes room for nobody.
    stays: bool,
    has_to_go: bool,
}

impl Share {
    fn kept(&self) -> usize {
        self.bytes + self.answers_bytes
    }
}

#[derive(Debug, Default)]
struct Shares {
    by_number: HashMap<u64, Share>,
    last_heard: u64,
}

impl Shares {
    fn next_heard(&mut self) -> u64 {
        self.last_heard += 1;
        self.last_heard
    }

    fn kept(&self) -> usize {
        self.by_number.values().map(Share::kept).sum()
    }
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
        let mut shares = self.shares();
        let heard = shares.next_heard();
        let share = Share {
            heard,
            ..Share::default()
        };
        shares.by_number.insert(number, share);
        drop(shares);
        Arc::new(Stranger {
            number,
            strangers: Arc::clone(self),
        })
    }

    /// Sends the stranger away that has been there, or silent, longest; whether there is one.
    pub(super) fn dismiss_oldest(&self) -> bool {
        let mut shares = self.shares();
        let staying = shares.by_number.values_mut();
        let idle = staying.filter(|share| !share.has_to_go && !share.stays);
        let Some(oldest) = idle.min_by_key(|share| share.heard) else {
            return false;
        };
        oldest.has_to_go = true;
        self.changed.notify_waiters();
        true
    }

    /// Sends those away for whom most is kept until the rest fits.
    fn make_room(&self, shares: &mut Shares) {
        loop {
            let staying = shares.by_number.values().filter(|it| !it.has_to_go);
            if staying.map(Share::kept).sum::<usize>() <= self.bytes_max {
                return;
            }
            let staying = shares.by_number.values_mut();
            let staying = staying.filter(|it| !it.has_to_go);
            if let Some(largest) = staying.max_by_key(|it| it.kept()) {
                largest.has_to_go = true;
                self.changed.notify_waiters();
            }
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // A plain mutex: it is never held across an await.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One peer's share of the budget, until it has proved itself or is gone.
#[derive(Debug)]
pub(super) struct Stranger {
    /// Tells connections apart.
    pub(super) number: u64,
    strangers: Arc<Strangers>,
}

impl Stranger {
    /// Notes how much memory unfinished messages of this peer take now.
    pub(super) fn keep(&self, bytes: usize) {
        self.change(|share| share.bytes = bytes);
    }

    /// Notes how much memory answers take that this peer has not read.
    pub(super) fn owe(&self, bytes: usize) {
        self.change(|share| share.answers_bytes = bytes);
    }

    /// The peer makes room for nobody any more; what is kept for it still counts.
    pub(super) fn stay(&self) {
        self.change(|share| share.stays = true);
    }

    /// The peer makes room after all that are there now.
    pub(super) fn renew(&self) {
        let heard = self.strangers.shares().next_heard();
        self.change(|share| share.heard = heard);
    }

    fn change(&self, change: impl FnOnce(&mut Share)) {
        let mut shares = self.strangers.shares();
        let Some(share) = shares.by_number.get_mut(&self.number) else {
            return;
        };
        let before = share.kept();
        change(share);
        let after = share.kept();
        if after > before {
            self.strangers.make_room(&mut shares);
        } else if after < before {
            self.strangers.changed.notify_waiters();
        }
    }

    /// Waits until more may be read from this peer.
    pub(super) async fn room(&self) {
        self.until(|shares| {
            !shares.by_number.contains_key(&self.number)
                || shares.kept() <= self.strangers.bytes_max
        })
        .await;
    }

    /// Waits until this peer has to go; never ends for one that has proved itself.
    pub(super) async fn has_to_go(&self) {
        self.until(|shares| {
            let share = shares.by_number.get(&self.number);
            share.is_some_and(|it| it.has_to_go)
        })
        .await;
    }

    async fn until(&self, is_so: impl Fn(&Shares) -> bool) {
        loop {
            // Made before the look, so that what changes after it is not missed.
            let changed = self.strangers.changed.notified();
            if is_so(&self.strangers.shares()) {
                return;
            }
            changed.await;
        }
    }

    /// The peer sent something genuine: it is no stranger any more.
    pub(super) fn prove(&self) {
        let mut shares = self.strangers.shares();
        if shares.by_number.remove(&self.number).is_some() {
            self.strangers.changed.notify_waiters();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.prove();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn admit<const COUNT: usize>(strangers: &Arc<Strangers>) -> [Arc<Stranger>; COUNT] {
        std::array::from_fn(|number| strangers.admit(number as u64))
    }

    fn has_room(stranger: &Stranger) -> bool {
        stranger.room().now_or_never().is_some()
    }

    fn has_to_go(stranger: &Stranger) -> bool {
        stranger.has_to_go().now_or_never().is_some()
    }

    #[test]
    fn the_largest_goes_and_the_others_wait_until_it_is_gone() {
        let strangers = Strangers::new(100);
        let [small, large, middle] = admit(&strangers);
        small.keep(10);
        large.keep(60);
        middle.keep(30);
        assert!(has_room(&small), "100 of 100");
        middle.keep(31);
        assert_eq!(
            [&small, &large, &middle].map(|it| has_to_go(it)),
            [false, true, false]
        );
        assert!(!has_room(&small) && !has_room(&middle), "it is still kept");
        let waiting = small.room();
        drop(large);
        assert!(waiting.now_or_never().is_some());
        assert!(has_room(&middle));
    }

    #[test]
    fn the_one_that_exceeds_it_goes_when_it_is_the_largest() {
        let strangers = Strangers::new(100);
        let [first, second] = admit(&strangers);
        first.keep(50);
        second.keep(51);
        assert_eq!([&first, &second].map(|it| has_to_go(it)), [false, true]);
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
        assert!(has_room(&second));
    }

    #[test]
    fn whoever_proved_itself_neither_counts_nor_waits_nor_goes() {
        let strangers = Strangers::new(100);
        let [known, stranger] = admit(&strangers);
        known.keep(99);
        known.prove();
        known.keep(1_000_000);
        stranger.keep(100);
        assert!(has_room(&known) && has_room(&stranger));
        stranger.keep(101);
        assert_eq!([&known, &stranger].map(|it| has_to_go(it)), [false, true]);
        assert!(has_room(&known), "it waits for nobody");
        assert!(!strangers.dismiss_oldest(), "nobody is left");
    }

    #[test]
    fn the_oldest_stranger_makes_room() {
        let strangers = Strangers::new(100);
        let [known, old, new] = admit(&strangers);
        known.prove();
        assert!(strangers.dismiss_oldest());
        assert_eq!(
            [&known, &old, &new].map(|it| has_to_go(it)),
            [false, true, false]
        );
        assert!(strangers.dismiss_oldest());
        assert!(has_to_go(&new));
        assert!(!strangers.dismiss_oldest());
    }

    #[test]
    fn who_stays_or_was_heard_later_does_not_make_room() {
        let strangers = Strangers::new(100);
        let [subscriber, beating, silent] = admit(&strangers);
        subscriber.stay();
        beating.renew();
        assert!(strangers.dismiss_oldest());
        assert!(has_to_go(&silent));
        assert!(strangers.dismiss_oldest());
        assert!(has_to_go(&beating));
        assert!(!strangers.dismiss_oldest());
        subscriber.keep(101);
        assert!(has_to_go(&subscriber), "what it makes us keep still counts");
    }

    #[test]
    fn answers_that_are_not_read_count_too() {
        let strangers = Strangers::new(100);
        let [first, second] = admit(&strangers);
        first.keep(40);
        first.owe(40);
        second.keep(21);
        assert_eq!([&first, &second].map(|it| has_to_go(it)), [true, false]);
    }
}
