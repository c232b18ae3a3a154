//! Histograms: how often numbers, or names, are there.

use aikit_core::{Result, Value};
use indexmap::IndexMap;

use super::{
    super::{
        float,
        options::Options,
        picture::{Axis, Extent, Legend, Mark, Picture, Shape},
        points::{self, Places, Points, Series, check_series},
        scale::{limits, round_step},
        table::{self, Table},
        text::Text,
        vega::{Vega, number, text},
        whole, written, wrong,
    },
    Drawn, Kind, bar, scale,
};

/// Least and most bins where their number is not given.
const BINS: (f64, f64) = (5.0, 30.0);

/// What the axis of counts is called.
const COUNT: &str = "count";

/// The counts of numbers between limits, or of names.
#[derive(Debug)]
pub(super) struct Histogram;

impl Kind for Histogram {
    fn name(&self) -> &'static str {
        "histogram"
    }

    fn shape(&self) -> table::Shape {
        table::Shape::Values
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        if let Some(y) = options.y.first() {
            let hint = format!("a histogram counts the values of one column: `x = \"{y}\"`");
            return Err(wrong("a histogram has no `y`").with_hint(hint));
        }
        let color = options.color.as_deref();
        let x = match &options.x {
            Some(x) => x.clone(),
            None => table.choose("x", &Vec::from_iter(color))?,
        };
        let (places, values) = points::places(&x, table.column(&x)?, false)?;
        let series = split(table, color, &values)?;
        let title = if table.is_named { x } else { String::new() };
        let title = options.x_title.clone().unwrap_or(title);
        match places {
            Places::Numbers => draw(options, title, &series),
            Places::Categories(_) => {
                let y_title = options.y_title.clone().unwrap_or_else(|| COUNT.to_owned());
                let color_title = color.map(str::to_owned);
                let series = series.into_iter().map(|(name, values)| Series {
                    name,
                    points: values.into_iter().map(|it| [it, 1.0]).collect(),
                });
                let series = series.collect();
                let x_title = title;
                let points = Points {
                    places,
                    x_title,
                    y_title,
                    color_title,
                    series,
                };
                bar::draw(&points, options.stack)
            }
        }
    }
}

/// The values of each series, without gaps.
fn split(table: &Table, color: Option<&str>, values: &[f64]) -> Result<IndexMap<String, Vec<f64>>> {
    let mut series: IndexMap<String, Vec<f64>> = IndexMap::new();
    let names = match color {
        Some(color) => points::labels(color, table.column(color)?)?,
        None => vec![Some(String::new()); values.len()],
    };
    for (value, name) in values.iter().zip(names) {
        if let Some(name) = name.filter(|_| !value.is_nan()) {
            series.entry(name).or_default().push(*value);
        }
    }
    check_series(series.len())?;
    Ok(series)
}

/// Bins of one width.
struct Bins {
    low: f64,
    width: f64,
    count: usize,
}

impl Bins {
    /// As many as asked for, between the least and the largest number; or about as many as suit
    /// the numbers, with round limits.
    fn new(options: &Options, numbers: &[f64]) -> Result<Self> {
        let Some((low, high)) = limits(numbers.iter().copied(), false) else {
            let hint = "look at what was to be drawn";
            return Err(wrong("there is no number to count").with_hint(hint));
        };
        let are_whole = numbers.iter().all(|it| it.fract() == 0.0);
        let spread = if high > low { high - low } else { 1.0 };
        if let Some(count) = options.bins {
            let width = spread / float(count);
            return Ok(Self { low, width, count });
        }
        let (least, most) = BINS;
        let wanted = float(numbers.len()).sqrt().clamp(least, most);
        let width = round_step(spread / wanted);
        let width = if are_whole {
            width.ceil().max(1.0)
        } else {
            width
        };
        let low = (low / width).floor() * width;
        let count = whole(((high - low) / width).floor()) + 1;
        Ok(Self { low, width, count })
    }

    /// In which of them a number is; the last one holds its upper limit.
    fn of(&self, number: f64) -> usize {
        whole((number - self.low) / self.width).min(self.count - 1)
    }

    fn limits(&self, position: usize) -> (f64, f64) {
        let at = |position| self.width.mul_add(float(position), self.low);
        (at(position), at(position + 1))
    }
}

