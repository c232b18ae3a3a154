//! An item on its way to a subscriber: it goes back into the queue when it does not arrive.

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{BroadcastSubscription, Found, Queue, Weigh};
use crate::Value;

/// An item that was taken from a subscription. Dropped without [`Taken::keep`], it is the next one
/// again: whoever waited for it stopped waiting before it had it.
#[must_use = "an item that is not kept goes back"]
pub struct Taken<T: Weigh> {
    item: Option<Arc<T>>,
    /// Who stopped the subscription wants nothing back.
    queue: Weak<Queue<T>>,
}

impl<T: Weigh> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").finish_non_exhaustive()
    }
}

impl<T: Weigh> Taken<T> {
    /// The item; it has arrived.
    pub fn keep(mut self) -> Option<Arc<T>> {
        self.item.take()
    }
}

impl<T: Weigh> Drop for Taken<T> {
    fn drop(&mut self) {
        if let (Some(item), Some(queue)) = (self.item.take(), self.queue.upgrade()) {
            let weight = item.weight();
            queue.put_back(item, weight);
        }
    }
}

impl<T: Weigh> BroadcastSubscription<T> {
    /// As [`BroadcastSubscription::next`], where the item has a way to go on which its reader may
    /// be gone.
    pub async fn take(&self) -> Option<Taken<T>> {
        let item = self.next().await?;
        Some(self.taken(item))
    }

    /// Takes the next item into `wait`, as `show` shows it; answers whether one has come. None is
    /// taken for a wait that was given up.
    pub async fn take_for(&self, wait: &Wait, show: fn(&T) -> Value) -> bool
    where
        T: Send + Sync + 'static,
    {
        loop {
            // Before looking, so that what comes in between is heard, by each of several who wait.
            let mut arrived = pin!(self.0.arrived.notified());
            arrived.as_mut().enable();
            {
                let mut waited = wait.state();
                if !matches!(*waited, Waited::Open) {
                    drop(waited);
                    // Somebody else may have been meant by what woke this one.
                    self.0.arrived.notify_one();
                    return false;
                }
                match self.0.pop() {
                    Found::Item(item) => {
                        let delivery = Delivery::new(self.taken(item), show);
                        *waited = Waited::Arrived(delivery);
                        return true;
                    }
                    Found::End => return false,
                    Found::Nothing => {}
                }
            }
            arrived.await;
        }
    }

    fn taken(&self, item: Arc<T>) -> Taken<T> {
        Taken {
            item: Some(item),
            queue: Arc::downgrade(&self.0),
        }
    }
}

/// One reader's wait for an item. It may be given up from elsewhere, and is then the reader's no
/// more: an item that has come for it is the next one again before anybody can take another, so
/// the order stays.
#[derive(Debug, Default)]
pub struct Wait(Mutex<Waited>);

#[derive(Debug, Default)]
enum Waited {
    #[default]
    Open,
    Arrived(Delivery),
    Over,
}

impl Wait {
    /// The item, once, when one has come; it has arrived.
    pub fn keep(&self) -> Option<Value> {
        self.take().map(Delivery::keep)
    }

    /// What has come, on its way to elsewhere.
    pub(super) fn take(&self) -> Option<Delivery> {
        match std::mem::replace(&mut *self.state(), Waited::Over) {
            Waited::Arrived(delivery) => Some(delivery),
            Waited::Open | Waited::Over => None,
        }
    }

    /// Ends the wait; what has come and was not kept is the next one again.
    pub fn give_up(&self) {
        let left = std::mem::replace(&mut *self.state(), Waited::Over);
        // Outside of the lock: it goes back into its queue.
        drop(left);
    }

    fn state(&self) -> MutexGuard<'_, Waited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item as data on its way to a script or a program, see [`Taken`]; or other data, of which
/// nobody wants to know whether it arrives.
#[must_use = "an item that is not kept goes back"]
pub struct Delivery {
    value: Value,
    arrival: Option<Box<dyn Arrival>>,
}

impl From<Value> for Delivery {
    fn from(value: Value) -> Self {
        Self {
            value,
            arrival: None,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delivery").field(&self.value).finish()
    }
}

impl Delivery {
    pub(super) fn new<T: Weigh + Send + Sync + 'static>(
        taken: Taken<T>,
        show: fn(&T) -> Value,
    ) -> Self {
        Self {
            value: taken.item.as_deref().map(show).unwrap_or_default(),
            arrival: Some(Box::new(taken)),
        }
    }

    /// The item, which has not arrived yet.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// Whether somebody wants to know that it has arrived.
    pub const fn is_awaited(&self) -> bool {
        self.arrival.is_some()
    }

