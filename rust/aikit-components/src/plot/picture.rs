//! A chart that is ready to be drawn: axes, marks, legend.

use super::{color, scale::Scale};

/// Everything that is to be seen.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Back to front.
    pub(super) marks: Vec<Mark>,
    pub(super) legend: Option<Legend>,
}

/// One axis with its title, which may be empty.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Extent,
}

/// What an axis spans.
#[derive(Clone, Debug)]
pub(super) enum Extent {
    /// Numbers.
    Numbers(Scale),
    /// Names side by side, each as wide as 1: the middle of the first is at 0.
    Categories(Vec<String>),
}

impl Extent {
    /// The share of the way along the axis.
    pub(super) fn share(&self, place: f64) -> f64 {
        match self {
            Self::Numbers(scale) => scale.share(place),
            Self::Categories(names) => (place + 0.5) / super::float(names.len().max(1)),
        }
    }
}

/// What is drawn in one colour.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) color: String,
    pub(super) opacity: f64,
    pub(super) shape: Shape,
}

impl Mark {
    /// A mark in the colour of a series.
    pub(super) fn of_series(position: usize, shape: Shape) -> Self {
        Self {
            color: color::of_series(position).to_owned(),
            opacity: 1.0,
            shape,
        }
    }
}

/// A point: x, y.
pub(super) type Place = [f64; 2];

/// Where a mark stands, in numbers of the axes.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Pieces of a line; a gap is between two of them.
    Lines(Vec<Vec<Place>>),
    /// Dots.
    Dots(Vec<Place>),
    /// Pieces of an area: x, lower y, upper y.
    Areas(Vec<Vec<[f64; 3]>>),
    /// Rectangles: x from and to, y from and to.
    Boxes(Vec<[f64; 4]>),
}

/// What the colours mean.
#[derive(Clone, Debug)]
pub(super) enum Legend {
    /// The names of the series, in the order of their colours.
    Series {
        /// What tells them apart; may be empty.
        title: String,
        /// Their names.
        names: Vec<String>,
    },
    /// A scale of numbers from dark to light.
    Ramp {
        /// What it counts; may be empty.
        title: String,
        /// Its limits.
        scale: Scale,
    },
}
