//! How far some work is, and how it is written: once for notebooks, terminals and logs.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

/// Parts of a bar that is written as text.
const PARTS: usize = 20;

/// How far some work is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Identity of the work: a later state with the same identity replaces an earlier one.
    pub id: String,
    /// What is being done.
    pub label: String,
    /// Steps that are done.
    pub done: u64,
    /// Steps in all, where it is known.
    pub total: Option<u64>,
    /// Time since the work began.
    pub elapsed: Duration,
    /// Whether this is the last state: all done, or given up.
    pub is_over: bool,
}

/// Shows how far work is: in the output of a cell, in a terminal.
pub trait ProgressSink: fmt::Debug + Send + Sync {
    /// Shows a state in the place of an earlier one of the same work.
    fn show(&self, progress: &Progress);
}

impl Progress {
    /// The part that is done, from 0 to 1; `None` when nobody knows how much there is.
    pub fn share(&self) -> Option<f64> {
        let total = self.total?;
        if total == 0 {
            return Some(if self.is_over { 1.0 } else { 0.0 });
        }
        Some(ratio(self.done.min(total), total))
    }

    /// The whole percents that are done, so that 100 means that all is; `None` when nobody knows how
    /// much there is.
    pub fn percent(&self) -> Option<usize> {
        self.parts(100)
    }

    /// How many of `whole` parts of the work are done: in integers, because 0.29 * 100.0 is 28.9….
    fn parts(&self, whole: usize) -> Option<usize> {
        let total = self.total?;
        if total == 0 {
            return Some(if self.is_over { whole } else { 0 });
        }
        let done = u128::from(self.done.min(total)) * whole as u128 / u128::from(total);
        Some(usize::try_from(done).unwrap_or(whole))
    }

    /// Steps a second; `None` before the first.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.done > 0 && seconds > 0.0).then(|| ratio(self.done, 1) / seconds)
    }

    /// How long the rest takes at the rate so far.
    pub fn remaining(&self) -> Option<Duration> {
        let rest = self.total?.saturating_sub(self.done);
        let seconds = ratio(rest, 1) / self.rate()?;
        (!self.is_over)
            .then(|| Duration::try_from_secs_f64(seconds).ok())
            .flatten()
    }

    /// One line of text: `Files:  40% ████████············ 4/10 [00:02<00:03, 2.0/s]`.
    pub fn line(&self) -> String {
        let mut line = String::new();
        if !self.label.is_empty() {
            let _ = write!(line, "{}: ", self.label);
        }
        if let Some((percent, filled)) = self.percent().zip(self.parts(PARTS)) {
            let bar = "█".repeat(filled) + &"·".repeat(PARTS.saturating_sub(filled));
            let _ = write!(line, "{percent:>3}% {bar} ");
        }
        let _ = write!(line, "{} [{}]", self.count(), self.times());
        line
    }

    /// `4/10`, or `4` when nobody knows how much there is.
    pub fn count(&self) -> String {
        match self.total {
            Some(total) => format!("{}/{total}", self.done),
            None => self.done.to_string(),
        }
    }

    /// `00:02<00:03, 2.0/s`: time since the begin, time that is left, steps a second.
    pub fn times(&self) -> String {
        let mut text = clock(self.elapsed);
        if let Some(remaining) = self.remaining() {
            text.push('<');
            text.push_str(&clock(remaining));
        }
        if let Some(rate) = self.rate() {
            let _ = if rate < 100.0 {
                write!(text, ", {rate:.1}/s")
            } else {
                write!(text, ", {rate:.0}/s")
            };
        }
        text
    }
}

/// Minutes and seconds, with hours where there are any.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bar is drawn, nothing is counted"
)]
const fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, done: u64, total: Option<u64>) -> Progress {
        Progress {
            label: "Files".to_owned(),
            done,
            total,
            elapsed: Duration::from_secs(seconds),
            ..Progress::default()
        }
    }

    #[test]
    fn a_line_says_what_is_done_what_is_left_and_how_fast() {
        assert_eq!(
            after(2, 4, Some(10)).line(),
            "Files:  40% ████████············ 4/10 [00:02<00:03, 2.0/s]"
        );
        let over = Progress {
            is_over: true,
            ..after(3700, 1_000_000, Some(1_000_000))
        };
        assert_eq!(
            over.line(),
            format!(
                "Files: 100% {} 1000000/1000000 [1:01:40, 270/s]",
                "█".repeat(20)
            )
        );
    }

    #[test]
    fn without_a_total_there_is_no_bar_and_no_end() {
        assert_eq!(after(0, 0, None).line(), "Files: 0 [00:00]");
        assert_eq!(after(4, 2, None).line(), "Files: 2 [00:04, 0.5/s]");
        assert_eq!(after(4, 2, None).remaining(), None);
    }

    #[test]
    fn odd_numbers_are_drawn_as_well() {
        assert_eq!(after(1, 5, Some(3)).share(), Some(1.0));
        assert_eq!(after(1, 0, Some(0)).share(), Some(0.0));
        let nameless = Progress {
            label: String::new(),
            ..after(0, 1, Some(2))
        };
        assert_eq!(nameless.line(), " 50% ██████████·········· 1/2 [00:00]");
        assert!(after(1, 1, Some(u64::MAX)).line().contains("  0%"));
    }

    #[test]
    fn a_percent_counts_when_it_is_done() {
        for (done, total, percent) in [
            (2, 3, 66),
            // 28.999… as a float.
            (29, 100, 29),
            (999, 1000, 99),
            (1000, 1000, 100),
            (5, 3, 100),
            (u64::MAX - 1, u64::MAX, 99),
        ] {
            let progress = after(1, done, Some(total));
            assert_eq!(progress.percent(), Some(percent), "{done}/{total}");
            assert!(progress.line().contains(&format!("{percent}% ")));
        }
        assert_eq!(after(1, 2, None).percent(), None);
        assert_eq!(after(1, 0, Some(0)).percent(), Some(0));
        let over = Progress {
            is_over: true,
            ..after(1, 0, Some(0))
        };
        assert_eq!(over.percent(), Some(100));
    }
}
