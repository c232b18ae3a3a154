//! One bounded broadcast: what carries the events of a bus and of a channel.
//!
//! Publishing never waits: each subscription has a queue of its own with bounds, in number and in
//! bytes, and what does not fit is dropped and counted there.

mod backlog;
mod feed;
mod listener;
mod queue;
mod taken;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use self::queue::{Found, Queue};
pub(crate) use self::{
    backlog::{Backlog, flush},
    queue::is_free,
};
pub use self::{
    backlog::{END_LIMIT, LEFT, settle},
    feed::{Feed, timeout},
    listener::{FunctionGone, Listener, ListenerGuard, listen, subscriber},
    queue::{BYTES_MAX, Lost, Weigh},
    taken::{Delivery, Taken, Wait},
};
use crate::{Error, ErrorKind, Result, per_process};

/// Items that wait for one subscriber, unless it says otherwise.
pub const CAPACITY: usize = 1024;

/// Most items that a subscriber may let wait.
pub const CAPACITY_MAX: usize = 1 << 16;

/// Most subscribers that scripts and programs may have on one broadcast.
pub const SUBSCRIBERS_MAX: usize = 10_000;

/// So few subscriptions that have ended are left to the next publication.
const CLEANED_MIN: usize = 64;

/// What is dropped when the queue of a subscriber is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DropPolicy {
    /// What waited longest: the subscriber sees the latest.
    #[default]
    Oldest,
    /// What comes: the subscriber sees the first.
    Newest,
}

impl DropPolicy {
    /// Reads `oldest` or `newest`.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another word.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "oldest" => Ok(Self::Oldest),
            "newest" => Ok(Self::Newest),
            other => Err(Error::invalid_args(format!("`drop` is `{other:.40}`"))
                .with_hint("write `oldest` or `newest`")),
        }
    }
}

/// How a subscriber wants its queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueOptions {
    /// Most items that wait, 1 to [`CAPACITY_MAX`].
    pub capacity: usize,
    /// What is dropped beyond.
    pub drop: DropPolicy,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            capacity: CAPACITY,
            drop: DropPolicy::default(),
        }
    }
}

impl QueueOptions {
    /// Fails for a capacity that is out of range.
    ///
    /// # Errors
    ///
    /// `invalid_args`.
    pub fn check(&self) -> Result<()> {
        if (1..=CAPACITY_MAX).contains(&self.capacity) {
            return Ok(());
        }
        let message = format!("`capacity` is `{}`", self.capacity);
        Err(Error::invalid_args(message)
            .with_hint(format!("give a whole number from 1 to {CAPACITY_MAX}")))
    }
}

type Filter<T> = dyn Fn(&T) -> bool + Send + Sync;

/// What became of an item that was published.
#[derive(Debug)]
pub struct Published<T> {
    /// Its number, from 1 without gaps.
    pub sequence: u64,
    /// How many subscribers want it, those included whose queue had no room for it.
    pub wanted: usize,
    /// What was dropped for want of room: this item or earlier ones.
    pub lost: Vec<Lost<T>>,
}

/// Carries items to whoever subscribed; publishing never waits.
pub struct Broadcast<T> {
    state: Mutex<State<T>>,
    /// How many subscriptions there are; shared with them.
    live: Arc<AtomicUsize>,
}

struct State<T> {
    sequence: u64,
    queues: Vec<Weak<Queue<T>>>,
    is_closed: bool,
    /// The process whose functions get the items, see [`per_process::generation`].
    generation: u32,
}

impl<T> Default for Broadcast<T> {
    fn default() -> Self {
        let state = State {
            sequence: 0,
            queues: Vec::new(),
            is_closed: false,
            generation: per_process::generation(),
        };
        Self {
            state: Mutex::new(state),
            live: Arc::default(),
        }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("subscribers", &self.subscriber_count())
            .finish_non_exhaustive()
    }
}

impl<T: Weigh> Broadcast<T> {
    /// Publishes what `make` makes of the next number; answers the number, from 1 without gaps, or
    /// `None` after [`Broadcast::close`]. Nothing is made when nobody listens.
    pub fn publish(&self, make: impl FnOnce(u64) -> T) -> Option<u64> {
        self.publish_except(None, make).map(|it| it.sequence)
    }

    /// As [`Broadcast::publish`], but not to the subscriber `except`; answers what became of it.
    pub fn publish_except(
        &self,
        except: Option<u64>,
        make: impl FnOnce(u64) -> T,
    ) -> Option<Published<T>> {
        // The lock is held while numbering, so every subscriber sees the numbers in order.
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        state.sequence += 1;
        let mut published = Published {
            sequence: state.sequence,
            wanted: 0,
            lost: Vec::new(),
        };
        if state.queues.is_empty() {
            return Some(published);
        }
        state.follow();
        let item = Arc::new(make(published.sequence));
        let weight = item.weight();
        let mut has_left = false;
        for queue in &state.queues {
            let queue = queue.upgrade();
            if queue.as_ref().is_some_and(|it| except == Some(it.id())) {
                continue;
            }
            let pushed = queue.and_then(|it| it.push(&item, weight, &mut published.lost));
            published.wanted += usize::from(pushed == Some(true));
            has_left |= pushed.is_none();
        }
        if has_left {
            state.clean();
        }
        Some(published)
    }
}

