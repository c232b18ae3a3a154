//! The queue of one subscriber: bounded in number and in bytes.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{DropPolicy, Filter, QueueOptions, listener::Revive};

/// Bytes that wait for one subscriber, as [`Weigh`] counts them. One item may be larger: it waits
/// alone.
pub const BYTES_MAX: usize = 1 << 26;

/// What waits in queues, and how much memory it takes.
pub trait Weigh {
    /// Bytes, about.
    fn weight(&self) -> usize;
}

/// An item that found no room in the queue of a subscriber.
#[derive(Debug)]
pub struct Lost<T> {
    /// The item.
    pub item: Arc<T>,
    /// Most items that wait in that queue.
    pub capacity: usize,
}

pub(super) struct Queue<T> {
    /// Tells it from all others of the process.
    id: u64,
    options: QueueOptions,
    /// What this subscriber wants; everything when there is none.
    filter: Option<Arc<Filter<T>>>,
    items: Mutex<Items<T>>,
    /// Something came, or nothing will any more.
    pub(super) arrived: Notify,
    /// A function has had an item, or will have none any more.
    pub(super) settled: Notify,
    pub(super) dropped: Arc<AtomicU64>,
    live: Arc<AtomicUsize>,
    /// The function that gets the items, where one does.
    pub(super) runner: OnceLock<Weak<dyn Revive<T>>>,
}

struct Items<T> {
    waiting: VecDeque<(Arc<T>, usize)>,
    /// Weight of all that wait.
    bytes: usize,
    /// How many items have come.
    pushed: u64,
    /// The item that a function is at: how many came before it.
    calling: Option<u64>,
    /// Whether nothing comes any more.
    is_closed: bool,
    /// Whether it counts as a subscription.
    is_live: bool,
}

/// What a look into a queue finds.
pub(super) enum Found<T> {
    Item(Arc<T>),
    Nothing,
    /// And there will be nothing any more.
    End,
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

    /// How many items came before the first that waits.
    fn first(&self) -> u64 {
        self.pushed - self.waiting.len() as u64
    }
}

