//! Dots: how two numbers go together.

use aikit_core::{Result, Value};

use super::{
    super::{
        options::Options,
        picture::{Mark, Picture, Shape},
        points::Points,
        table::Table,
        text::Text,
        vega::{Vega, text},
    },
    Drawn, Kind, legend, pieces, rows, scale, tooltip, x_axis, y_axis,
};

/// How much of what is behind a dot is covered.
const OPACITY: f64 = 0.7;

/// One colour of dots a series.
#[derive(Debug)]
pub(super) struct Scatter;

impl Kind for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        let points = Points::read(options, table, false)?;
        let series = points.series.iter().enumerate();
        let marks = series.map(|(position, series)| Mark {
            opacity: OPACITY,
            ..Mark::of_series(position, Shape::Dots(pieces(&series.points).concat()))
        });
        Ok(Drawn {
            picture: Picture {
                x: x_axis(&points)?,
                y: y_axis(&points, scale(points.numbers(), false)?),
                marks: marks.collect(),
                legend: legend(&points),
            },
            vega: Vega {
                mark: vec![
                    ("type", text("point")),
                    ("filled", true.into()),
                    ("opacity", Value::Float(OPACITY)),
                ],
                x: Vec::new(),
                y: Vec::new(),
                more: Vec::new(),
                tooltip: tooltip(&points),
                rows: rows(&points),
            },
            text: Text::Canvas,
        })
    }
}
