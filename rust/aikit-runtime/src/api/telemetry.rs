//! `Telemetry`: spans and measurements of a script, for the provider that its host set.

use std::{borrow::Cow, sync::Arc};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    span::{Attribute, Span, SpanDescription},
    telemetry::{self, Counter, Histogram},
    value::Map,
};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, ready,
    required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[SPAN, COUNTER, HISTOGRAM],
    ..ApiModule::new(
        "Telemetry",
        "Spans and measurements of a script, for the provider that its host set; without one they \
         cost nothing and go nowhere.",
    )
};

const ATTRIBUTES: Param = optional("attributes", Kind::Table, "What belongs to it, as data.");

const ERROR: &[Param] = &[required("error", Kind::Any, "What was raised, or a text.")];

const INSTRUMENT: &[Param] = &[
    required("name", Kind::String, "Its name, such as `orders.placed`."),
    optional(
        "options",
        Kind::Options(&[
            optional(
                "unit",
                Kind::String,
                "Unit as in UCUM, such as `s` or `{order}`.",
            ),
            optional("description", Kind::String, "What it means."),
        ]),
        "What it measures.",
    ),
];

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "start_trace",
        summary: "Begins a trace: what has no other parent stands below it until `end_trace`.",
        params: &[optional(
            "name",
            Kind::String,
            "Its name; `trace` when left out.",
        )],
        returns: "the trace id, 32 hexadecimal digits",
        example: "print(#Telemetry.start_trace('nightly'))",
        call: Call::Host(|_, args| ready(Ok(start_trace(args)))),
    },
    ApiFunction {
        name: "end_trace",
        summary: "Ends the trace that `start_trace` began.",
        params: &[],
        returns: "nothing",
        example: "Telemetry.end_trace()",
        call: Call::Host(|_, args| {
            telemetry::end_trace(&args.cx);
            ready(Ok(Return::Value(Value::Null)))
        }),
    },
    ApiFunction {
        name: "start_span",
        summary: "Begins a span below the one of the cell or the function that runs. It has no \
                  children: what has some is a procedure.",
        params: &[required("name", Kind::String, "Its name."), ATTRIBUTES],
        returns: "a `Span`",
        example: "Telemetry.start_span('load', {rows = 3}):finish()",
        call: Call::Host(|session, args| ready(start_span(session, args))),
    },
    ApiFunction {
        name: "record_error",
        summary: "Notes an error on the span of what runs.",
        params: ERROR,
        returns: "nothing",
        example: "Telemetry.record_error('the file is empty')",
        call: Call::Host(|_, mut args| {
            let error = error(&args.value("error"));
            telemetry::record_error(&args.cx, &error);
            ready(Ok(Return::Value(Value::Null)))
        }),
    },
    ApiFunction {
        name: "traceparent",
        summary: "What tells a program that is called from here where in the trace it stands, as \
                  the header of that name (W3C trace context).",
        params: &[],
        returns: "text; `nil` where nobody records and no caller said it",
        example: "print(Telemetry.traceparent())",
        call: Call::Host(|_, args| {
            let header = telemetry::traceparent(&args.cx).map(|it| it.to_string());
            ready(Ok(Return::Value(Value::from(header))))
        }),
    },
    ApiFunction {
        name: "counter",
        summary: "Gives a sum by its name.",
        params: INSTRUMENT,
        returns: "a `Counter`",
        example: "Telemetry.counter('orders'):add(1, {kind = 'book'})",
        call: Call::Host(|session, args| ready(counter(session, args))),
    },
    ApiFunction {
        name: "histogram",
        summary: "Gives a distribution by its name.",
        params: INSTRUMENT,
        returns: "a `Histogram`",
        example: "Telemetry.histogram('wait', {unit = 's'}):record(0.25)",
        call: Call::Host(|session, args| ready(histogram(session, args))),
    },
];

const SPAN: ApiClass = ApiClass {
    name: "Span",
    summary: "A span that runs; dropping it ends it.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "set_attribute",
            summary: "Sets what belongs to it; the last value stays.",
            params: &[
                required("key", Kind::String, "Its name."),
                required("value", Kind::Any, "Any data."),
            ],
            returns: "nothing",
            example: "Telemetry.start_span('load'):set_attribute('rows', 3)",
            call: Call::Host(|session, args| ready(set_attribute(session, args))),
        },
        ApiFunction {
            name: "record_error",
            summary: "Notes an error: the span has failed.",
            params: ERROR,
            returns: "nothing",
            example: "Telemetry.start_span('load'):record_error('empty')",
            call: Call::Host(|session, mut args| {
                let error = error(&args.value("error"));
                let span = session.object::<Started>(args.this);
                ready(span.map(|it| {
                    if let Some(span) = &it.0 {
                        span.record_error(&error);
                    }
                    Return::Value(Value::Null)
                }))
            }),
        },
        ApiFunction {
            name: "finish",
            summary: "Ends it; the first end counts.",
            params: &[],
            returns: "nothing",
            example: "Telemetry.start_span('load'):finish()",
            call: Call::Host(|session, args| {
                let span = session.object::<Started>(args.this);
                ready(span.map(|it| {
                    if let Some(span) = &it.0 {
                        span.end();
                    }
                    Return::Value(Value::Null)
                }))
            }),
        },
    ],
    fields: &[
        ("trace_id", "The trace; empty while nobody records."),
        ("span_id", "Its identity; empty while nobody records."),
    ],
};

