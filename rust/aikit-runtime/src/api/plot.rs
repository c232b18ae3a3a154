//! `plot`: charts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aikit_components::plot::{Drawing, Plot};
use aikit_core::{Error, Result, Value, io, value::Map};

use super::{
    ApiClass, ApiFunction, ApiModule, Appearance, Args, Call, Created, Displayed, Kind, Param,
    Return, Session, optional, required, session::Refusal,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    call: Some(PLOT),
    classes: &[CLASS],
    counted: &["plot", "update"],
    ..ApiModule::new("plot", "Draws a chart.")
};

/// Name of the class.
const NAME: &str = "Plot";

const COLUMN_OR_COLUMNS: Kind = Kind::Either(&[Kind::String, Kind::List(&Kind::String)]);

/// The options of a chart; `data` stands first.
const fn options(data: Param) -> [Param; 14] {
    [
        data,
        optional(
            "kind",
            Kind::String,
            "`line` (the usual one), `bar`, `scatter`, `area`, `histogram` or `heatmap`.",
        )
        .one_of(&["line", "bar", "scatter", "area", "histogram", "heatmap"]),
        optional(
            "x",
            Kind::String,
            "Name of the column along the horizontal axis: numbers, or texts, which stand in the \
             order of the data; `x` when left out.",
        ),
        optional(
            "y",
            COLUMN_OR_COLUMNS,
            "Name of the column with the numbers; several names draw several series. `y` when \
             left out.",
        ),
        optional(
            "color",
            Kind::String,
            "Name of the column that tells series apart; of a heat map, of its numbers.",
        ),
        optional("title", Kind::String, "What stands above."),
        optional(
            "x_title",
            Kind::String,
            "Title of the horizontal axis; the name of the column when left out.",
        ),
        optional(
            "y_title",
            Kind::String,
            "Title of the vertical axis; the name of the column when left out.",
        ),
        optional(
            "width",
            Kind::Number,
            "In pixels, 100 to 4000; 600 when left out.",
        ),
        optional(
            "height",
            Kind::Number,
            "In pixels, 100 to 4000; 320 when left out.",
        ),
        optional(
            "bins",
            Kind::Integer,
            "How many bins a histogram has, 1 to 500; about the square root of the number of \
             values, with round limits, when left out.",
        ),
        optional(
            "stack",
            Kind::Boolean,
            "Whether bars and areas of several series stand on one another; they do when left out.",
        ),
        optional(
            "display_id",
            Kind::String,
            "Identity by which it can be replaced later.",
        ),
        optional("metadata", Kind::Table, "Metadata of the representations."),
    ]
}

const OPTIONS: &[Param] = &options(required(
    "data",
    Kind::Any,
    "A list of records, of numbers or of pairs of x and y, a table of columns, or a list of rows \
     for a heat map; at most 50,000 points, and a million values for a histogram. Not-a-number \
     (`0/0`), infinities and what is missing are gaps; numbers beyond 1e300 are refused.",
));

const CHANGES: &[Param] = &options(optional(
    "data",
    Kind::Any,
    "Other data; the same when left out.",
));

const PLOT: ApiFunction = ApiFunction {
    name: "plot",
    summary: "Draws a chart: by Vega-Lite where the front end can, else as SVG or as text.",
    params: &[required(
        "options",
        Kind::Options(OPTIONS),
        "What is drawn, and how.",
    )],
    returns: "a `Plot`",
    example: "plot{kind = 'bar', data = {{fruit = 'fig', sold = 3}, {fruit = 'kiwi', sold = 5}}, \
              x = 'fruit', y = 'sold'}",
    call: Call::Host(|session, args| Box::pin(plot(session.clone(), args))),
};

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "A chart that was drawn.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "update",
            summary: "Draws it anew in its place; options that are not given stay.",
            params: &[required(
                "options",
                Kind::Options(CHANGES),
                "What becomes different.",
            )],
            returns: "nothing",
            example: "plot{data = {1, 2}}:update{data = {1, 2, 3}}",
            call: Call::Host(|session, args| Box::pin(update(session.clone(), args))),
        },
        ApiFunction {
            name: "svg",
            summary: "The drawing, for a file.",
            params: &[],
            returns: "a string",
            example: "#plot{data = {1, 2}}:svg()",
            call: Call::Host(|session, args| {
                Box::pin(written(session.object(args.this), |it| it.svg().into()))
            }),
        },
        ApiFunction {
            name: "vega_lite",
            summary: "The description that Vega-Lite 5 draws, data included.",
            params: &[],
            returns: "a table",
            example: "plot{data = {1, 2}}:vega_lite().mark.type",
            call: Call::Host(|session, args| {
                Box::pin(written(session.object(args.this), Drawing::vega_lite))
            }),
        },
        ApiFunction {
            name: "text",
            summary: "The drawing in characters.",
            params: &[],
            returns: "a string",
            example: "print(plot{data = {1, 2}}:text())",
            call: Call::Host(|session, args| {
                Box::pin(written(session.object(args.this), |it| it.text().into()))
            }),
        },
    ],
    fields: &[
        ("name", "Its kind and title, as they were at first."),
        ("display_id", "Identity by which it can be replaced."),
    ],
};

