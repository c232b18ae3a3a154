//! The kinds of charts.

mod area;
mod bar;
mod heatmap;
mod histogram;
mod line;
mod scatter;

use aikit_core::{Result, Value};

use super::{
    options::Options,
    picture::{Axis, Extent, Legend, Mark, Picture, Place},
    points::{Places, Points, Series},
    scale::Scale,
    table::{Shape, Table},
    text::Text,
    unknown,
    vega::{Vega, number, text},
    whole, wrong,
};

/// A kind of chart.
pub(super) trait Kind: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What data without names means to it.
    fn shape(&self) -> Shape {
        Shape::Points
    }

    /// Makes the picture.
    ///
    /// # Errors
    ///
    /// As of [`Plot::new`](super::Plot::new).
    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn>;
}

/// A picture in the forms from which everything else is written.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) picture: Picture,
    pub(super) vega: Vega,
    pub(super) text: Text,
}

/// Every kind, in the order of help.
pub(super) const KINDS: &[&dyn Kind] = &[
    &line::Line,
    &bar::Bar,
    &scatter::Scatter,
    &area::Area,
    &histogram::Histogram,
    &heatmap::Heatmap,
];

/// The kind of that name.
///
/// # Errors
///
/// `invalid_args`, which names all there are.
pub(super) fn find(name: &str) -> Result<&'static dyn Kind> {
    let found = KINDS.iter().copied().find(|it| it.name() == name);
    found.ok_or_else(|| unknown("kind", name, KINDS.iter().map(|it| it.name()).collect()))
}

/// Points of one chart up to which each of them is marked on its line.
const DOTTED_MAX: usize = 60;

/// Points that stand where their numbers are, as these marks; `mark` is what Vega-Lite calls them.
///
/// # Errors
///
/// `invalid_args` where there is no number.
fn of_points(points: &Points, marks: Vec<Mark>, mark: Vec<(&'static str, Value)>) -> Result<Drawn> {
    Ok(Drawn {
        picture: Picture {
            x: x_axis(points)?,
            y: y_axis(points, scale(points.numbers(), false)?),
            marks,
            legend: legend(points),
        },
        vega: Vega {
            mark,
            x: Vec::new(),
            y: Vec::new(),
            more: Vec::new(),
            tooltip: tooltip(points),
            rows: rows(points),
        },
        text: Text::Canvas,
    })
}

/// The axis along which points stand.
fn x_axis(points: &Points) -> Result<Axis> {
    let scale = match &points.places {
        Places::Categories(names) => Extent::Categories(names.clone()),
        Places::Numbers => {
            let drawn = points.series.iter().flat_map(|it| &it.points);
            // A gap belongs to its axis as well.
            Extent::Numbers(scale(drawn.map(|[x, _]| *x), false)?)
        }
    };
    Ok(Axis {
        title: points.x_title.clone(),
        scale,
    })
}

/// The scale of numbers of which there is at least one.
fn scale(numbers: impl Iterator<Item = f64>, with_zero: bool) -> Result<Scale> {
    Scale::around(numbers, with_zero).ok_or_else(|| {
        wrong("there is no number to draw").with_hint("look at what was to be drawn")
    })
}

fn y_axis(points: &Points, scale: Scale) -> Axis {
    Axis {
        title: points.y_title.clone(),
        scale: Extent::Numbers(scale),
    }
}

fn legend(points: &Points) -> Option<Legend> {
    let title = points.color_title.clone()?;
    let names = points.series.iter().map(|it| it.name.clone()).collect();
    Some(Legend::Series { title, names })
}

/// The titles of what is shown where the pointer is.
fn tooltip(points: &Points) -> Vec<(&'static str, String)> {
    let mut titles = vec![("x", points.x_title.clone()), ("y", points.y_title.clone())];
    if let Some(title) = &points.color_title {
        titles.push(("series", title.clone()));
    }
    titles
}

/// The place of a point as data.
fn place(places: &Places, x: f64) -> Value {
    match places {
        Places::Numbers => number(x),
        Places::Categories(names) => names.get(whole(x)).map_or(Value::Null, |it| text(it)),
    }
}

/// One row of data for each point.
fn rows(points: &Points) -> Vec<Value> {
    let row = |series: &Series, [x, y]: Place| {
        let mut row = vec![("x", place(&points.places, x)), ("y", number(y))];
        if points.color_title.is_some() {
            row.push(("series", text(&series.name)));
        }
        Value::map(row)
    };
    let series = points.series.iter();
    series
        .flat_map(|it| it.points.iter().map(move |point| row(it, *point)))
        .collect()
}

/// Puts the points of each series in the order of their numbers; those with names are as they were.
fn sort(points: &mut Points) {
    if points.places == Places::Numbers {
        for series in &mut points.series {
            series.points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        }
    }
}

/// Pieces without gaps.
fn pieces(points: &[Place]) -> Vec<Vec<Place>> {
    let pieces = points.split(|[_, y]| y.is_nan());
    pieces
        .filter(|it| !it.is_empty())
        .map(<[Place]>::to_vec)
        .collect()
}
