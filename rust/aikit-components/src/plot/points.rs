//! The points of a chart: where they stand, and to which series they belong.

use aikit_core::{Error, ErrorKind, Result, Value, markup};
use indexmap::{IndexMap, IndexSet};

use super::{
    SERIES_MAX, float, options::Options, scale::MAGNITUDE_MAX, table::Table, written, wrong,
};

/// What the x of points means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Places {
    /// It is a number.
    Numbers,
    /// It is the position, from 0, of one of these names.
    Categories(Vec<String>),
}

/// Points in their series, in the order of the data.
#[derive(Debug)]
pub(super) struct Points {
    pub(super) places: Places,
    pub(super) x_title: String,
    pub(super) y_title: String,
    /// What tells series apart; `None` for a single one without a name.
    pub(super) color_title: Option<String>,
    pub(super) series: Vec<Series>,
}

/// Points of one colour.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    /// Position and number; not-a-number is a gap.
    pub(super) points: Vec<[f64; 2]>,
}

impl Points {
    /// Reads the columns that the options name. Where `x` is a text somewhere, or
    /// `as_categories`, positions are names: texts in the order of the data, numbers in theirs.
    ///
    /// # Errors
    ///
    /// `invalid_args` for columns that are not there or hold what cannot be drawn;
    /// `limit_exceeded` for too many series.
    pub(super) fn read(options: &Options, table: &Table, as_categories: bool) -> Result<Self> {
        let given_y: Vec<&str> = options.y.iter().map(String::as_str).collect();
        let color = options.color.as_deref();
        if given_y.len() > 1 && color.is_some() {
            let hint = "leave `color` out: each column of `y` is a series";
            return Err(wrong("`color` and several `y` were given").with_hint(hint));
        }
        for name in options.x.iter().chain(&options.y).chain(&options.color) {
            table.column(name)?;
        }
        let others: Vec<&str> = given_y.iter().copied().chain(color).collect();
        let x = match &options.x {
            Some(name) => name.clone(),
            None => table.choose("x", &others)?,
        };
        let y = if given_y.is_empty() {
            let others: Vec<&str> = [x.as_str()].into_iter().chain(color).collect();
            vec![table.choose("y", &others)?]
        } else {
            options.y.clone()
        };
        let (places, positions) = places(&x, table.column(&x)?, as_categories)?;
        let series = match color {
            Some(color) => by_color(table, (&y[0], color), &positions)?,
            None => by_column(table, &y, &positions)?,
        };
        let numbers = || series.iter().flat_map(|it| &it.points);
        if numbers().all(|[_, y]| y.is_nan()) {
            let message = if table.is_named {
                format!("no row has both `{x}` and a number in `{}`", y.join("`, `"))
            } else {
                "`data` holds no number".to_owned()
            };
            let hint = "not-a-number, infinities and what is missing are gaps: look at what was \
                        to be drawn";
            return Err(wrong(&message).with_hint(hint));
        }
        let title = |name: &str| {
            if table.is_named {
                name.to_owned()
            } else {
                String::new()
            }
        };
        let is_wide = y.len() > 1;
        Ok(Self {
            places,
            x_title: options.x_title.clone().unwrap_or_else(|| title(&x)),
            y_title: options
                .y_title
                .clone()
                .unwrap_or_else(|| if is_wide { String::new() } else { title(&y[0]) }),
            color_title: color
                .map(str::to_owned)
                .or_else(|| is_wide.then(String::new)),
            series,
        })
    }

    /// Every number.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.series
            .iter()
            .flat_map(|it| &it.points)
            .map(|[_, y]| *y)
    }
}

fn by_column(table: &Table, names: &[String], positions: &[f64]) -> Result<Vec<Series>> {
    check_series(names.len())?;
    let series = names.iter().map(|name| {
        let numbers = numbers(name, table.column(name)?)?;
        let points = positions.iter().zip(numbers).map(|(x, y)| [*x, y]);
        Ok(Series {
            name: name.clone(),
            points: points.filter(|[x, _]| !x.is_nan()).collect(),
        })
    });
    series.collect()
}

