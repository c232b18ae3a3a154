//! A subscription as scripts and programs have it: items as data, or a function that gets them.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{BoxFuture, Either, select};

use super::{BroadcastSubscription, Delivery, Listener, Wait, Weigh};
use crate::{
    Error, Result, Value,
    clock::{self, Clock},
};

/// A subscription of whatever broadcast. Cheap to clone; all clones are the same subscription.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Queue(Box<dyn Queue>),
    Function(Listener),
}

/// A subscription whose items are shown as data.
trait Queue: fmt::Debug + Send + Sync {
    /// Answers whether one has come.
    fn take<'a>(&'a self, wait: &'a Wait) -> BoxFuture<'a, bool>;
    fn waiting(&self) -> usize;
    fn dropped(&self) -> u64;
    fn end(&self);
    fn is_ended(&self) -> bool;
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
    fn take<'a>(&'a self, wait: &'a Wait) -> BoxFuture<'a, bool> {
        Box::pin(self.subscription.take_for(wait, self.show))
    }

    fn waiting(&self) -> usize {
        self.subscription.waiting()
    }

    fn dropped(&self) -> u64 {
        self.subscription.dropped()
    }

    fn end(&self) {
        self.subscription.end();
    }

    fn is_ended(&self) -> bool {
        self.subscription.0.is_ended()
    }
}

impl Feed {
    /// Items as `show` shows them.
    pub fn new<T: Weigh + Send + Sync + 'static>(
        subscription: BroadcastSubscription<T>,
        show: fn(&T) -> Value,
    ) -> Self {
        Self(Arc::new(Inner::Queue(Box::new(Shown {
            subscription,
            show,
        }))))
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
        let wait = Wait::default();
        self.take(&wait).await?;
        Ok(wait.keep())
    }

    /// As [`Feed::next`], where the item has a way to go on which its reader may be gone: it stays
    /// in `wait` until it is kept there. Answers whether one has come.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn take(&self, wait: &Wait) -> Result<bool> {
        let Inner::Queue(queue) = &*self.0 else {
            return Err(
                Error::invalid_args("a function gets the items of this subscription")
                    .with_hint("subscribe without a function to receive them here"),
            );
        };
        Ok(queue.take(wait).await)
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
        let wait = Wait::default();
        self.take_within(clock, timeout, &wait).await?;
        Ok(wait.keep())
    }

    /// As [`Feed::take`], but at most for `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn take_within(
        &self,
        clock: &dyn Clock,
        timeout: Option<Duration>,
        wait: &Wait,
    ) -> Result<bool> {
        let Some(timeout) = timeout else {
            return self.take(wait).await;
        };
        let next = std::pin::pin!(self.take(wait));
        match select(next, clock.sleep(timeout)).await {
            Either::Left((has_come, _)) => has_come,
            Either::Right(_) => Ok(false),
        }
    }

    /// As [`Feed::receive`], with the item on its way: what is dropped before it is kept is the next
    /// one again.
    ///
    /// # Errors
    ///
    /// Those of [`Feed::next`].
    pub async fn deliver(
        &self,
        clock: &dyn Clock,
        timeout: Option<Duration>,
    ) -> Result<Option<Delivery>> {
        let wait = Wait::default();
        self.take_within(clock, timeout, &wait).await?;
        Ok(wait.take())
    }

    /// Ends the subscription. What waits in it can still be taken, and then the end is told; a
    /// function gets nothing any more, and what waited for it counts as dropped.
    pub fn stop(&self) {
        match &*self.0 {
            Inner::Queue(queue) => queue.end(),
            Inner::Function(listener) => listener.stop(),
        }
    }

    /// How it is: `waiting` items, items `dropped` because it was slow or its function was stopped
    /// before it had them, calls of its function that `failed`, the last `error` of one, and
    /// whether it `is_stopped`.
    pub fn stats(&self) -> Value {
        let (waiting, dropped, failed, error, is_stopped) = match &*self.0 {
            Inner::Queue(it) => (it.waiting(), it.dropped(), 0, None, it.is_ended()),
            Inner::Function(it) => (
                it.waiting(),
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

/// A time limit in seconds, as scripts and programs give it. One that is infinite, or too long to
/// be counted, is none.
///
/// # Errors
///
/// `invalid_args` for what is no length of time.
pub fn timeout(seconds: Option<f64>) -> Result<Option<Duration>> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let limit = clock::length(seconds).ok_or_else(|| {
        let message = format!("`timeout` is `{seconds}`, which is no length of time");
        Error::invalid_args(message).with_hint("give seconds, from 0 on; infinity is no limit")
    })?;
    Ok(Some(limit).filter(|it| *it < Duration::MAX))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        ErrorKind,
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
    fn what_waits_in_a_feed_that_is_stopped_is_given_and_then_the_end() {
        let bus = Broadcast::default();
        let feed = feed(&bus);
        bus.publish(|number| number);
        feed.stop();
        bus.publish(|number| number);
        assert_eq!((stat(&feed, "waiting"), stat(&feed, "dropped")), (1, 0));
        assert_eq!(feed.stats().get("is_stopped"), Some(&Value::Bool(true)));
        let next = || feed.next().now_or_never().unwrap().unwrap();
        assert_eq!((next(), next()), (Some(Value::Int(1)), None));
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
        for wrong in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(timeout(Some(wrong)).unwrap_err().hint().is_some());
        }
        for endless in [f64::INFINITY, f64::MAX] {
            assert_eq!(timeout(Some(endless)).unwrap(), None);
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
