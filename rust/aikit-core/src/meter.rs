//! Measures how far some work is and shows it to whoever watches the Context.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use crate::{context::Context, io, progress::Progress};

/// What is shown is shown anew at most this often, but for the last state.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Shows the progress of one piece of work: what was measured is shown soon after, and at the
/// latest when the meter is closed or dropped.
#[derive(Debug)]
pub struct Meter(Arc<Measured>);

#[derive(Debug)]
struct Measured {
    cx: Context,
    began: Duration,
    delay: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// When it was shown; `None` before the first time.
    shown: Option<Duration>,
    /// Whether something was measured since.
    is_new: bool,
    /// Whether it will be shown without being called again.
    is_timed: bool,
}

/// The meters of some work, all of which can be shown as they are now.
#[derive(Debug, Default)]
pub struct Meters(Mutex<Vec<Weak<Measured>>>);

impl Meter {
    /// Measures from now. Work that takes no longer than `delay` is not shown; without a delay the
    /// first state is shown at once.
    pub fn start(
        cx: &Context,
        label: impl Into<String>,
        total: Option<u64>,
        delay: Duration,
    ) -> Self {
        let clock = cx.clock();
        let meter = Self(Arc::new(Measured {
            began: clock.monotonic(),
            delay,
            cx: cx.clone(),
            state: Mutex::new(State {
                progress: Progress {
                    id: clock.uuid().simple().to_string(),
                    label: label.into(),
                    total,
                    ..Progress::default()
                },
                shown: None,
                is_new: false,
                is_timed: false,
            }),
        }));
        meter.update(0);
        meter
    }

    /// How many steps are done, as last measured.
    pub fn done(&self) -> u64 {
        self.0.state().progress.done
    }

    /// One line of text that says what was last measured.
    pub fn line(&self) -> String {
        self.0.state().progress.line()
    }

    /// Says how many steps are done.
    pub fn update(&self, done: u64) {
        let mut state = self.0.state();
        if state.progress.is_over {
            return;
        }
        let now = self.0.cx.clock().monotonic();
        state.progress.done = done;
        state.progress.elapsed = now.saturating_sub(self.0.began);
        state.is_new = true;
        let wait = match state.shown {
            None if state.progress.elapsed < self.0.delay => return,
            None => Duration::ZERO,
            Some(shown) => SHOW_EVERY.saturating_sub(now.saturating_sub(shown)),
        };
        if wait.is_zero() {
            self.0.show(&mut state);
        } else if !state.is_timed {
            state.is_timed = true;
            let measured = Arc::downgrade(&self.0);
            let timer = self.0.cx.clock().sleep(wait);
            // Not waited for: it is shown earlier when it is closed or moved on.
            let _shown = io::spawn(async move {
                timer.await;
                if let Some(measured) = measured.upgrade() {
                    measured.state().is_timed = false;
                    measured.catch_up();
                }
            });
        }
    }

    /// Shows the last state, if any was shown before; later updates do nothing.
    pub fn close(&self) {
        let mut state = self.0.state();
        if state.progress.is_over {
            return;
        }
        let now = self.0.cx.clock().monotonic();
        state.progress.elapsed = now.saturating_sub(self.0.began);
        state.progress.is_over = true;
        if state.shown.is_some() {
            self.0.show(&mut state);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.0.catch_up();
    }
}

impl Measured {
    fn state(&self) -> MutexGuard<'_, State> {
        // A plain mutex: it is never held across an await.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Under the lock, so that no earlier state is shown after a later one.
    fn show(&self, state: &mut State) {
        state.shown = Some(self.cx.clock().monotonic());
        state.is_new = false;
        self.cx.show_progress(&state.progress);
    }

    /// Shows what was measured since it was last shown, if it was.
    fn catch_up(&self) {
        let mut state = self.state();
        if state.is_new && state.shown.is_some() && !state.progress.is_over {
            self.show(&mut state);
        }
    }
}

impl Meters {
    /// Adds one, for as long as it is used.
    pub fn add(&self, meter: &Meter) {
        let mut meters = self.lock();
        if meters.len() == meters.capacity() {
            meters.retain(|it| it.strong_count() > 0);
        }
        meters.push(Arc::downgrade(&meter.0));
    }

