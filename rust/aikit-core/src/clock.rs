//! Time, randomness and identities, behind a trait that recordings and simulations replace.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
pub use uuid::Uuid;

use crate::io;

/// Microseconds since 1970-01-01 UTC.
pub type UnixMicros = i64;

/// A length of time in seconds as scripts and programs give it; `None` for what is none. One that
/// is infinite, or too long to be counted, is [`Duration::MAX`], which no wait reaches.
pub fn length(seconds: f64) -> Option<Duration> {
    let is_length = seconds >= 0.0;
    is_length.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

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

/// A time as ISO 8601 in UTC with microseconds; `unix_micros` counts from 1970.
pub fn iso8601(unix_micros: UnixMicros) -> String {
    let mut text = String::new();
    write_iso8601(&mut text, unix_micros);
    text
}

/// As [`iso8601`], behind a text.
pub fn write_iso8601(line: &mut String, unix_micros: UnixMicros) {
    thread_local! {
        /// A second and how it is written: most times are of the same one as the last.
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let (second, mut micros) = (
        unix_micros.div_euclid(1_000_000),
        unix_micros.rem_euclid(1_000_000),
    );
    // A thread that ends remembers nothing any more.
    let known = LAST.try_with(|last| {
        let mut last = last.try_borrow_mut().ok()?;
        if last.0 != second {
            last.1.clear();
            write_second(&mut last.1, second);
            last.0 = second;
        }
        line.push_str(&last.1);
        Some(())
    });
    if known.ok().flatten().is_none() {
        write_second(line, second);
    }
    let mut unit = 100_000;
    while unit > 0 {
        line.push(char::from(
            b'0' + u8::try_from(micros / unit).unwrap_or_default(),
        ));
        micros %= unit;
        unit /= 10;
    }
    line.push('Z');
}

/// A second, with the point before its fraction. Days become a date by the algorithm
/// `civil_from_days` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn write_second(text: &mut String, second: i64) {
    const DAY: i64 = 86_400;
    let (days, second) = (second.div_euclid(DAY), second.rem_euclid(DAY));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_795_253_223_123_456, "2026-11-21T09:27:03.123456Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(iso8601(micros), text);
        }
    }
}
