//! Dots: how two numbers go together.

use aikit_core::{Result, Value};

use super::{
    super::{
        options::Options,
        picture::{Mark, Shape},
        points::Points,
        table::Table,
        vega::text,
    },
    Drawn, Kind, of_points, pieces,
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
        let mark = vec![
            ("type", text("point")),
            ("filled", true.into()),
            ("opacity", Value::Float(OPACITY)),
        ];
        of_points(&points, marks.collect(), mark)
    }
}