    /// Shows what was measured and is not shown yet.
    pub fn catch_up(&self) {
        // Not under the lock: whoever shows may wait for room.
        let meters: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for meter in meters {
            meter.catch_up();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Measured>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::{clock::Clock, context::Overrides, progress::ProgressSink};

    /// A clock that stands still until it is moved; whoever sleeps is woken by hand.
    #[derive(Debug, Default)]
    struct Hand {
        time: Mutex<Duration>,
        awaited: Arc<Notify>,
    }

    impl Clock for Hand {
        fn now(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            *self.time.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            let awaited = Arc::clone(&self.awaited);
            Box::pin(async move { awaited.notified().await })
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<(u64, bool)>>);

    /// Tells what it is shown.
    #[derive(Debug)]
    struct Told(mpsc::UnboundedSender<u64>);

    impl ProgressSink for Told {
        fn show(&self, progress: &Progress) {
            self.0.send(progress.done).unwrap();
        }
    }

    impl ProgressSink for Seen {
        fn show(&self, progress: &Progress) {
            let mut seen = self.0.lock().unwrap();
            seen.push((progress.done, progress.is_over));
        }
    }

    fn watched() -> (Context, Arc<Hand>, Arc<Seen>) {
        let (hand, seen) = (Arc::new(Hand::default()), Arc::new(Seen::default()));
        let cx = Context::create(Overrides {
            clock: Some(Arc::clone(&hand) as _),
            progress: Some(Arc::clone(&seen) as _),
            ..Overrides::default()
        });
        (cx, hand, seen)
    }

    fn move_to(hand: &Hand, milliseconds: u64) {
        *hand.time.lock().unwrap() = Duration::from_millis(milliseconds);
    }

    #[test]
    fn the_first_and_the_last_state_are_shown_and_few_between() {
        let (cx, hand, seen) = watched();
        // Below the Context that is watched as well.
        let cx = cx.child(Overrides::default());
        let meter = Meter::start(&cx, "x", Some(10), Duration::ZERO);
        for (time, done) in [(50, 1), (100, 2), (150, 3), (250, 4)] {
            move_to(&hand, time);
            meter.update(done);
        }
        meter.close();
        meter.close();
        meter.update(9);
        let expected = [(0, false), (2, false), (4, false), (4, true)];
        assert_eq!(*seen.0.lock().unwrap(), expected);
    }

    #[test]
    fn quick_work_is_not_shown() {
        let (cx, hand, seen) = watched();
        let meter = Meter::start(&cx, "x", None, Duration::from_millis(500));
        move_to(&hand, 499);
        meter.update(1);
        meter.close();
        assert!(seen.0.lock().unwrap().is_empty());

        let meter = Meter::start(&cx, "x", None, Duration::from_millis(500));
        move_to(&hand, 1000);
        meter.update(5);
        meter.close();
        assert_eq!(*seen.0.lock().unwrap(), [(5, false), (5, true)]);
    }
    #[test]
    fn what_was_measured_last_is_shown_soon() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let hand = Arc::new(Hand::default());
        let cx = Context::create(Overrides {
            clock: Some(Arc::clone(&hand) as _),
            progress: Some(Arc::new(Told(tell))),
            ..Overrides::default()
        });
        let meter = Meter::start(&cx, "x", Some(10), Duration::ZERO);
        assert_eq!(told.blocking_recv(), Some(0));
        meter.update(3);
        meter.update(5);
        assert!(told.try_recv().is_err());
        hand.awaited.notify_one();
        assert_eq!(told.blocking_recv(), Some(5));
        // Once more: one timer is over, another is started.
        meter.update(6);
        hand.awaited.notify_one();
        assert_eq!(told.blocking_recv(), Some(6));
    }

    #[test]
    fn what_is_not_shown_yet_is_shown_at_the_end() {
        let (cx, _, seen) = watched();
        let meters = Meters::default();
        let meter = Meter::start(&cx, "x", Some(10), Duration::ZERO);
        meters.add(&meter);
        meter.update(7);
        assert_eq!(*seen.0.lock().unwrap(), [(0, false)]);
        meters.catch_up();
        meters.catch_up();
        assert_eq!(*seen.0.lock().unwrap(), [(0, false), (7, false)]);
        meter.update(8);
        drop(meter);
        meters.catch_up();
        assert_eq!(
            *seen.0.lock().unwrap(),
            [(0, false), (7, false), (8, false)]
        );
    }
}
