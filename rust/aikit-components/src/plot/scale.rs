//! Scales of numbers: round limits, ticks, and how these are written.

use super::{float, whole};

/// Numbers beyond this are refused: differences of such could not be drawn.
pub(super) const MAGNITUDE_MAX: f64 = 1e300;

/// Ticks that an axis has, about.
const TICKS: f64 = 6.0;
/// More than an axis ever has.
const TICKS_MAX: usize = 20;

/// An axis of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Scale {
    /// A scale that holds all `numbers`, with round limits; gaps do not count. `None` without a
    /// number.
    pub(super) fn around(numbers: impl Iterator<Item = f64>, with_zero: bool) -> Option<Self> {
        let (low, high) = limits(numbers, with_zero)?;
        let (low, high) = if low < high {
            (low, high)
        } else {
            widened(low)
        };
        let step = round_step((high - low) / TICKS);
        let rounded = |number: f64, to: fn(f64) -> f64| {
            let rounded = to(number / step) * step;
            if rounded.is_finite() { rounded } else { number }
        };
        Some(Self {
            low: rounded(low, f64::floor),
            high: rounded(high, f64::ceil),
            step,
        })
    }

    /// Where ticks stand.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step).ceil();
        let ticks = (0..TICKS_MAX).map(|at| {
            let tick = (first + float(at)) * self.step;
            // What should be 0 is not always.
            if tick.abs() < self.step * 1e-6 {
                0.0
            } else {
                tick
            }
        });
        let most = self.step.mul_add(1e-6, self.high);
        ticks.take_while(|tick| *tick <= most).collect()
    }

    /// How a tick is written: `1,000`, `0.25`, `2e9`.
    pub(super) fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if largest >= 1e9 || self.step < 1e-6 {
            return exponential(tick, (largest / self.step).log10());
        }
        let decimals = whole((-self.step.log10()).ceil().max(0.0));
        // A step of 2.5 needs one more than its magnitude says.
        let is_whole = |decimals: usize| {
            let scaled = self.step * 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        };
        let decimals = if is_whole(decimals) {
            decimals
        } else {
            decimals + 1
        };
        grouped(&format!("{tick:.decimals$}"))
    }

    /// The share of the way from low to high, from 0 to 1.
    pub(super) fn share(&self, number: f64) -> f64 {
        (number - self.low) / (self.high - self.low)
    }
}

/// The least and the largest of some numbers; gaps do not count.
pub(super) fn limits(numbers: impl Iterator<Item = f64>, with_zero: bool) -> Option<(f64, f64)> {
    let found =
        numbers
            .filter(|it| !it.is_nan())
            .fold(None, |found: Option<(f64, f64)>, number| {
                let (low, high) = found.unwrap_or((number, number));
                Some((low.min(number), high.max(number)))
            });
    let (low, high) = found?;
    Some(if with_zero {
        (low.min(0.0), high.max(0.0))
    } else {
        (low, high)
    })
}

/// Limits around a single number.
fn widened(number: f64) -> (f64, f64) {
    let margin = if number == 0.0 {
        1.0
    } else {
        number.abs() * 0.1
    };
    (number - margin, number + margin)
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
pub(super) fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let share = raw / power;
    let step = steps.into_iter().find(|it| *it >= share * (1.0 - 1e-9));
    let step = step.unwrap_or(10.0) * power;
    // Among the smallest numbers there is nothing between.
    if step > 0.0 && step.is_finite() {
        step
    } else {
        f64::MIN_POSITIVE
    }
}

/// `1.5e9`, with as many digits as tell ticks apart.
fn exponential(tick: f64, digits: f64) -> String {
    if tick == 0.0 {
        return "0".to_owned();
    }
    let digits = whole(digits.max(0.0)).min(6) + 1;
    let written = format!("{tick:.digits$e}");
    match written.split_once('e') {
        Some((number, power)) if number.contains('.') => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number}e{power}")
        }
        _ => written,
    }
}

/// Commas between groups of three digits.
fn grouped(number: &str) -> String {
    let (sign, rest) = number
        .strip_prefix('-')
        .map_or(("", number), |it| ("-", it));
    let (digits, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let is_zero = number.chars().all(|it| matches!(it, '-' | '0' | '.'));
    let sign = if is_zero { "" } else { sign };
    if fraction.is_empty() {
        format!("{sign}{text}")
    } else {
        format!("{sign}{text}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(numbers: &[f64], with_zero: bool) -> Vec<String> {
        let scale = Scale::around(numbers.iter().copied(), with_zero).unwrap();
        scale.ticks().iter().map(|it| scale.label(*it)).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_numbers() {
        assert_eq!(labels(&[0.0, 10.0], false), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(
            labels(&[0.13, 0.91], false),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(&[-1200.0, 3400.0], false),
            ["-2,000", "-1,000", "0", "1,000", "2,000", "3,000", "4,000"]
        );
        assert_eq!(labels(&[7.0, 7.0], true)[0], "0");
        assert_eq!(
            labels(&[5.0, 5.0], false),
            ["4.4", "4.6", "4.8", "5.0", "5.2", "5.4", "5.6"]
        );
        assert_eq!(
            labels(&[1e12, 3e12], false),
            ["1e12", "1.5e12", "2e12", "2.5e12", "3e12"]
        );
    }

    #[test]
    fn any_numbers_give_a_few_ticks() {
        let odd = [
            [0.0, 5e-324],
            [-1e300, 1e300],
            [1e16, 1e16 + 2.0],
            [f64::MIN_POSITIVE, 1.0],
            [-0.0, 0.0],
            [1e-300, 2e-300],
        ];
        for numbers in odd {
            let scale = Scale::around(numbers.into_iter(), false).unwrap();
            let ticks = scale.ticks();
            assert!(ticks.len() <= TICKS_MAX, "{numbers:?}: {ticks:?}");
            assert!(
                scale.low.is_finite() && scale.high.is_finite(),
                "{numbers:?}"
            );
            assert!(scale.low < scale.high, "{numbers:?}: {scale:?}");
            for tick in ticks {
                assert!(scale.label(tick).len() < 30, "{}", scale.label(tick));
            }
        }
        assert_eq!(Scale::around([f64::NAN].into_iter(), true), None);
    }
}
