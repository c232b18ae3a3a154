//! Further attempts of a call that failed: how many, and after which pause.

use std::time::Duration;

use aikit_core::{Context, Error, ErrorKind, Result, error::Retry};

use crate::backoff::Backoff;

/// Most attempts of one call, the first included.
const ATTEMPTS_MAX: u32 = 4;

/// Bounds of the pauses; the provider may ask for longer ones.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(8),
};

/// Longest time that the pauses of one call may take together.
const PAUSES_MAX: Duration = Duration::from_mins(1);

/// The attempts of one call.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: u32,
    paused: Duration,
}

impl Attempts {
    /// Waits before the next attempt.
    ///
    /// # Errors
    ///
    /// `error` again when another attempt is not worth it: its kind does not pass by itself, there
    /// were enough of them, or the pause would be longer than what is left of the time. Those of
    /// [`Context::check`] while it waits.
    pub(super) async fn pause(&mut self, cx: &Context, error: Error) -> Result<()> {
        self.failed += 1;
        let Some(pause) = self.next(cx, &error) else {
            return Err(self.explained(error));
        };
        self.paused += pause;
        cx.metrics().add("model.retries", 1.0);
        let kind = error.kind().code();
        tracing::debug!(kind, ?pause, failed = self.failed, "a model is asked again");
        cx.within(cx.clock().sleep(pause)).await
    }

    /// How long to wait; `None` when it is not worth it.
    fn next(&self, cx: &Context, error: &Error) -> Option<Duration> {
        let asked = match error.retry() {
            Retry::Never => return None,
            Retry::ByKind if !error.kind().is_retryable() => return None,
            Retry::ByKind => Duration::ZERO,
            Retry::After(asked) => asked,
        };
        if self.failed >= ATTEMPTS_MAX || cx.check().is_err() {
            return None;
        }
        let pause = PAUSES.pause(&**cx.clock(), self.failed, asked);
        let fits = self.paused.saturating_add(pause) <= PAUSES_MAX
            && cx.remaining().is_none_or(|left| pause < left);
        fits.then_some(pause)
    }

    /// The last error, with the number of attempts where there was more than one.
    fn explained(&self, error: Error) -> Error {
        let is_end = matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Interrupted);
        if self.failed < 2 || is_end {
            return error;
        }
        let message = format!("{} (after {} attempts)", error.message(), self.failed);
        let hint = error.hint().map(str::to_owned);
        let explained = Error::new(error.kind(), message)
            .with_retry(error.retry())
            .with_traceback(error.traceback().to_vec())
            .with_source(error);
        match hint {
            Some(hint) => explained.with_hint(hint),
            None => explained,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aikit_core::{
        clock::{Clock, UnixMicros},
        context::Overrides,
    };
    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;

    /// A clock on which pauses pass at once, and half of every bound is drawn.
    #[derive(Debug, Default)]
    struct Still(Mutex<Vec<Duration>>);

    impl Clock for Still {
        fn now(&self) -> UnixMicros {
            0
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().iter().sum()
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            self.0.lock().unwrap().push(duration);
            Box::pin(async {})
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(0);
            if let Some(last) = bytes.last_mut() {
                *last = 0x80;
            }
        }
    }

    /// The pauses in milliseconds until `error` is given back, and the last message.
    fn pauses(error: impl Fn() -> Error, timeout: Option<Duration>) -> (Vec<u128>, String) {
        let clock = Arc::new(Still::default());
        let cx = Context::create(Overrides {
            clock: Some(Arc::clone(&clock) as _),
            timeout,
            ..Overrides::default()
        });
        let mut attempts = Attempts::default();
        let last = loop {
            if let Err(error) = attempts.pause(&cx, error()).now_or_never().unwrap() {
                break error;
            }
        };
        let slept = clock.0.lock().unwrap();
        let millis = slept.iter().map(Duration::as_millis).collect();
        (millis, last.message().to_owned())
    }

    fn busy() -> Error {
        Error::new(ErrorKind::RateLimited, "too many")
    }

    #[test]
    fn pauses_double_have_jitter_and_end() {
        let (slept, message) = pauses(busy, None);
        assert_eq!(slept, [250, 500, 1000]);
        assert_eq!(message, "too many (after 4 attempts)");
    }

    #[test]
    fn what_does_not_pass_by_itself_is_not_tried_again() {
        let refused = || Error::new(ErrorKind::ModelAuth, "no");
        let never = || busy().with_retry(Retry::Never);
        for (slept, message) in [pauses(refused, None), pauses(never, None)] {
            assert_eq!((slept.len(), message.contains("attempts")), (0, false));
        }
    }

    #[test]
    fn the_provider_is_not_asked_before_the_time_it_names() {
        let after = |seconds| move || busy().with_retry(Retry::After(Duration::from_secs(seconds)));
        assert_eq!(pauses(after(7), None).0, [7250, 7500, 8000]);
        // A pause longer than all pauses may take is no pause.
        assert_eq!(pauses(after(61), None).0.len(), 0);
        assert_eq!(pauses(after(25), None).0, [25_250, 25_500]);
    }

    #[test]
    fn a_deadline_that_a_pause_would_pass_ends_the_attempts() {
        let (slept, message) = pauses(busy, Some(Duration::from_millis(600)));
        assert_eq!(slept, [250]);
        assert_eq!(message, "too many (after 2 attempts)");
    }
}
