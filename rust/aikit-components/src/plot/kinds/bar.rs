//! Bars: numbers of things with names.

use aikit_core::{Result, Value};

use super::{
    super::{
        float,
        options::Options,
        picture::{Mark, Picture, Shape},
        points::{Places, Points},
        table::Table,
        text::Text,
        vega::{Vega, number, text},
        whole,
    },
    Drawn, Kind, legend, place, scale, tooltip, x_axis, y_axis,
};

/// How wide a bar is, where 1 is the room of a name.
const WIDTH: f64 = 0.8;

/// One bar for each name and series; where several rows have both, their sum.
#[derive(Debug)]
pub(super) struct Bar;

impl Kind for Bar {
    fn name(&self) -> &'static str {
        "bar"
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        let points = Points::read(options, table, true)?;
        draw(&points, options.stack)
    }
}

/// A bar that has its place: its series, its name and its number, from where to where it goes.
struct Placed {
    series: usize,
    name: usize,
    sum: f64,
    from: f64,
    to: f64,
}

/// Draws bars at places that are names.
pub(super) fn draw(points: &Points, is_stacked: bool) -> Result<Drawn> {
    let is_stacked = is_stacked || points.series.len() == 1;
    let placed = placed(points, is_stacked);
    let count = points.series.len();
    let mut shapes = vec![Vec::new(); count];
    for bar in &placed {
        let (left, width) = if is_stacked {
            (-WIDTH / 2.0, WIDTH)
        } else {
            let width = WIDTH / float(count);
            (width.mul_add(float(bar.series), -WIDTH / 2.0), width)
        };
        let left = float(bar.name) + left;
        shapes[bar.series].push([left, left + width, bar.from, bar.to]);
    }
    let marks = shapes.into_iter().enumerate();
    let marks = marks.map(|(position, it)| Mark::of_series(position, Shape::Boxes(it)));
    let ends = placed.iter().flat_map(|it| [it.from, it.to]);
    let scale = scale(ends, true)?;
    let mut more = vec![("y2", Value::map([("field", text("y2"))]))];
    if !is_stacked {
        let names: Value = points.series.iter().map(|it| text(&it.name)).collect();
        let offset = [("field", text("series")), ("sort", names)];
        more.push(("xOffset", Value::map(offset)));
    }
    let mut tooltip = tooltip(points);
    // What is shown is the number, not where its bar ends.
    tooltip[1].0 = "sum";
    Ok(Drawn {
        picture: Picture {
            x: x_axis(points)?,
            y: y_axis(points, scale),
            marks: marks.collect(),
            legend: legend(points),
        },
        vega: Vega {
            mark: vec![("type", text("bar"))],
            x: vec![(
                "scale",
                Value::map(
                    [("paddingInner", 0.2), ("paddingOuter", 0.1)]
                        .map(|(name, it)| (name, Value::Float(it))),
                ),
            )],
            y: vec![("stack", Value::Null)],
            more,
            tooltip,
            rows: placed.iter().map(|it| row(points, it)).collect(),
        },
        text: Text::Bars(
            placed
                .iter()
                .map(|it| (label(points, it), it.sum))
                .collect(),
        ),
    })
}

fn row(points: &Points, bar: &Placed) -> Value {
    let mut row = vec![
        ("x", place(&points.places, float(bar.name))),
        ("y", number(bar.to)),
        ("y2", number(bar.from)),
        ("sum", number(bar.sum)),
    ];
    if points.color_title.is_some() {
        row.push(("series", text(&points.series[bar.series].name)));
    }
    Value::map(row)
}

fn label(points: &Points, bar: &Placed) -> String {
    let name = match &points.places {
        Places::Categories(names) => names.get(bar.name).cloned().unwrap_or_default(),
        Places::Numbers => bar.name.to_string(),
    };
    if points.color_title.is_some() {
        format!("{name}, {}", points.series[bar.series].name)
    } else {
        name
    }
}

/// The bars by name and series: what goes up and what goes down each on its own stack.
fn placed(points: &Points, is_stacked: bool) -> Vec<Placed> {
    let count = match &points.places {
        Places::Categories(names) => names.len(),
        Places::Numbers => 0,
    };
    let mut sums = vec![vec![f64::NAN; points.series.len()]; count];
    for (series, it) in points.series.iter().enumerate() {
        for [x, y] in it.points.iter().filter(|[_, y]| !y.is_nan()) {
            if let Some(sum) = sums.get_mut(whole(*x)).map(|it| &mut it[series]) {
                *sum = if sum.is_nan() { *y } else { *sum + y };
            }
        }
    }
    let mut bars = Vec::new();
    for (name, sums) in sums.into_iter().enumerate() {
        let (mut above, mut below) = (0.0, 0.0);
        for (series, sum) in sums.into_iter().enumerate().filter(|(_, it)| !it.is_nan()) {
            let stack = if sum < 0.0 { &mut below } else { &mut above };
            let from = if is_stacked { *stack } else { 0.0 };
            *stack += sum;
            bars.push(Placed {
                series,
                name,
                sum,
                from,
                to: from + sum,
            });
        }
    }
    bars
}
