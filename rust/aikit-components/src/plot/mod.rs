//! Charts: as Vega-Lite, which front ends draw; as SVG for those that do not; as text.

mod color;
mod kinds;
mod options;
mod picture;
mod points;
mod scale;
mod svg;
mod table;
mod text;
mod vega;

use std::sync::{Arc, Mutex};

use aikit_core::{
    Error, Result, Value,
    value::{Map, exact_integer},
};

use self::{kinds::Drawn, options::Options, table::Table};
use crate::nearest;

/// Most points of a chart; those of a histogram are counted, and there may be more.
pub const POINTS_MAX: usize = 50_000;
/// Most values that a histogram counts.
pub const VALUES_MAX: usize = 1_000_000;
/// Most series of a chart: with more of them nobody tells their colours apart.
pub const SERIES_MAX: usize = 50;

/// The media type of the description that `JupyterLab` draws.
pub const VEGA_LITE: &str = "application/vnd.vegalite.v5+json";

/// One chart: what it was made of, from which it is drawn whenever it is asked for. A drawing takes
/// several times the room of its data, so only the first one is kept, until it is asked for.
#[derive(Clone, Debug)]
pub struct Plot {
    given: Arc<Map>,
    name: String,
    first: Arc<Mutex<Option<Drawing>>>,
}

/// A chart as it was drawn once.
#[derive(Debug)]
pub struct Drawing {
    options: Options,
    drawn: Drawn,
}

impl Plot {
    /// The chart that `given` describes, whose members are the options of `plot`.
    ///
    /// # Errors
    ///
    /// `invalid_args` for an option or data that cannot be drawn, also for data without a point;
    /// `limit_exceeded` for too many points or series.
    pub fn new(given: Map) -> Result<Self> {
        let (plot, drawing) = Self::drawn(given)?;
        let first = Arc::new(Mutex::new(Some(drawing)));
        Ok(Self { first, ..plot })
    }

    /// The same, and its drawing, which has to be made to know that it can be.
    ///
    /// # Errors
    ///
    /// As of [`Plot::new`].
    pub fn drawn(given: Map) -> Result<(Self, Drawing)> {
        let drawing = Drawing::new(&given)?;
        let plot = Self {
            name: drawing.name(),
            given: Arc::new(given),
            first: Arc::default(),
        };
        Ok((plot, drawing))
    }

    /// Draws it.
    ///
    /// # Errors
    ///
    /// None that [`Plot::new`] has not found.
    pub fn draw(&self) -> Result<Drawing> {
        // Never waits: a child could have been forked while another thread had the lock.
        let first = self.first.try_lock().ok().and_then(|mut it| it.take());
        first.map_or_else(|| Drawing::new(&self.given), Ok)
    }

    /// What the same chart is made of with other options; those that are not in `changes` stay.
    pub fn with(&self, changes: Map) -> Map {
        let stay = self.given.iter();
        let stay = stay.filter(|(name, _)| !changes.contains_key(*name));
        let mut given: Map = stay
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        given.extend(changes);
        given
    }

    /// The kind of chart and its title, in one line.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drawing {
    fn new(given: &Map) -> Result<Self> {
        #[cfg(test)]
        tests::DRAWN.set(tests::DRAWN.get() + 1);
        let options = Options::read(given)?;
        let kind = kinds::find(&options.kind)?;
        let data = given.get("data").unwrap_or(&Value::Null);
        let table = Table::read(data, kind.shape())?;
        let drawn = kind.draw(&options, &table)?;
        Ok(Self { options, drawn })
    }

    fn name(&self) -> String {
        match &self.options.title {
            Some(title) => format!("{}: {title}", self.options.kind),
            None => self.options.kind.clone(),
        }
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        svg::draw(&self.drawn.picture, &self.options)
    }

    /// The description that Vega-Lite 5 draws, data included.
    pub fn vega_lite(&self) -> Value {
        vega::describe(&self.drawn, &self.options)
    }

    /// A small drawing of characters.
    pub fn text(&self) -> String {
        text::draw(&self.drawn, &self.options)
    }

    /// What a front end is given: all three.
    pub fn bundle(&self) -> Map {
        Map::from_iter([
            (VEGA_LITE.to_owned(), self.vega_lite()),
            ("image/svg+xml".to_owned(), self.svg().into()),
            ("text/plain".to_owned(), self.text().into()),
        ])
    }
}

fn wrong(message: &str) -> Error {
    Error::invalid_args(format!("`plot`: {message}"))
}

/// A number as people write it: without a fraction where it has none.
fn written(number: f64) -> String {
    match exact_integer(number) {
        Some(whole) if whole.unsigned_abs() < 1 << 53 => whole.to_string(),
        _ => number.to_string(),
    }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
const fn float(count: usize) -> f64 {
    count as f64
}

/// The whole part of a number, from 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative numbers and not-a-number become 0, large ones the largest"
)]
const fn whole(number: f64) -> usize {
    number as usize
}

fn unknown(what: &str, given: &str, known: Vec<&str>) -> Error {
    let names: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
    let otherwise = format!("there are {}", names.join(", "));
    let shown = aikit_core::markup::shorten(given, 60);
    wrong(&format!("there is no {what} `{shown}`"))
        .with_hint(nearest::hint(given, known, otherwise))
}

#[cfg(test)]
mod tests;
