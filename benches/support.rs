//! What every benchmark shares: repeats a piece of work and prints its cost.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use aikit_core::clock::{Clock as _, SystemClock};

/// Rounds of one benchmark; the figures are minimum and median over them.
const ROUNDS: usize = 31;

/// Repeats `work`, which answers how many operations it did, and prints nanoseconds an operation.
pub fn report(name: &str, mut work: impl FnMut() -> u32) {
    work();
    let mut costs: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = SystemClock.monotonic();
            let operations = work();
            SystemClock.monotonic().saturating_sub(start) / operations.max(1)
        })
        .collect();
    costs.sort_unstable();
    println!("{name}: min {:?}, median {:?}", costs[0], costs[ROUNDS / 2]);
}
