//! A subscription as scripts and programs have it: items as data, or a function that gets them.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::{BoxFuture, Either, select};
use tokio_util::sync::CancellationToken;

use super::{BroadcastSubscription, Delivery, Listener, Weigh};
use crate::{Error, ErrorKind, Result, Value, clock::Clock};

/// A subscription of whatever broadcast. Cheap to clone; all clones are the same subscription.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Queue {
        /// `None` when it was stopped.
        queue: Mutex<Option<Arc<dyn Queue>>>,
        stop: CancellationToken,
        dropped: Mutex<u64>,
    },
    Function(Listener),
}

/// A subscription whose items are shown as data.
trait Queue: fmt::Debug + Send + Sync {
    fn take(&self) -> BoxFuture<'_, Option<Delivery>>;
    fn waiting(&self) -> usize;
    fn dropped(&self) -> u64;
}

struct Shown<T> {
    subscription: BroadcastSubscription<T>,
    show: fn(&T) -> Value,
}

impl<T> fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subscription.fmt(f)
    }
}

impl<T: Weigh + Send + Sync + 'static> Queue for Shown<T> {
    fn take(&self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(async {
            let taken = self.subscription.take().await?;
            Some(Delivery::new(taken, self.show))
        })
    }

    fn waiting(&self) -> usize {
        self.subscription.waiting()
    }

    fn dropped(&self) -> u64 {
        self.subscription.dropped()
    }
}

impl Feed {
    /// Items as `show` shows them.
    pub fn new<T: Weigh + Send + Sync + 'static>(
        subscription: BroadcastSubscription<T>,
        show: fn(&T) -> Value,
    ) -> Self {
        let shown: Arc<dyn Queue> = Arc::new(Shown { subscription, show });
        Self(Arc::new(Inner::Queue {
            queue: Mutex::new(Some(shown)),
            stop: CancellationToken::new(),
            dropped: Mutex::default(),
        }))
    }

    /// A function gets the items; it goes on when this value is gone.
    pub fn of(listener: Listener) -> Self {
        Self(Arc::new(Inner::Function(listener)))
    }

    /// The next item; waits for one. `None` when there will be none any more.
    ///
    /// # Errors
    ///
    /// `invalid_args` where a function gets the items.
    pub async fn next(&self) -> Result<Option<Value>> {
        Ok(self.take().await?.map(Delivery::keep))
    }

    /// As [`Feed::next`], where the item has a way to go on which its reader may be gone: what is
    /// dropped before it is kept is the next one again.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn take(&self) -> Result<Option<Delivery>> {
        let Inner::Queue { queue, stop, .. } = &*self.0 else {
            return Err(
                Error::invalid_args("a function gets the items of this subscription")
                    .with_hint("subscribe without a function to receive them here"),
            );
        };
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(queue) = queue else { return Ok(None) };
        Ok(stop.run_until_cancelled(queue.take()).await.flatten())
    }

    /// As [`Feed::next`], but `None` also when nothing comes within `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn receive(
        &self,
        clock: &dyn Clock,
        timeout: Option<Duration>,
    ) -> Result<Option<Value>> {
        let taken = self.take_within(clock, timeout).await?;
        Ok(taken.map(Delivery::keep))
    }

    /// As [`Feed::take`], but `None` also when nothing comes within `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn take_within(
        &self,
        clock: &dyn Clock,
        timeout: Option<Duration>,
    ) -> Result<Option<Delivery>> {
        let Some(timeout) = timeout else {
            return self.take().await;
        };
        let next = std::pin::pin!(self.take());
        match select(next, clock.sleep(timeout)).await {
            Either::Left((item, _)) => item,
            Either::Right(_) => Ok(None),
        }
    }

    /// Ends the subscription; who waits for an item is told the end.
    pub fn stop(&self) {
        match &*self.0 {
            Inner::Queue {
                queue,
                stop,
                dropped,
            } => {
                let left = queue.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(left) = &left {
                    *dropped.lock().unwrap_or_else(PoisonError::into_inner) = left.dropped();
                }
                stop.cancel();
            }
            Inner::Function(listener) => listener.stop(),
        }
    }

    /// How it is: `waiting` items, items `dropped` because it was slow, calls of its function that
    /// `failed`, the last `error` of one, and whether it `is_stopped`.
    pub fn stats(&self) -> Value {
        let (waiting, dropped, failed, error, is_stopped) = match &*self.0 {
            Inner::Queue { queue, dropped, .. } => {
                let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                let dropped = *dropped.lock().unwrap_or_else(PoisonError::into_inner);
                let dropped = queue.as_ref().map_or(dropped, |it| it.dropped());
                let waiting = queue.as_ref().map_or(0, |it| it.waiting());
                (waiting, dropped, 0, None, queue.is_none())
            }
            Inner::Function(it) => (
                0,
                it.dropped(),
                it.failed(),
                it.last_error(),
                it.is_stopped(),
            ),
        };
        Value::map([
            ("waiting", Value::from(waiting)),
            ("dropped", Value::from(dropped)),
            ("failed", Value::from(failed)),
            ("error", Value::from(error)),
            ("is_stopped", Value::from(is_stopped)),
        ])
    }
}