/// Boxes of each series, rows of data, and how high each bin is in all.
struct Counted {
    shapes: Vec<Vec<[f64; 4]>>,
    rows: Vec<Value>,
    tops: Vec<f64>,
}

/// Between two boxes there is a gap, so that they are told apart: this share of a bin on each side.
const GAP: f64 = 0.01;

fn count(bins: &Bins, series: &IndexMap<String, Vec<f64>>, is_stacked: bool) -> Counted {
    let mut tops = vec![0.0_f64; bins.count];
    let (mut shapes, mut rows) = (Vec::new(), Vec::new());
    for (name, numbers) in series {
        let mut counts = vec![0_usize; bins.count];
        for number in numbers {
            counts[bins.of(*number)] += 1;
        }
        let mut boxes = Vec::new();
        for (bin, count) in counts.into_iter().enumerate().filter(|(_, it)| *it > 0) {
            let (left, right) = bins.limits(bin);
            let from = if is_stacked { tops[bin] } else { 0.0 };
            let to = from + float(count);
            tops[bin] = to.max(tops[bin]);
            let gap = bins.width * GAP;
            boxes.push([left + gap, right - gap, from, to]);
            rows.push(Value::map([
                ("x", number(left)),
                ("x2", number(right)),
                ("y", number(to)),
                ("y2", number(from)),
                (COUNT, Value::from(count as u64)),
                ("series", text(name)),
            ]));
        }
        shapes.push(boxes);
    }
    Counted { shapes, rows, tops }
}

fn draw(options: &Options, title: String, series: &IndexMap<String, Vec<f64>>) -> Result<Drawn> {
    let numbers: Vec<f64> = series.values().flatten().copied().collect();
    let bins = Bins::new(options, &numbers)?;
    let Counted { shapes, rows, tops } = count(&bins, series, options.stack);
    let opacity = if options.stack || series.len() == 1 {
        1.0
    } else {
        0.5
    };
    let marks = shapes
        .into_iter()
        .enumerate()
        .map(|(position, boxes)| Mark {
            opacity,
            ..Mark::of_series(position, Shape::Boxes(boxes))
        });
    let (first, last) = (bins.limits(0).0, bins.limits(bins.count - 1).1);
    let label = |bin| {
        let (left, right) = bins.limits(bin);
        let written = |limit| written(rounded(limit, bins.width));
        format!("{} – {}", written(left), written(right))
    };
    let legend = options.color.clone().map(|title| Legend::Series {
        title,
        names: series.keys().cloned().collect(),
    });
    let y_title = options.y_title.clone().unwrap_or_else(|| COUNT.to_owned());
    let x_axis = scale([first, last].into_iter(), false)?;
    let y_axis = scale(tops.iter().copied(), true)?;
    let text_bars = tops.iter().enumerate().map(|(bin, top)| (label(bin), *top));
    Ok(Drawn {
        picture: Picture {
            x: Axis {
                title,
                scale: Extent::Numbers(x_axis),
            },
            y: Axis {
                title: y_title,
                scale: Extent::Numbers(y_axis),
            },
            marks: marks.collect(),
            legend,
        },
        vega: vega(options, opacity, rows),
        text: Text::Bars(text_bars.collect()),
    })
}

fn vega(options: &Options, opacity: f64, rows: Vec<Value>) -> Vega {
    let field = |name| Value::map([("field", text(name))]);
    let mut tooltip = vec![
        ("x", "from".to_owned()),
        ("x2", "to".to_owned()),
        (COUNT, COUNT.to_owned()),
    ];
    tooltip.extend(options.color.clone().map(|it| ("series", it)));
    Vega {
        mark: vec![
            ("type", text("rect")),
            ("stroke", text("white")),
            ("strokeWidth", Value::Float(0.5)),
            ("opacity", Value::Float(opacity)),
        ],
        x: Vec::new(),
        y: Vec::new(),
        more: vec![("x2", field("x2")), ("y2", field("y2"))],
        tooltip,
        rows,
    }
}

/// A limit without the digits that adding leaves behind the last one that counts.
fn rounded(limit: f64, width: f64) -> f64 {
    let digits = 10_f64.powf((3.0 - width.log10().floor()).clamp(0.0, 12.0));
    (limit * digits).round() / digits
}
