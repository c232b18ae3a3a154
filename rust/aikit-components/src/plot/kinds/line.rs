//! Lines: how numbers go up and down.

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
    DOTTED_MAX, Drawn, Kind, legend, pieces, rows, scale, sort, tooltip, x_axis, y_axis,
};

/// One line a series.
#[derive(Debug)]
pub(super) struct Line;

impl Kind for Line {
    fn name(&self) -> &'static str {
        "line"
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        let mut points = Points::read(options, table, false)?;
        sort(&mut points);
        let count: usize = points.series.iter().map(|it| it.points.len()).sum();
        let is_dotted = count <= DOTTED_MAX;
        let mut marks = Vec::new();
        for (position, series) in points.series.iter().enumerate() {
            let lines = pieces(&series.points);
            let dots = is_dotted.then(|| Shape::Dots(lines.concat()));
            marks.push(Mark::of_series(position, Shape::Lines(lines)));
            marks.extend(dots.map(|it| Mark::of_series(position, it)));
        }
        Ok(Drawn {
            picture: Picture {
                x: x_axis(&points)?,
                y: y_axis(&points, scale(points.numbers(), false)?),
                marks,
                legend: legend(&points),
            },
            vega: Vega {
                mark: vec![("type", text("line")), ("point", Value::Bool(is_dotted))],
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
