//! The circuit breaker of a hook: one that keeps failing, or keeps being too slow, is switched off.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Failures in a row after which a hook is switched off.
pub const FAILURES_MAX: u32 = 5;

/// Calls in a row that took too long after which a hook is switched off: each of them made its
/// caller wait for the whole time limit.
pub const TIMEOUTS_MAX: u32 = 3;

/// Counts the calls of one registration. A good answer begins the rows anew.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    calls: AtomicU64,
    failures: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failed_in_row: u32,
    late_in_row: u32,
    is_off: bool,
    last_error: Option<String>,
}

/// How a call of a hook went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// An error, a panic, or an answer without a meaning.
    Failed,
    /// It was cut off at its time limit.
    TookTooLong,
}

impl Breaker {
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        let mut state = self.state();
        (state.failed_in_row, state.late_in_row) = (0, 0);
    }

    /// Notes a failure; answers whether the hook is switched off because of it, which never
    /// happens to one that is `required`.
    pub(super) fn failed(&self, fault: Fault, message: &str, required: bool) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        state.last_error = Some(message.to_owned());
        state.failed_in_row += 1;
        state.late_in_row = match fault {
            Fault::Failed => 0,
            Fault::TookTooLong => state.late_in_row + 1,
        };
        let is_enough = state.failed_in_row >= FAILURES_MAX || state.late_in_row >= TIMEOUTS_MAX;
        let trips = is_enough && !required && !state.is_off;
        state.is_off |= trips;
        trips
    }

    /// Switches the hook on again, with new rows.
    pub(super) fn enable(&self) {
        let last_error = self.state().last_error.take();
        *self.state() = State {
            last_error,
            ..State::default()
        };
    }

    pub(super) fn is_off(&self) -> bool {
        self.state().is_off
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `-` (failed), `t` (took too long) and `+` (answered); how many were needed to switch
    /// the hook off.
    fn trips_after(events: &str, required: bool) -> Option<usize> {
        let breaker = Breaker::default();
        for (index, event) in events.chars().enumerate() {
            let fault = match event {
                '+' => {
                    breaker.answered();
                    continue;
                }
                't' => Fault::TookTooLong,
                _ => Fault::Failed,
            };
            if breaker.failed(fault, "x", required) {
                assert!(breaker.is_off());
                return Some(index + 1);
            }
        }
        assert!(!breaker.is_off());
        None
    }

    #[test]
    fn only_rows_of_failures_switch_a_hook_off() {
        let cases = [
            ("-----", Some(5)),
            ("----+----", None),
            ("ttt", Some(3)),
            ("tt+tt", None),
            ("t-t-t", Some(5)),
            ("tt-t", None),
            ("----t", Some(5)),
        ];
        for (events, expected) in cases {
            assert_eq!(trips_after(events, false), expected, "{events}");
        }
        assert_eq!(trips_after(&"t".repeat(50), true), None);
    }

    #[test]
    fn a_hook_that_is_switched_on_again_begins_anew() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.failed(Fault::Failed, "x", false));
            }
            assert!(breaker.failed(Fault::Failed, "x", false));
            breaker.enable();
            assert!(!breaker.is_off());
        }
        assert_eq!(breaker.failures(), 10);
        assert_eq!(breaker.last_error().as_deref(), Some("x"));
    }
}