impl<T> State<T> {
    /// Forgets subscriptions that have ended.
    fn clean(&mut self) {
        let is_live = |it: &Weak<Queue<T>>| it.upgrade().is_some_and(|it| !it.is_ended());
        self.queues.retain(is_live);
    }

    /// Lets functions go on in a forked child, where nobody calls them: that process began without
    /// the tasks of its parent, which gives them what waits there.
    fn follow(&mut self) {
        let generation = per_process::generation();
        if std::mem::replace(&mut self.generation, generation) == generation {
            return;
        }
        for place in &mut self.queues {
            let Some(queue) = place.upgrade().filter(|it| !it.is_ended()) else {
                continue;
            };
            match queue.runner.get().and_then(Weak::upgrade) {
                Some(runner) => *place = Arc::downgrade(&runner.revive()),
                // Who waited in the parent is not here, and would be woken in place of another.
                None => queue.arrived.notify_waiters(),
            }
        }
    }
}

impl<T> Broadcast<T> {
    /// Subscribes to the items that pass `filter`, from now on. A subscription to what is closed
    /// is at its end.
    pub fn subscribe(
        &self,
        options: QueueOptions,
        filter: Option<Box<Filter<T>>>,
    ) -> BroadcastSubscription<T> {
        let mut state = self.state();
        let live = Arc::clone(&self.live);
        let filter = filter.map(Arc::from);
        let queue = Arc::new(Queue::new(options, filter, state.is_closed, live));
        // Here too: nobody may publish while many come and go. Only where as many have ended as
        // there are, so that this costs each of them a bounded time.
        if state.queues.len() >= CLEANED_MIN + 2 * self.subscriber_count() {
            state.clean();
        }
        state.follow();
        if !state.is_closed {
            state.queues.push(Arc::downgrade(&queue));
        }
        BroadcastSubscription(queue)
    }

    /// The same for a script or a program, of which one could subscribe without an end.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a capacity out of range, `limit_exceeded` when there are too many
    /// subscriptions.
    pub fn try_subscribe(
        &self,
        options: QueueOptions,
        filter: Option<Box<Filter<T>>>,
    ) -> Result<BroadcastSubscription<T>> {
        options.check()?;
        if self.subscriber_count() >= SUBSCRIBERS_MAX {
            let message = format!("there are {SUBSCRIBERS_MAX} subscriptions already");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("stop those that are no longer needed"));
        }
        Ok(self.subscribe(options, filter))
    }

    /// How many subscriptions there are.
    pub fn subscriber_count(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Number of the last item; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.state().sequence
    }

    /// Ends it: subscribers get what waits for them, and then the end.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        // They stay: a flush waits for what functions have not been given yet.
        for queue in state.queues.iter().filter_map(Weak::upgrade) {
            queue.close();
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// What functions are given of it.
    pub(crate) fn backlogs(&self) -> Vec<Arc<dyn Backlog>>
    where
        T: Send + Sync + 'static,
    {
        let queues = {
            let mut state = self.state();
            state.follow();
            state.queues.clone()
        };
        let queues = queues.iter().filter_map(Weak::upgrade);
        let called = queues.filter(|it| it.runner.get().is_some());
        called.map(|it| it as Arc<dyn Backlog>).collect()
    }

    /// Whether no thread is inside: one that was when a process forked never leaves in the child.
    pub fn is_free(&self) -> bool {
        is_free(&self.state) && {
            let queues = self.state().queues.clone();
            queues
                .iter()
                .filter_map(Weak::upgrade)
                .all(|it| it.is_free())
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A std mutex: it is never held across an await.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Broadcast<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// One subscriber's queue; dropping it ends the subscription. Several may take from one queue:
/// each item is given once.
pub struct BroadcastSubscription<T>(Arc<Queue<T>>);

impl<T> fmt::Debug for BroadcastSubscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastSubscription")
            .field("waiting", &self.waiting())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl<T> BroadcastSubscription<T> {
    /// The next item; waits for one. `None` when the broadcast is closed or the subscription was
    /// ended, and everything was read. A wait that is dropped loses nothing.
    pub async fn next(&self) -> Option<Arc<T>> {
        self.0.next().await
    }

    /// The next item that is already here.
    pub fn try_next(&self) -> Option<Arc<T>> {
        match self.0.pop() {
            Found::Item(item) => Some(item),
            Found::Nothing | Found::End => None,
        }
    }

    /// Ends the subscription: nothing comes any more, and what waits can still be read.
    pub fn end(&self) {
        self.0.end();
    }

    /// How many items wait to be read.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }

    /// How many items were lost because the subscriber was slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn into_queue(self) -> Arc<Queue<T>> {
        self.0
    }
}

#[cfg(test)]
mod tests;