const COUNTER: ApiClass = ApiClass {
    name: "Counter",
    summary: "A sum that only grows.",
    constructor: None,
    methods: &[ApiFunction {
        name: "add",
        summary: "Adds an amount, 0 or more.",
        params: &[required("amount", Kind::Number, "How much."), ATTRIBUTES],
        returns: "nothing",
        example: "Telemetry.counter('orders'):add(1)",
        call: Call::Host(|session, args| ready(add(session, args))),
    }],
    fields: &[("name", "Its name.")],
};

const HISTOGRAM: ApiClass = ApiClass {
    name: "Histogram",
    summary: "A distribution of values.",
    constructor: None,
    methods: &[ApiFunction {
        name: "record",
        summary: "Notes one value.",
        params: &[required("value", Kind::Number, "The value."), ATTRIBUTES],
        returns: "nothing",
        example: "Telemetry.histogram('wait'):record(0.25)",
        call: Call::Host(|session, args| ready(record(session, args))),
    }],
    fields: &[("name", "Its name.")],
};

/// A span, if anybody recorded when it was asked for.
struct Started(Option<Span>);

fn start_trace(mut args: Args) -> Return {
    let name = args.string("name").unwrap_or_else(|| "trace".to_owned());
    let trace_id = telemetry::start_trace(&args.cx, &name);
    Return::Value(Value::from(trace_id))
}

fn start_span(session: &Session, mut args: Args) -> Result<Return> {
    let mut description = SpanDescription::new(args.required_string("name")?);
    description.attributes = attributes(&mut args);
    for (key, _) in &description.attributes {
        telemetry::check_attribute(key)?;
    }
    let span = telemetry::start_span(&args.cx, description);
    let identity = |text: Option<String>| Value::from(text.unwrap_or_default());
    let trace_id = identity(span.as_ref().map(|it| it.trace_id().to_string()));
    let span_id = identity(span.as_ref().map(|it| it.span_id().to_string()));
    let fields = [("trace_id", trace_id), ("span_id", span_id)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    session.insert(SPAN.name, Map::from_iter(fields), Arc::new(Started(span)))
}

fn set_attribute(session: &Session, mut args: Args) -> Result<Return> {
    let span = session.object::<Started>(args.this)?;
    let (key, value) = (args.required_string("key")?, args.value("value"));
    telemetry::check_attribute(&key)?;
    if let Some(span) = &span.0 {
        span.set_attribute(&key, value);
    }
    Ok(Return::Value(Value::Null))
}

fn counter(session: &Session, mut args: Args) -> Result<Return> {
    let (name, unit, description) = instrument(&mut args)?;
    let counter = telemetry::counter(&name, &unit, &description);
    counter.instrument().check()?;
    session.insert(COUNTER.name, named(&name), Arc::new(counter))
}

fn histogram(session: &Session, mut args: Args) -> Result<Return> {
    let (name, unit, description) = instrument(&mut args)?;
    let histogram = telemetry::histogram(&name, &unit, &description);
    histogram.instrument().check()?;
    session.insert(HISTOGRAM.name, named(&name), Arc::new(histogram))
}

fn add(session: &Session, mut args: Args) -> Result<Return> {
    let counter = session.object::<Counter>(args.this)?;
    let amount = args.number("amount").unwrap_or_default();
    counter.count(amount, &attributes(&mut args))?;
    Ok(Return::Value(Value::Null))
}

fn record(session: &Session, mut args: Args) -> Result<Return> {
    let histogram = session.object::<Histogram>(args.this)?;
    let value = args.number("value").unwrap_or_default();
    histogram.note(value, &attributes(&mut args))?;
    Ok(Return::Value(Value::Null))
}

fn instrument(args: &mut Args) -> Result<(String, String, String)> {
    let name = args.required_string("name")?;
    let mut options = args.options("options");
    let mut text = |name: &str| options.string(name).unwrap_or_default();
    Ok((name, text("unit"), text("description")))
}

fn named(name: &str) -> Map {
    Map::from_iter([("name".to_owned(), Value::from(name))])
}

fn attributes(args: &mut Args) -> Vec<Attribute> {
    let Value::Map(members) = args.value("attributes") else {
        return Vec::new();
    };
    let members = members.into_iter();
    members
        .map(|(key, value)| (Cow::Owned(key), value))
        .collect()
}

/// What a script raised: an error keeps its kind, anything else is one of the script.
fn error(raised: &Value) -> Error {
    let text = |name: &str| raised.get(name).and_then(Value::as_str);
    let kind = text("kind").and_then(ErrorKind::from_code);
    let message = text("message").map(str::to_owned);
    let message = message.unwrap_or_else(|| match raised {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Error::new(kind.unwrap_or(ErrorKind::Script), message)
}