    /// The item; it has arrived.
    pub fn keep(self) -> Value {
        if let Some(arrival) = self.arrival {
            arrival.note();
        }
        self.value
    }
}

/// What is told that an item has arrived.
trait Arrival: Send + Sync {
    fn note(self: Box<Self>);
}

impl<T: Weigh + Send + Sync> Arrival for Taken<T> {
    fn note(self: Box<Self>) {
        drop(self.keep());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt as _;

    use super::*;
    use crate::broadcast::{Broadcast, DropPolicy, QueueOptions};

    fn subscribed(
        capacity: usize,
        drop: DropPolicy,
    ) -> (Broadcast<u64>, BroadcastSubscription<u64>) {
        let bus = Broadcast::default();
        let subscription = bus.subscribe(QueueOptions { capacity, drop }, None);
        (bus, subscription)
    }

    fn publish(bus: &Broadcast<u64>, count: usize) {
        for _ in 0..count {
            bus.publish(|number| number);
        }
    }

    fn take(subscription: &BroadcastSubscription<u64>) -> Option<Taken<u64>> {
        subscription.take().now_or_never().flatten()
    }

    fn rest(subscription: &BroadcastSubscription<u64>) -> Vec<u64> {
        std::iter::from_fn(|| subscription.try_next().map(|it| *it)).collect()
    }

    #[test]
    fn what_did_not_arrive_is_the_next_one_again() {
        let (bus, subscription) = subscribed(8, DropPolicy::Oldest);
        publish(&bus, 3);
        drop(take(&subscription));
        assert_eq!(subscription.waiting(), 3);
        let kept = take(&subscription).and_then(Taken::keep);
        assert_eq!(kept.as_deref(), Some(&1));
        assert_eq!(rest(&subscription), [2, 3]);
        assert_eq!(subscription.dropped(), 0);
    }

    #[test]
    fn a_queue_that_has_filled_meanwhile_keeps_its_bound_and_its_policy() {
        for (policy, expected) in [(DropPolicy::Oldest, [2, 3]), (DropPolicy::Newest, [1, 2])] {
            let (bus, subscription) = subscribed(2, policy);
            publish(&bus, 1);
            let taken = take(&subscription);
            publish(&bus, 2);
            drop(taken);
            assert_eq!(rest(&subscription), expected, "{policy:?}");
            assert_eq!(subscription.dropped(), 1);
        }
    }

    #[test]
    fn who_waits_gets_what_another_gave_back() {
        let (bus, subscription) = subscribed(8, DropPolicy::Oldest);
        publish(&bus, 1);
        let taken = take(&subscription);
        let mut waiting = Box::pin(subscription.next());
        assert!((&mut waiting).now_or_never().is_none());
        drop(taken);
        assert_eq!(waiting.now_or_never().flatten().as_deref(), Some(&1));
    }

    #[test]
    fn what_comes_back_to_a_subscription_that_was_stopped_is_gone() {
        let (bus, subscription) = subscribed(8, DropPolicy::Oldest);
        publish(&bus, 1);
        let taken = take(&subscription);
        drop(subscription);
        drop(taken);
        assert_eq!(bus.subscriber_count(), 0);
    }

    #[test]
    fn an_item_of_a_wait_that_is_given_up_comes_before_all_others() {
        let (bus, subscription) = subscribed(8, DropPolicy::Oldest);
        let show = |it: &u64| Value::from(*it);
        let (first, second) = (Wait::default(), Wait::default());
        publish(&bus, 2);
        assert_eq!(
            subscription.take_for(&first, show).now_or_never(),
            Some(true)
        );
        first.give_up();
        assert_eq!(first.keep(), None);
        assert_eq!(
            subscription.take_for(&second, show).now_or_never(),
            Some(true)
        );
        assert_eq!(second.keep(), Some(Value::Int(1)));
        // And none is taken for it any more; who waits as well is not forgotten.
        let late = Box::pin(subscription.take_for(&first, show));
        assert_eq!(late.now_or_never(), Some(false));
        assert_eq!(rest(&subscription), [2]);
        let (given_up, waits) = (Wait::default(), Wait::default());
        let mut one = Box::pin(subscription.take_for(&given_up, show));
        let mut other = Box::pin(subscription.take_for(&waits, show));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        given_up.give_up();
        publish(&bus, 1);
        assert_eq!(
            (one.now_or_never(), other.now_or_never()),
            (Some(false), Some(true))
        );
        assert_eq!(waits.keep(), Some(Value::Int(3)));
    }

    #[test]
    fn in_any_order_of_takes_and_returns_each_item_arrives_once_and_in_order() {
        // A linear congruential generator: the same orders each time.
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let (bus, subscription) = subscribed(1_000, DropPolicy::Oldest);
            let (mut arrived, mut on_their_way) = (Vec::new(), VecDeque::new());
            let mut published = 0;
            for _ in 0..100 {
                match draw(4) {
                    0 => {
                        publish(&bus, 1);
                        published += 1;
                    }
                    1 => on_their_way.extend(take(&subscription)),
                    // The way is one: what was taken later gives way first.
                    2 => drop(on_their_way.pop_back()),
                    _ => {
                        let first = on_their_way.pop_front();
                        arrived.extend(first.and_then(Taken::keep).map(|it| *it));
                    }
                }
            }
            while let Some(last) = on_their_way.pop_back() {
                drop(last);
            }
            arrived.extend(rest(&subscription));
            assert_eq!(arrived, (1..=published).collect::<Vec<u64>>());
        }
    }
}
