//! Areas: lines over what they cover, on one another or through one another.

use std::collections::BTreeMap;

use aikit_core::{Result, Value};

use super::{
    super::{
        options::Options,
        picture::{Mark, Picture, Shape},
        points::Points,
        table::Table,
        text::Text,
        vega::{Vega, number, text},
    },
    Drawn, Kind, legend, pieces, place, scale, sort, tooltip, x_axis, y_axis,
};

/// How much of what is behind an area is covered.
const OPACITY: f64 = 0.8;
/// The same for areas that stand behind one another.
const OVERLAID: f64 = 0.5;

/// One area a series.
#[derive(Debug)]
pub(super) struct Area;

/// Pieces of an area: x, lower y, upper y; and the number itself.
type Piece = Vec<[f64; 4]>;

impl Kind for Area {
    fn name(&self) -> &'static str {
        "area"
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        let mut points = Points::read(options, table, false)?;
        sort(&mut points);
        let is_stacked = options.stack && points.series.len() > 1;
        let areas = if is_stacked {
            stacked(&points)
        } else {
            overlaid(&points)
        };
        let opacity = if is_stacked || areas.len() == 1 {
            OPACITY
        } else {
            OVERLAID
        };
        let marks = areas.iter().enumerate().map(|(position, pieces)| {
            let shape = pieces.iter().map(|piece| {
                piece
                    .iter()
                    .map(|[x, low, high, _]| [*x, *low, *high])
                    .collect()
            });
            Mark {
                opacity,
                ..Mark::of_series(position, Shape::Areas(shape.collect()))
            }
        });
        let marks = marks.collect();
        let ends = areas
            .iter()
            .flatten()
            .flatten()
            .flat_map(|[_, low, high, _]| [*low, *high]);
        let scale = scale(ends, true)?;
        let mut tooltip = tooltip(&points);
        tooltip[1].0 = "number";
        Ok(Drawn {
            picture: Picture {
                x: x_axis(&points)?,
                y: y_axis(&points, scale),
                marks,
                legend: legend(&points),
            },
            vega: Vega {
                mark: vec![("type", text("area")), ("opacity", Value::Float(opacity))],
                x: Vec::new(),
                y: vec![("stack", Value::Null)],
                more: vec![("y2", Value::map([("field", text("y2"))]))],
                tooltip,
                rows: rows(&points, &areas),
            },
            text: Text::Canvas,
        })
    }
}

fn rows(points: &Points, areas: &[Vec<Piece>]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (series, pieces) in points.series.iter().zip(areas) {
        for (position, piece) in pieces.iter().enumerate() {
            // A row without a number ends a piece.
            let gap = (position > 0).then(|| [piece[0][0], f64::NAN, f64::NAN, f64::NAN]);
            for [x, low, high, own] in gap.into_iter().chain(piece.iter().copied()) {
                let mut row = vec![
                    ("x", place(&points.places, x)),
                    ("y", number(high)),
                    ("y2", number(low)),
                    ("number", number(own)),
                ];
                if points.color_title.is_some() {
                    row.push(("series", text(&series.name)));
                }
                rows.push(Value::map(row));
            }
        }
    }
    rows
}

fn overlaid(points: &Points) -> Vec<Vec<Piece>> {
    let pieces = |points| -> Vec<Piece> {
        let pieces = pieces(points).into_iter();
        pieces
            .map(|it| it.into_iter().map(|[x, y]| [x, 0.0, y, y]).collect())
            .collect()
    };
    points.series.iter().map(|it| pieces(&it.points)).collect()
}

/// One on another, at every place that any of them has; what is missing counts as 0.
fn stacked(points: &Points) -> Vec<Vec<Piece>> {
    /// Numbers in their order; none of them is not-a-number.
    #[derive(PartialEq)]
    struct At(f64);
    impl Eq for At {}
    impl PartialOrd for At {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for At {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.total_cmp(&other.0)
        }
    }
    let mut sums: BTreeMap<At, f64> = BTreeMap::new();
    for [x, _] in points.series.iter().flat_map(|it| &it.points) {
        sums.insert(At(*x), 0.0);
    }
    let mut areas = Vec::new();
    for series in &points.series {
        let mut own: BTreeMap<At, f64> = BTreeMap::new();
        for [x, y] in series.points.iter().filter(|[_, y]| !y.is_nan()) {
            *own.entry(At(*x)).or_default() += y;
        }
        let piece = sums.iter_mut().map(|(at, sum)| {
            let own = own.get(at).copied().unwrap_or(0.0);
            let low = *sum;
            *sum += own;
            [at.0, low, *sum, own]
        });
        areas.push(vec![piece.collect()]);
    }
    areas
}
