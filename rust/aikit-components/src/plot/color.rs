//! Colours: those of series, and a scale from dark to light.
//!
//! They are Vega's own (the scheme `tableau10`, and `viridis`), so that a chart looks the same
//! whoever draws it.

use super::{float, whole};

const SERIES: [&str; 10] = [
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6",
    "#9d755d", "#bab0ac",
];

/// Places on the scale `viridis`, in red, green and blue.
const SCALE: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Steps of the scale that are told apart.
pub(super) const SHADES: usize = 64;

/// The colour of a series.
pub(super) const fn of_series(position: usize) -> &'static str {
    SERIES[position % SERIES.len()]
}

/// Which of the [`SHADES`] steps a share from 0 to 1 is.
pub(super) fn shade(share: f64) -> usize {
    whole(share * float(SHADES)).min(SHADES - 1)
}

/// The colour of a step of the scale.
pub(super) fn of_shade(shade: usize) -> String {
    let place = float(shade) / float(SHADES - 1) * float(SCALE.len() - 1);
    let first = whole(place).min(SCALE.len() - 2);
    let beyond = place - float(first);
    let mix = |part: usize| {
        let (from, to) = (
            f64::from(SCALE[first][part]),
            f64::from(SCALE[first + 1][part]),
        );
        whole((to - from).mul_add(beyond, from).round())
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}
