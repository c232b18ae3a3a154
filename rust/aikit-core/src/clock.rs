//! Time, randomness and identities, behind a trait that recordings and simulations replace.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
pub use uuid::Uuid;

use crate::io;

/// Microseconds since 1970-01-01 UTC.
pub type UnixMicros = i64;

/// Where the time, randomness and identities of a run come from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall-clock time.
    fn now(&self) -> UnixMicros;

    /// Time since some fixed point; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Waits without blocking a thread.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Fills `bytes` with randomness fit for keys.
    fn random(&self, bytes: &mut [u8]);

    /// The wall-clock time of events and log lines: what a recording leaves as it is, where
    /// [`Clock::now`] is what a script is told.
    fn wall(&self) -> UnixMicros {
        self.now()
    }

    /// A random share of a pause, from 0 up to 1: what a recording leaves as it is.
    fn jitter(&self) -> f64 {
        let mut bytes = [0; 4];
        self.random(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    /// A random identity (UUID version 4): what a recording leaves as it is.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.random(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The operating system's clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> UnixMicros {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn monotonic(&self) -> Duration {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // Made on the one runtime, whichever executor polls it: another one may end first.
            let timer = {
                let _entered = io::runtime().enter();
                tokio::time::sleep(duration)
            };
            timer.await;
        })
    }

    fn random(&self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without randomness no identity is safe")]
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}