/// A time limit in seconds, as scripts and programs give it.
///
/// # Errors
///
/// `invalid_args` for what is no length of time.
pub fn timeout(seconds: Option<f64>) -> Result<Option<Duration>> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let duration = Duration::try_from_secs_f64(seconds);
    duration.map(Some).map_err(|_| {
        let message = format!("`timeout` is `{seconds}`, which is no length of time");
        Error::new(ErrorKind::InvalidArgs, message).with_hint("give seconds, from 0 on")
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        broadcast::{Broadcast, QueueOptions, listen},
        clock::SystemClock,
        io,
    };

    fn feed(bus: &Broadcast<u64>) -> Feed {
        let options = QueueOptions {
            capacity: 1,
            ..QueueOptions::default()
        };
        Feed::new(bus.subscribe(options, None), |it| Value::from(*it))
    }

    fn stat(feed: &Feed, name: &str) -> i64 {
        feed.stats().get(name).and_then(Value::as_i64).unwrap()
    }

    #[test]
    fn a_feed_gives_items_as_data_until_it_is_stopped() {
        let bus = Broadcast::default();
        let feed = feed(&bus);
        for _ in 0..2 {
            bus.publish(|number| number);
        }
        assert_eq!((stat(&feed, "waiting"), stat(&feed, "dropped")), (1, 1));
        let next = feed.next().now_or_never().unwrap().unwrap();
        assert_eq!(next, Some(Value::Int(2)));
        let waiting = feed.clone();
        let mut wait = Box::pin(async move { waiting.next().await });
        assert!((&mut wait).now_or_never().is_none());
        feed.stop();
        assert_eq!(wait.now_or_never().unwrap().unwrap(), None);
        assert_eq!((bus.subscriber_count(), stat(&feed, "dropped")), (0, 1));
        assert_eq!(feed.next().now_or_never().unwrap().unwrap(), None);
    }

    #[test]
    fn a_receive_ends_at_its_time_limit_and_loses_nothing() {
        let bus = Broadcast::default();
        let feed = feed(&bus);
        let receiving = feed.clone();
        let limit = timeout(Some(0.002)).unwrap();
        let received = io::wait(
            async move { receiving.receive(&SystemClock, limit).await },
            || Ok(()),
        );
        assert_eq!(received.unwrap().unwrap(), None);
        bus.publish(|number| number);
        let received = feed.receive(&SystemClock, limit).now_or_never();
        assert_eq!(received.unwrap().unwrap(), Some(Value::Int(1)));
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(timeout(Some(wrong)).unwrap_err().hint().is_some());
        }
    }

    #[test]
    fn where_a_function_gets_the_items_nobody_else_does() {
        let bus = Broadcast::<u64>::default();
        let subscription = bus.subscribe(QueueOptions::default(), None);
        let feed = Feed::of(listen(subscription, "it", |_| {
            Box::pin(std::future::ready(Ok(())))
        }));
        let error = feed.next().now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        feed.stop();
        assert_eq!(feed.stats().get("is_stopped"), Some(&Value::Bool(true)));
    }
}
