//! The description that Vega-Lite draws.

use aikit_core::{Value, value::Map};

use super::{
    kinds::Drawn,
    options::Options,
    picture::{Axis, Extent, Legend},
    svg,
};

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";

/// What Vega-Lite needs of a chart beside its axes.
#[derive(Clone, Debug)]
pub(super) struct Vega {
    /// The mark: its type and what it looks like.
    pub(super) mark: Vec<(&'static str, Value)>,
    /// Members of the encodings of `x` and `y` beside field, type, title and scale.
    pub(super) x: Vec<(&'static str, Value)>,
    pub(super) y: Vec<(&'static str, Value)>,
    /// Further channels.
    pub(super) more: Vec<(&'static str, Value)>,
    /// Fields that are shown where the pointer is, and their titles.
    pub(super) tooltip: Vec<(&'static str, String)>,
    /// The data. Fields have names of our own: one of the user's with a dot in it would mean
    /// something else.
    pub(super) rows: Vec<Value>,
}

/// The whole description, data included.
pub(super) fn describe(drawn: &Drawn, options: &Options) -> Value {
    let (picture, vega) = (&drawn.picture, &drawn.vega);
    let mut encoding = Map::from_iter([
        (
            "x".to_owned(),
            axis(("x", options.width), &picture.x, &vega.x),
        ),
        (
            "y".to_owned(),
            axis(("y", f64::INFINITY), &picture.y, &vega.y),
        ),
    ]);
    if let Some(legend) = &picture.legend {
        encoding.insert("color".to_owned(), color(legend));
    }
    for (name, channel) in &vega.more {
        encoding.insert((*name).to_owned(), channel.clone());
    }
    let tooltip = vega.tooltip.iter().map(|(field, title)| {
        let title = if title.is_empty() { *field } else { title };
        Value::map([("field", text(field)), ("title", text(title))])
    });
    encoding.insert("tooltip".to_owned(), tooltip.collect());
    let mut described = vec![
        ("$schema", text(SCHEMA)),
        ("width", options.width.into()),
        ("height", options.height.into()),
        (
            "autosize",
            Value::map([("type", text("fit")), ("contains", text("padding"))]),
        ),
    ];
    if let Some(title) = &options.title {
        described.push(("title", text(title)));
    }
    let data = Value::map([("values", Value::List(vega.rows.clone()))]);
    described.extend([
        ("data", data),
        ("mark", Value::map(vega.mark.clone())),
        ("encoding", Value::Map(encoding)),
    ]);
    Value::map(described)
}

/// An axis that names have `room` along, in pixels.
fn axis((field, room): (&str, f64), axis: &Axis, more: &[(&'static str, Value)]) -> Value {
    // An empty title would take room.
    let title = if axis.title.is_empty() {
        Value::Null
    } else {
        text(&axis.title)
    };
    let mut members = vec![("field", text(field)), ("title", title)];
    match &axis.scale {
        Extent::Numbers(scale) => {
            let domain: Value = [scale.low, scale.high]
                .into_iter()
                .map(Value::from)
                .collect();
            let scale = Value::map([("domain", domain), ("nice", false.into())]);
            members.extend([("type", text("quantitative")), ("scale", scale)]);
        }
        Extent::Categories(names) => {
            let domain: Value = names.iter().map(|it| text(it)).collect();
            // Vega-Lite would turn all of them upright.
            let angle = if svg::is_slanted(names, room) {
                -40_i64
            } else {
                0
            };
            let labels = Value::map([
                ("labelAngle", angle.into()),
                ("labelOverlap", true.into()),
                ("labelLimit", 150_i64.into()),
            ]);
            members.extend([
                ("type", text("ordinal")),
                ("sort", domain),
                ("axis", labels),
            ]);
        }
    }
    members.extend(more.iter().cloned());
    Value::map(members)
}

fn color(legend: &Legend) -> Value {
    match legend {
        Legend::Series { title, names } => {
            let title = if title.is_empty() {
                Value::Null
            } else {
                text(title)
            };
            let names: Value = names.iter().map(|it| text(it)).collect();
            let scale = Value::map([("domain", names), ("scheme", text("tableau10"))]);
            Value::map([
                ("field", text("series")),
                ("type", text("nominal")),
                ("title", title),
                ("scale", scale),
            ])
        }
        Legend::Ramp { title, scale } => {
            let title = if title.is_empty() {
                Value::Null
            } else {
                text(title)
            };
            let domain: Value = [scale.low, scale.high]
                .into_iter()
                .map(Value::from)
                .collect();
            let scale = Value::map([("domain", domain), ("scheme", text("viridis"))]);
            Value::map([
                ("field", text("value")),
                ("type", text("quantitative")),
                ("title", title),
                ("scale", scale),
            ])
        }
    }
}

/// A text as data.
pub(super) fn text(text: &str) -> Value {
    Value::from(text)
}

/// A number as data; a gap is null, because JSON has no not-a-number.
pub(super) fn number(number: f64) -> Value {
    if number.is_nan() {
        Value::Null
    } else {
        Value::Float(number)
    }
}