/// A chart in the output of a cell.
struct Chart {
    plot: Mutex<Plot>,
    display_id: String,
    metadata: Map,
}

impl Chart {
    fn plot(&self) -> MutexGuard<'_, Plot> {
        self.plot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The options that describe the chart, and those that say how it is shown.
fn read(args: &mut Args) -> (Map, Option<String>, Option<Map>) {
    let mut given = args.options("options");
    let display_id = given.string("display_id");
    let metadata = match given.value("metadata") {
        Value::Map(metadata) => Some(metadata),
        _ => None,
    };
    let names = OPTIONS.iter().map(|it| it.name);
    let described = names.filter_map(|name| {
        let value = given.value(name);
        (!value.is_null()).then(|| (name.to_owned(), value))
    });
    (described.collect(), display_id, metadata)
}

/// Bytes that what a chart is made of takes, about.
fn weight(given: &Map) -> usize {
    given.values().map(Value::footprint).sum()
}

/// Draws beside other work what `given` answers, unless the session has no room to keep that where
/// `before` bytes become free. The chart, its bytes and what it is shown as.
async fn drawn(
    session: &Session,
    given: impl FnOnce() -> Map + Send + 'static,
    before: usize,
) -> Result<(Plot, usize, Map), Refusal> {
    let session = session.clone();
    let work = move || {
        let given = given();
        let bytes = weight(&given);
        session.check_bytes(bytes.saturating_sub(before))?;
        let (plot, drawing) = Plot::drawn(given)?;
        Ok((plot, bytes, drawing.bundle()))
    };
    io::spawn_blocking(move || Ok(work())).await?
}

async fn plot(session: Session, args: Args) -> Result<Return> {
    shown(&session, args).await.or_else(Refusal::answer)
}

async fn shown(session: &Session, mut args: Args) -> Result<Return, Refusal> {
    let (given, display_id, metadata) = read(&mut args);
    let (plot, bytes, bundle) = drawn(session, || given, 0).await?;
    let new_id = || args.cx.clock().uuid().simple().to_string();
    let display_id = display_id.unwrap_or_else(new_id);
    let metadata = metadata.unwrap_or_default();
    let fields = Map::from_iter([
        ("name".to_owned(), Value::from(plot.name())),
        ("display_id".to_owned(), display_id.as_str().into()),
    ]);
    let chart = Arc::new(Chart {
        plot: Mutex::new(plot),
        display_id: display_id.clone(),
        metadata: metadata.clone(),
    });
    let again = Arc::clone(&chart);
    let object = Created {
        appearance: Some(Appearance::new(move || {
            let plot = again.plot().clone();
            Ok(plot.draw()?.bundle())
        })),
        ..session.insert_sized(NAME, fields, chart, bytes)?
    };
    Ok(Return::Display(Box::new(Displayed {
        bundle,
        metadata,
        display_id,
        is_update: false,
        object: Some(object),
    })))
}

async fn update(session: Session, args: Args) -> Result<Return> {
    updated(&session, args).await.or_else(Refusal::answer)
}

async fn updated(session: &Session, mut args: Args) -> Result<Return, Refusal> {
    let chart = session.object::<Chart>(args.this)?;
    let (changes, display_id, metadata) = read(&mut args);
    if display_id.is_some() {
        let message = "`Plot:update`: the `display_id` of a plot stays";
        let hint = "show another one with `plot{…, display_id = …}`";
        return Err(Error::invalid_args(message).with_hint(hint).into());
    }
    let before = chart.plot().clone();
    let freed = session.bytes_of(args.this);
    let new = move || before.with(changes);
    let (plot, bytes, bundle) = drawn(session, new, freed).await?;
    session.resize(args.this, bytes)?;
    *chart.plot() = plot;
    Ok(Return::Display(Box::new(Displayed {
        bundle,
        metadata: metadata.unwrap_or_else(|| chart.metadata.clone()),
        display_id: chart.display_id.clone(),
        is_update: true,
        object: None,
    })))
}

/// What is written of a chart, which is drawn for it beside other work.
async fn written(chart: Result<Arc<Chart>>, write: fn(&Drawing) -> Value) -> Result<Return> {
    let plot = chart?.plot().clone();
    let written = io::spawn_blocking(move || Ok(write(&plot.draw()?)));
    written.await.map(Return::Value)
}
