//! How long to wait before a call that failed is made again.
//!
//! Pauses have full jitter: a random share of a bound that doubles each time. Source: Marc Brooker,
//! "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use aikit_core::clock::Clock;

/// The bound doubles at most this often.
const DOUBLINGS_MAX: u32 = 20;

/// The bounds of the pauses of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// Bound of the first pause.
    pub(crate) first: Duration,
    /// Largest bound.
    pub(crate) most: Duration,
}

impl Backoff {
    /// The pause after the attempt number `failed`, from 1; never shorter than what was `asked` for
    /// by whoever refused the call.
    pub(crate) fn pause(&self, clock: &dyn Clock, failed: u32, asked: Duration) -> Duration {
        let doublings = failed.saturating_sub(1).min(DOUBLINGS_MAX);
        let bound = self.first.saturating_mul(1 << doublings).min(self.most);
        asked.saturating_add(bound.mul_f64(clock.jitter()))
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::clock::SystemClock;

    use super::*;

    #[test]
    fn a_pause_is_a_share_of_a_bound_that_doubles_up_to_the_largest() {
        let backoff = Backoff {
            first: Duration::from_millis(500),
            most: Duration::from_secs(8),
        };
        let asked = Duration::from_secs(7);
        let bounds = [500, 1_000, 2_000, 4_000, 8_000, 8_000];
        for (failed, bound) in (1..).zip(bounds) {
            for _ in 0..50 {
                let pause = backoff.pause(&SystemClock, failed, Duration::ZERO);
                assert!(pause <= Duration::from_millis(bound), "{failed}: {pause:?}");
                assert!(backoff.pause(&SystemClock, failed, asked) >= asked);
            }
        }
        let longest = backoff.pause(&SystemClock, u32::MAX, Duration::MAX);
        assert_eq!(longest, Duration::MAX);
    }
}
