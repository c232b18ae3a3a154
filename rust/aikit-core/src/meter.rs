//! Measures how far some work is and shows it to whoever watches the Context.

use std::time::Duration;

use crate::{context::Context, progress::Progress};

/// What is shown is shown anew at most this often, but for the last state.
pub const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Shows the progress of one piece of work. What was measured soon after something was shown is
/// behind until the next measure, [`Meter::catch_up`] or the end.
#[derive(Debug)]
pub struct Meter {
    cx: Context,
    state: Progress,
    began: Duration,
    /// When it was shown; `None` before the first time.
    shown: Option<Duration>,
    /// Whether something was measured since.
    is_behind: bool,
    delay: Duration,
}

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
        let mut meter = Self {
            state: Progress {
                id: clock.uuid().simple().to_string(),
                label: label.into(),
                total,
                ..Progress::default()
            },
            began: clock.monotonic(),
            shown: None,
            is_behind: false,
            delay,
            cx: cx.clone(),
        };
        meter.update(0);
        meter
    }

    /// What was last measured.
    pub const fn state(&self) -> &Progress {
        &self.state
    }

    /// Says how many steps are done.
    pub fn update(&mut self, done: u64) {
        if self.state.is_over {
            return;
        }
        let now = self.cx.clock().monotonic();
        self.state.done = done;
        self.state.elapsed = now.saturating_sub(self.began);
        let is_due = match self.shown {
            None => self.state.elapsed >= self.delay,
            Some(shown) => now.saturating_sub(shown) >= SHOW_EVERY,
        };
        self.is_behind = self.shown.is_some() && !is_due;
        if is_due {
            self.shown = Some(now);
            self.cx.show_progress(&self.state);
        }
    }

    /// Whether something was shown, and is not what was last measured.
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Shows what was last measured, if it is behind.
    pub fn catch_up(&mut self) {
        if self.is_behind {
            self.is_behind = false;
            self.shown = Some(self.cx.clock().monotonic());
            self.cx.show_progress(&self.state);
        }
    }

    /// Shows the last state, if any was shown before; later updates do nothing.
    pub fn close(&mut self) {
        if self.state.is_over {
            return;
        }
        let now = self.cx.clock().monotonic();
        self.state.elapsed = now.saturating_sub(self.began);
        self.state.is_over = true;
        self.is_behind = false;
        if self.shown.is_some() {
            self.cx.show_progress(&self.state);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.catch_up();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::future::BoxFuture;

    use super::*;
    use crate::{clock::Clock, context::Overrides, progress::ProgressSink};

    /// A clock that stands still until it is moved.
    #[derive(Debug, Default)]
    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn now(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<(u64, bool)>>);

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
        *hand.0.lock().unwrap() = Duration::from_millis(milliseconds);
    }

    #[test]
    fn the_first_and_the_last_state_are_shown_and_few_between() {
        let (cx, hand, seen) = watched();
        // Below the Context that is watched as well.
        let cx = cx.child(Overrides::default());
        let mut meter = Meter::start(&cx, "x", Some(10), Duration::ZERO);
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
        let mut meter = Meter::start(&cx, "x", None, Duration::from_millis(500));
        move_to(&hand, 499);
        meter.update(1);
        meter.close();
        assert!(seen.0.lock().unwrap().is_empty());

        let mut meter = Meter::start(&cx, "x", None, Duration::from_millis(500));
        move_to(&hand, 1000);
        meter.update(5);
        meter.close();
        assert_eq!(*seen.0.lock().unwrap(), [(5, false), (5, true)]);
    }
    #[test]
    fn what_is_behind_is_shown_when_asked_and_at_the_end() {
        let (cx, hand, seen) = watched();
        let mut meter = Meter::start(&cx, "x", Some(10), Duration::ZERO);
        meter.catch_up();
        move_to(&hand, 50);
        meter.update(7);
        assert!(meter.is_behind());
        assert_eq!(*seen.0.lock().unwrap(), [(0, false)]);
        meter.catch_up();
        meter.catch_up();
        assert!(!meter.is_behind());
        // Not before its time after that.
        move_to(&hand, 149);
        meter.update(8);
        assert_eq!(*seen.0.lock().unwrap(), [(0, false), (7, false)]);
        drop(meter);
        assert_eq!(seen.0.lock().unwrap().last(), Some(&(8, false)));

        let mut quick = Meter::start(&cx, "x", None, Duration::from_millis(500));
        quick.update(1);
        assert!(!quick.is_behind());
        drop(quick);
        assert_eq!(seen.0.lock().unwrap().len(), 3);
    }
}
