//! Lines: how numbers go up and down.

use aikit_core::{Result, Value};

use super::{
    super::{
        options::Options,
        picture::{Mark, Shape},
        points::Points,
        table::Table,
        vega::text,
    },
    DOTTED_MAX, Drawn, Kind, of_points, pieces, sort,
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
        let mark = vec![("type", text("line")), ("point", Value::Bool(is_dotted))];
        of_points(&points, marks, mark)
    }
}