impl<T> Queue<T> {
    /// An empty queue; `live` counts it until it is ended.
    pub(super) fn new(
        options: QueueOptions,
        filter: Option<Arc<Filter<T>>>,
        is_closed: bool,
        live: Arc<AtomicUsize>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        live.fetch_add(1, Ordering::Relaxed);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            options,
            filter,
            items: Mutex::new(Items {
                waiting: VecDeque::new(),
                bytes: 0,
                pushed: 0,
                calling: None,
                is_closed,
                is_live: true,
            }),
            arrived: Notify::new(),
            settled: Notify::new(),
            dropped: Arc::default(),
            live,
            runner: OnceLock::new(),
        }
    }

    /// An empty queue in place of this one, which another process took along.
    pub(super) fn anew(&self) -> Self {
        let live = Arc::clone(&self.live);
        // The new one counts in its place.
        self.leave(&mut self.items());
        let filter = self.filter.clone();
        let mut anew = Self::new(self.options, filter, false, live);
        anew.dropped = Arc::clone(&self.dropped);
        anew
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Adds an item; answers whether the subscriber wants it, or `None` when nothing comes any
    /// more. What is dropped for want of room goes to `lost`.
    pub(super) fn push(
        &self,
        item: &Arc<T>,
        weight: usize,
        lost: &mut Vec<Lost<T>>,
    ) -> Option<bool> {
        if self.filter.as_ref().is_some_and(|wants| !wants(item)) {
            return Some(false);
        }
        let capacity = self.options.capacity;
        let mut is_settling = false;
        {
            let mut items = self.items();
            if items.is_closed {
                return None;
            }
            while items.is_full(self.options, weight) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                let dropped = match self.options.drop {
                    DropPolicy::Oldest => items.pop_front(),
                    DropPolicy::Newest => Some(Arc::clone(item)),
                };
                lost.extend(dropped.map(|item| Lost { item, capacity }));
                if self.options.drop == DropPolicy::Newest {
                    return Some(true);
                }
                is_settling = true;
            }
            items.waiting.push_back((Arc::clone(item), weight));
            items.bytes += weight;
            items.pushed += 1;
        }
        self.arrived.notify_one();
        if is_settling {
            self.settled.notify_waiters();
        }
        Some(true)
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
    pub(super) fn pop(&self) -> Found<T> {
        Self::found(&mut self.items())
    }

    /// The next item; waits for one. `None` when there will be none any more.
    pub(super) async fn next(&self) -> Option<Arc<T>> {
        self.next_as(|items| Self::found(items)).await
    }

    /// As [`Queue::next`], for a function, which says when it is done with it.
    pub(super) async fn next_call(&self) -> Option<Arc<T>> {
        let call = |items: &mut Items<T>| {
            let place = items.first();
            let found = Self::found(items);
            items.calling = matches!(found, Found::Item(_)).then_some(place);
            found
        };
        self.next_as(call).await
    }

    /// The function is done with its item.
    pub(super) fn called(&self) {
        self.items().calling = None;
        self.settled.notify_waiters();
    }

    async fn next_as(&self, look: impl Fn(&mut Items<T>) -> Found<T>) -> Option<Arc<T>> {
        loop {
            // Before looking, so that what comes in between is heard, by each of several who wait.
            let mut arrived = pin!(self.arrived.notified());
            arrived.as_mut().enable();
            let found = look(&mut self.items());
            match found {
                Found::Item(item) => return Some(item),
                Found::End => return None,
                Found::Nothing => arrived.await,
            }
        }
    }

    fn found(items: &mut Items<T>) -> Found<T> {
        match items.pop_front() {
            Some(item) => Found::Item(item),
            None if items.is_closed => Found::End,
            None => Found::Nothing,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items().waiting.len()
    }

    /// Lets nothing in any more; what waits can still be taken.
    pub(super) fn close(&self) {
        self.items().is_closed = true;
        self.arrived.notify_waiters();
    }

    /// Ends the subscription: as [`Queue::close`], and it counts no more.
    pub(super) fn end(&self) {
        {
            let mut items = self.items();
            items.is_closed = true;
            self.leave(&mut items);
        }
        self.arrived.notify_waiters();
    }

    /// Whether the subscription was ended by its subscriber.
    pub(super) fn is_ended(&self) -> bool {
        !self.items().is_live
    }

    /// Ends the subscription; what waits is dropped and counted.
    pub(super) fn abandon(&self) {
        let left = {
            let mut items = self.items();
            items.is_closed = true;
            self.leave(&mut items);
            items.bytes = 0;
            std::mem::take(&mut items.waiting)
        };
        self.dropped.fetch_add(left.len() as u64, Ordering::Relaxed);
        // Outside of the lock: it may be large.
        drop(left);
        self.arrived.notify_waiters();
        self.settled.notify_waiters();
    }

    /// How many items have come.
    pub(super) fn pushed(&self) -> u64 {
        self.items().pushed
    }

    /// How many of the first `count` items a function has not had yet.
    pub(super) fn left_of(&self, count: u64) -> u64 {
        let items = self.items();
        let is_at_one = items.calling.is_some_and(|place| place < count);
        count.saturating_sub(items.first()) + u64::from(is_at_one)
    }

    /// Whether no thread is inside: one that was when a process forked never leaves in the child.
    pub(super) fn is_free(&self) -> bool {
        is_free(&self.items)
    }

    fn leave(&self, items: &mut Items<T>) {
        if std::mem::replace(&mut items.is_live, false) {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn items(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no thread holds a lock.
pub(crate) fn is_free<T>(lock: &Mutex<T>) -> bool {
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let mut items = self.items();
        self.leave(&mut items);
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
