//! The queue of one subscriber: bounded in number and in bytes.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{DropPolicy, Filter, QueueOptions};

/// Bytes that wait for one subscriber, as [`Weigh`] counts them. One item may be larger: it waits
/// alone.
pub const BYTES_MAX: usize = 1 << 26;

/// What waits in queues, and how much memory it takes.
pub trait Weigh {
    /// Bytes, about.
    fn weight(&self) -> usize;
}

pub(super) struct Queue<T> {
    options: QueueOptions,
    /// What this subscriber wants; everything when there is none.
    filter: Option<Filter<T>>,
    items: Mutex<Items<T>>,
    pub(super) arrived: Notify,
    pub(super) is_closed: AtomicBool,
    pub(super) dropped: Arc<AtomicU64>,
    live: Arc<AtomicUsize>,
}

struct Items<T> {
    waiting: VecDeque<(Arc<T>, usize)>,
    /// Weight of all that wait.
    bytes: usize,
}

impl<T> Items<T> {
    /// Whether there is no room for an item of that weight.
    fn is_full(&self, options: QueueOptions, weight: usize) -> bool {
        !self.waiting.is_empty()
            && (self.waiting.len() >= options.capacity || self.bytes + weight > BYTES_MAX)
    }

    fn pop_front(&mut self) -> Option<Arc<T>> {
        let (item, weight) = self.waiting.pop_front()?;
        self.bytes -= weight;
        Some(item)
    }

    fn pop_back(&mut self) -> Option<Arc<T>> {
        let (item, weight) = self.waiting.pop_back()?;
        self.bytes -= weight;
        Some(item)
    }
}

impl<T> Queue<T> {
    /// An empty queue; `live` counts it until it is dropped.
    pub(super) fn new(
        options: QueueOptions,
        filter: Option<Filter<T>>,
        is_closed: bool,
        live: Arc<AtomicUsize>,
    ) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self {
            options,
            filter,
            items: Mutex::new(Items {
                waiting: VecDeque::new(),
                bytes: 0,
            }),
            arrived: Notify::new(),
            is_closed: AtomicBool::new(is_closed),
            dropped: Arc::default(),
            live,
        }
    }

    /// Adds an item, when the subscriber wants it.
    pub(super) fn push(&self, item: &Arc<T>, weight: usize) {
        if self.filter.as_ref().is_some_and(|wants| !wants(item)) {
            return;
        }
        let mut gone = Vec::new();
        {
            let mut items = self.items();
            while items.is_full(self.options, weight) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                match self.options.drop {
                    DropPolicy::Oldest => gone.extend(items.pop_front()),
                    DropPolicy::Newest => return,
                }
            }
            items.waiting.push_back((Arc::clone(item), weight));
            items.bytes += weight;
        }
        // Outside of the lock: it may be large.
        drop(gone);
        self.arrived.notify_one();
    }

    /// Puts an item back where it was: before all others. In a queue that has filled meanwhile, one
    /// is dropped as on any arrival: it is the oldest, and all others are newer.
    pub(super) fn put_back(&self, item: Arc<T>, weight: usize) {
        {
            let mut items = self.items();
            while items.is_full(self.options, weight) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                match self.options.drop {
                    DropPolicy::Oldest => return,
                    DropPolicy::Newest => drop(items.pop_back()),
                }
            }
            items.waiting.push_front((item, weight));
            items.bytes += weight;
        }
        self.arrived.notify_one();
    }

    /// Takes the item that waits longest.
    pub(super) fn pop(&self) -> Option<Arc<T>> {
        self.items().pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.items().waiting.len()
    }

    fn items(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::{Broadcast, BroadcastSubscription, CAPACITY_MAX};

    /// A number that says how much it weighs.
    struct Heavy(u64, usize);

    impl Weigh for Heavy {
        fn weight(&self) -> usize {
            self.1
        }
    }

    fn subscribed(drop: DropPolicy) -> (Broadcast<Heavy>, BroadcastSubscription<Heavy>) {
        let bus = Broadcast::default();
        let options = QueueOptions {
            capacity: CAPACITY_MAX,
            drop,
        };
        let subscription = bus.subscribe(options, None);
        (bus, subscription)
    }

    fn numbers(subscription: &BroadcastSubscription<Heavy>) -> Vec<u64> {
        std::iter::from_fn(|| subscription.try_next().map(|it| it.0)).collect()
    }

    #[test]
    fn a_queue_is_bounded_by_bytes_and_one_item_always_fits() {
        let third = BYTES_MAX / 3;
        for (policy, expected) in [
            (DropPolicy::Oldest, [3, 4, 5]),
            (DropPolicy::Newest, [1, 2, 3]),
        ] {
            let (bus, subscription) = subscribed(policy);
            for _ in 0..5 {
                bus.publish(|number| Heavy(number, third));
            }
            assert_eq!((subscription.waiting(), subscription.dropped()), (3, 2));
            assert_eq!(numbers(&subscription), expected, "{policy:?}");
            bus.publish(|number| Heavy(number, 2 * BYTES_MAX));
            assert_eq!(numbers(&subscription), [6]);
        }
        // A large one takes the place of many small ones.
        let (bus, subscription) = subscribed(DropPolicy::Oldest);
        for _ in 0..10 {
            bus.publish(|number| Heavy(number, third / 5));
        }
        bus.publish(|number| Heavy(number, BYTES_MAX));
        assert_eq!(numbers(&subscription), [11]);
        assert_eq!(subscription.dropped(), 10);
    }
}
