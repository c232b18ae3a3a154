//! The options of a chart, read and checked.

use aikit_core::{Result, Value, markup, value::Map};

use super::wrong;

/// Sides of a chart in pixels: least, most.
const SIDES: (f64, f64) = (100.0, 4000.0);
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 320.0;
/// Most bins of a histogram.
const BINS_MAX: usize = 500;
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// What a chart is made by, without its data.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) kind: String,
    pub(super) x: Option<String>,
    /// Names of columns; several are several series.
    pub(super) y: Vec<String>,
    pub(super) color: Option<String>,
    pub(super) title: Option<String>,
    pub(super) x_title: Option<String>,
    pub(super) y_title: Option<String>,
    /// In pixels, axes and legend included.
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) bins: Option<usize>,
    /// Whether bars and areas of several series stand on one another.
    pub(super) stack: bool,
}

impl Options {
    /// # Errors
    ///
    /// `invalid_args`, naming the option.
    pub(super) fn read(given: &Map) -> Result<Self> {
        let title = |name| {
            let title = text(given, name)?;
            Ok::<_, aikit_core::Error>(title.map(|it| markup::shorten(&it, TITLE_CHARS_MAX)))
        };
        Ok(Self {
            kind: text(given, "kind")?.unwrap_or_else(|| "line".to_owned()),
            x: text(given, "x")?,
            y: names(given, "y")?,
            color: text(given, "color")?,
            title: title("title")?,
            x_title: title("x_title")?,
            y_title: title("y_title")?,
            width: side(given, "width", WIDTH)?,
            height: side(given, "height", HEIGHT)?,
            bins: bins(given)?,
            stack: match member(given, "stack") {
                None => true,
                Some(Value::Bool(it)) => *it,
                Some(other) => return Err(mismatch("stack", "a boolean", other)),
            },
        })
    }
}

fn member<'a>(given: &'a Map, name: &str) -> Option<&'a Value> {
    given.get(name).filter(|it| !it.is_null())
}

fn text(given: &Map, name: &str) -> Result<Option<String>> {
    match member(given, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(mismatch(name, "a string", other)),
    }
}

fn names(given: &Map, name: &str) -> Result<Vec<String>> {
    let items = match member(given, name) {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![text.clone()]),
        Some(Value::List(items)) => items,
        Some(other) => return Err(mismatch(name, "a string or a list of strings", other)),
    };
    let names = items.iter().map(|item| match item.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(mismatch(name, "a string or a list of strings", item)),
    });
    names.collect()
}

fn side(given: &Map, name: &str, usual: f64) -> Result<f64> {
    let Some(value) = member(given, name) else {
        return Ok(usual);
    };
    let (least, most) = SIDES;
    let number = value.as_f64().filter(|it| (least..=most).contains(it));
    let expected = format!("a number of pixels from {least} to {most}");
    number.ok_or_else(|| mismatch(name, &expected, value))
}

fn bins(given: &Map) -> Result<Option<usize>> {
    let Some(value) = member(given, "bins") else {
        return Ok(None);
    };
    let count = value.as_i64().and_then(|it| usize::try_from(it).ok());
    let count = count.filter(|it| (1..=BINS_MAX).contains(it));
    let expected = format!("a whole number from 1 to {BINS_MAX}");
    count
        .map(Some)
        .ok_or_else(|| mismatch("bins", &expected, value))
}

fn mismatch(name: &str, expected: &str, found: &Value) -> aikit_core::Error {
    let shown = markup::shorten(&found.to_string(), 40);
    wrong(&format!(
        "`{name}` must be {expected}, but it is the {} `{shown}`",
        found.type_name()
    ))
    .with_hint("see `help(plot)`")
}