fn by_color(table: &Table, (y, color): (&str, &str), positions: &[f64]) -> Result<Vec<Series>> {
    let numbers = numbers(y, table.column(y)?)?;
    let names = labels(color, table.column(color)?)?;
    let mut series: IndexMap<String, Vec<[f64; 2]>> = IndexMap::new();
    for ((x, y), name) in positions.iter().zip(numbers).zip(names) {
        if let Some(name) = name.filter(|_| !x.is_nan()) {
            series.entry(name).or_default().push([*x, y]);
        }
    }
    check_series(series.len())?;
    let series = series.into_iter();
    Ok(series
        .map(|(name, points)| Series { name, points })
        .collect())
}

pub(super) fn check_series(count: usize) -> Result<()> {
    if count <= SERIES_MAX {
        return Ok(());
    }
    let message = format!("`plot`: there are {count} series, and a chart takes {SERIES_MAX}");
    let hint = "put those that matter less together, under one name";
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

/// The positions that a column means; not-a-number where there is none.
pub(super) fn places(
    name: &str,
    column: &[Value],
    as_categories: bool,
) -> Result<(Places, Vec<f64>)> {
    let is_number = |it: &Value| it.is_null() || it.as_f64().is_some();
    if column.iter().all(is_number) {
        let positions = numbers(name, column)?;
        if !as_categories {
            return Ok((Places::Numbers, positions));
        }
        let mut known: Vec<f64> = positions
            .iter()
            .copied()
            .filter(|it| !it.is_nan())
            .collect();
        known.sort_by(f64::total_cmp);
        known.dedup();
        let place = |it: f64| match known.binary_search_by(|known| known.total_cmp(&it)) {
            Ok(position) => float(position),
            Err(_) => f64::NAN,
        };
        let positions = positions.into_iter().map(place).collect();
        let names = known.iter().map(|it| written(*it)).collect();
        return Ok((Places::Categories(names), positions));
    }
    let mut known: IndexSet<String> = IndexSet::new();
    let labels = labels(name, column)?.into_iter();
    let place =
        |label: Option<String>| label.map_or(f64::NAN, |label| float(known.insert_full(label).0));
    let positions = labels.map(place).collect();
    Ok((Places::Categories(known.into_iter().collect()), positions))
}

/// The numbers of a column; not-a-number where one is missing or infinite.
///
/// # Errors
///
/// `invalid_args` for what is no number, or too large to be drawn.
pub(super) fn numbers(name: &str, column: &[Value]) -> Result<Vec<f64>> {
    let number = |(at, value): (usize, &Value)| {
        if value.is_null() {
            return Ok(f64::NAN);
        }
        let number = value
            .as_f64()
            .ok_or_else(|| not_drawn(name, at, value, "a number"))?;
        if number.is_finite() && number.abs() > MAGNITUDE_MAX {
            let most = format!("{MAGNITUDE_MAX:e}");
            let message = format!(
                "row {} of the column `{name}` is {number:e}, and a chart draws numbers from \
                 -{most} to {most}",
                at + 1
            );
            return Err(wrong(&message).with_hint("divide them, or draw their logarithms"));
        }
        // Negative zero is zero.
        Ok(if number.is_finite() {
            number + 0.0
        } else {
            f64::NAN
        })
    };
    column.iter().enumerate().map(number).collect()
}

/// The values of a column as names; `None` where one is missing.
pub(super) fn labels(name: &str, column: &[Value]) -> Result<Vec<Option<String>>> {
    let label = |(at, value): (usize, &Value)| {
        Ok(match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(it) => Some(it.to_string()),
            Value::Int(it) => Some(it.to_string()),
            Value::Float(it) => (!it.is_nan()).then(|| written(*it)),
            other => return Err(not_drawn(name, at, other, "a text or a number")),
        })
    };
    column.iter().enumerate().map(label).collect()
}

fn not_drawn(name: &str, at: usize, value: &Value, expected: &str) -> Error {
    wrong(&format!(
        "row {} of the column `{name}` is the {} `{}`, not {expected}",
        at + 1,
        value.type_name(),
        markup::shorten(&value.to_string(), 40)
    ))
    .with_hint("name another column, or change what is in this one")
}
