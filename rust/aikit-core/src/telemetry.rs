//! Telemetry: spans of every procedure, counters and histograms, for whoever set a provider.
//!
//! Without a provider nothing is recorded, and all it costs a call is one relaxed atomic load.

mod recorder;

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use indexmap::IndexMap;

pub use self::recorder::{Measurement, RecordedSpan, Recorder};
use crate::{
    Error, Result, Value,
    context::Context,
    graph::ProcedureNode,
    span::{Attribute, Span, SpanDescription, SpanId, SpanSink, SpanStart, TraceParent},
};

/// Traces that can be open at the same time; the oldest is ended beyond this.
const TRACES_MAX: usize = 1_024;

/// What records spans and measurements. Nothing here may wait: it runs inside the calls.
pub trait TelemetryProvider: fmt::Debug + Send + Sync {
    /// A trace begins that a program named; answers its outermost span.
    fn start_trace(&self, start: SpanStart) -> Box<dyn SpanSink> {
        self.start_span(start)
    }

    /// A span begins.
    fn start_span(&self, start: SpanStart) -> Box<dyn SpanSink>;

    /// An error outside any span.
    fn record_error(&self, trace_id: &str, error: &Error);

    /// The trace `trace_id`, which [`TelemetryProvider::start_trace`] began, is over.
    fn end_trace(&self, trace_id: &str) {
        let _ = trace_id;
    }

    /// The sum that `instrument` describes.
    fn counter(&self, instrument: &Instrument) -> Arc<dyn CounterSink>;

    /// The distribution that `instrument` describes.
    fn histogram(&self, instrument: &Instrument) -> Arc<dyn HistogramSink>;

    /// Hands over what is still kept, within `limit`; called before a process ends. It may block.
    fn flush(&self, limit: Duration) {
        let _ = limit;
    }
}

/// A provider's side of a sum.
pub trait CounterSink: Send + Sync {
    /// Adds an amount.
    fn add(&self, amount: f64, attributes: &[Attribute]);
}

/// A provider's side of a distribution.
pub trait HistogramSink: Send + Sync {
    /// Notes one value.
    fn record(&self, value: f64, attributes: &[Attribute]);
}

/// What is measured.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Instrument {
    /// Its name, such as `gen_ai.client.token.usage`.
    pub name: String,
    /// Unit in the spelling of UCUM, such as `s` or `{token}`; empty for none.
    pub unit: String,
    /// What it means; may be empty.
    pub description: String,
}

impl Instrument {
    /// Whether providers take what a script or a program names.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a name that does not begin with a letter, has more than 255 characters or
    /// others than letters, digits, `_`, `.`, `-` and `/`; for a unit of more than 63 characters
    /// or beyond ASCII; for a description of more than 1,023 bytes.
    ///
    /// Source: OpenTelemetry specification, metrics API, general characteristics of instruments.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String, hint: &str| Err(Error::invalid_args(what).with_hint(hint));
        let is_part = |it: char| it.is_ascii_alphanumeric() || "_.-/".contains(it);
        let is_name = self.name.starts_with(|it: char| it.is_ascii_alphabetic())
            && self.name.len() <= 255
            && self.name.chars().all(is_part);
        if !is_name {
            let shown: String = self.name.chars().take(40).collect();
            return wrong(
                format!("`{}` is no name of an instrument", shown.escape_debug()),
                "use up to 255 letters, digits, `_`, `.`, `-` and `/`, beginning with a letter",
            );
        }
        if self.unit.len() > 63 || !self.unit.is_ascii() {
            return wrong(
                format!("the unit of `{}` is none", self.name),
                "use up to 63 characters of ASCII, such as `s` or `{token}`",
            );
        }
        if self.description.len() > 1_023 {
            return wrong(
                format!(
                    "the description of `{}` has {} bytes",
                    self.name,
                    self.description.len()
                ),
                "use up to 1023",
            );
        }
        Ok(())
    }
}

/// A provider in a box that can be swapped.
struct Installed(Arc<dyn TelemetryProvider>);

static IS_ON: AtomicBool = AtomicBool::new(false);
static CAPTURES_CONTENT: AtomicBool = AtomicBool::new(false);
// Swapped without a lock: one that another thread holds while the process forks would never be
// released in the child.
static PROVIDER: ArcSwapOption<Installed> = ArcSwapOption::const_empty();

/// Traces that programs began.
static TRACES: LazyLock<ArcSwapOption<Traces>> = LazyLock::new(ArcSwapOption::empty);
static TRACE_COUNT: AtomicUsize = AtomicUsize::new(0);
type Traces = IndexMap<Arc<str>, Arc<Span>>;

/// Sends spans and measurements to `provider` from now on, in place of the one before.
pub fn set_provider(provider: Arc<dyn TelemetryProvider>) {
    PROVIDER.store(Some(Arc::new(Installed(provider))));
    IS_ON.store(true, Ordering::Release);
}

/// Records nothing from now on. Traces that programs began and did not end are over.
pub fn reset_provider() {
    let open = TRACES.swap(None);
    TRACE_COUNT.store(0, Ordering::Release);
    for (trace_id, span) in open.iter().flat_map(|it| it.iter()) {
        over(trace_id, span);
    }
    IS_ON.store(false, Ordering::Release);
    PROVIDER.store(None);
    CAPTURES_CONTENT.store(false, Ordering::Release);
}

/// Whether anybody records.
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// The provider, if there is one.
pub fn provider() -> Option<Arc<dyn TelemetryProvider>> {
    let installed = PROVIDER.load();
    installed.as_ref().map(|it| Arc::clone(&it.0))
}

/// The provider, unless what runs in `cx` is its own doing.
fn provider_for(cx: &Context) -> Option<Arc<dyn TelemetryProvider>> {
    if cx.is_silent() { None } else { provider() }
}

/// The provider of a measurement, which belongs to the current Context if there is one.
fn provider_here() -> Option<Arc<dyn TelemetryProvider>> {
    let is_silent = is_on() && Context::try_get().is_some_and(|it| it.is_silent());
    if is_silent { None } else { provider() }
}

/// Says whether spans carry what was said to models and tools, and what they answered. They do not
/// unless somebody asked for it.
pub fn set_content_capture(captures: bool) {
    CAPTURES_CONTENT.store(captures, Ordering::Release);
}

/// Whether somebody records, and wants what was said too.
pub fn captures_content() -> bool {
    is_on() && CAPTURES_CONTENT.load(Ordering::Relaxed)
}

/// Hands over what the provider still keeps, within `limit`; blocks as long.
pub fn flush(limit: Duration) {
    if let Some(provider) = provider() {
        provider.flush(limit);
    }
}

/// Begins the span of the procedure `node`, which is called in `cx`; the one place that does.
pub fn begin(
    cx: &Context,
    node: &ProcedureNode,
    description: Option<&SpanDescription>,
) -> Option<Arc<Span>> {
    if !is_on() || cx.is_silent() {
        return None;
    }
    let named = || SpanDescription::new(&*node.name);
    let description = description.map_or_else(named, SpanDescription::clone);
    let description = description.with("aikit.procedure.id", node.pid.to_string());
    start_span(cx, description).map(Arc::new)
}

/// Ends the span of the procedure `node`, which ran in `cx`.
pub fn end(span: Option<&Arc<Span>>, cx: &Context, node: &ProcedureNode, error: Option<&Error>) {
    if let Some(span) = span {
        if let Some(error) = error {
            span.record_error(error);
        }
        span.end();
    }
    if tracing::enabled!(tracing::Level::DEBUG) {
        // The record belongs to the procedure, whose Context is not the current one any more.
        cx.run_sync(|| told(node, error));
    }
}

fn told(node: &ProcedureNode, error: Option<&Error>) {
    let duration_us = node.completed().map_or(0, |it| it - node.started);
    match error {
        None => tracing::debug!(duration_us, "ended"),
        Some(error) => {
            let kind = error.kind().code();
            tracing::debug!(duration_us, kind, "failed");
        }
    }
}

/// Begins a span below the one around `cx`; `None` while nobody records. It has no children: what
/// has some is a procedure.
pub fn start_span(cx: &Context, description: SpanDescription) -> Option<Span> {
    let provider = provider_for(cx)?;
    let start = placed(cx, description)?;
    let sink = provider.start_span(start.clone());
    Some(Span::new(&start, sink, Arc::clone(cx.clock())))
}

/// Begins a trace that is called `name`: spans of the trace of `cx` that have no other parent
/// stand below it until [`end_trace`]. Answers the trace id.
pub fn start_trace(cx: &Context, name: &str) -> String {
    let trace_id: Arc<str> = Arc::from(cx.trace_id());
    if let (Some(provider), Some(start)) =
        (provider_for(cx), placed(cx, SpanDescription::new(name)))
    {
        let sink = provider.start_trace(start.clone());
        let span = Arc::new(Span::new(&start, sink, Arc::clone(cx.clock())));
        let mut oldest = None;
        TRACES.rcu(|open| {
            let mut open = open.as_ref().map_or_else(Traces::new, |it| (**it).clone());
            let is_full = open.len() >= TRACES_MAX && !open.contains_key(&trace_id);
            oldest = is_full.then(|| open.shift_remove_index(0)).flatten();
            open.insert(Arc::clone(&trace_id), Arc::clone(&span));
            TRACE_COUNT.store(open.len(), Ordering::Release);
            Some(Arc::new(open))
        });
        if let Some((trace_id, span)) = oldest {
            over(&trace_id, &span);
        }
    }
    trace_id.to_string()
}

/// Ends the trace of `cx` that [`start_trace`] began; nothing happens when there is none.
pub fn end_trace(cx: &Context) {
    let Some(span) = open_trace(cx.trace_id()) else {
        return;
    };
    TRACES.rcu(|open| {
        let mut open = open.as_ref().map_or_else(Traces::new, |it| (**it).clone());
        open.shift_remove(cx.trace_id());
        TRACE_COUNT.store(open.len(), Ordering::Release);
        Some(Arc::new(open))
    });
    over(cx.trace_id(), &span);
}

/// Ends the span of a trace that is open no more, and tells the provider.
fn over(trace_id: &str, span: &Span) {
    span.end();
    if let Some(provider) = provider() {
        provider.end_trace(trace_id);
    }
}

/// Notes an error on the span around `cx`, or on its trace.
pub fn record_error(cx: &Context, error: &Error) {
    let around = cx.span().cloned().or_else(|| open_trace(cx.trace_id()));
    match (around, provider_for(cx)) {
        (Some(span), _) => span.record_error(error),
        (None, Some(provider)) => provider.record_error(cx.trace_id(), error),
        (None, None) => {}
    }
}

/// What tells a program that is called from `cx` where in the trace it stands; `None` where
/// nobody records and nobody said it to us.
pub fn traceparent(cx: &Context) -> Option<TraceParent> {
    let own = cx.span().filter(|_| is_on()).map(|it| it.traceparent());
    own.or_else(|| TraceParent::of(cx.metadata()))
}

/// A sum under this name. It may be kept: each amount goes to the provider of its moment.
pub fn counter(name: &str, unit: &str, description: &str) -> Counter {
    Counter(instrument(name, unit, description))
}

/// A distribution under this name. It may be kept: each value goes to the provider of its moment.
pub fn histogram(name: &str, unit: &str, description: &str) -> Histogram {
    Histogram(instrument(name, unit, description))
}

fn instrument(name: &str, unit: &str, description: &str) -> Arc<Instrument> {
    Arc::new(Instrument {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
    })
}

/// A sum.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Instrument>);

impl Counter {
    /// What it is.
    pub fn instrument(&self) -> &Instrument {
        &self.0
    }

    /// As [`Counter::add`], of what a script or a program counts.
    ///
    /// # Errors
    ///
    /// `invalid_args` for an amount that is negative or not finite.
    pub fn count(&self, amount: f64, attributes: &[Attribute]) -> Result<()> {
        finite("amount", amount)?;
        if amount < 0.0 {
            let message = format!("`amount` is `{amount}`, but a counter only grows");
            return Err(Error::invalid_args(message).with_hint("use a histogram"));
        }
        self.add(amount, attributes);
        Ok(())
    }

    /// Adds an amount. One that is negative or no number is left out: a sum only grows.
    pub fn add(&self, amount: f64, attributes: &[Attribute]) {
        if !is_on() || !amount.is_finite() || amount < 0.0 {
            return;
        }
        if let Some(provider) = provider_here() {
            provider.counter(&self.0).add(amount, attributes);
        }
    }
}

/// A distribution.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Instrument>);

impl Histogram {
    /// What it is.
    pub fn instrument(&self) -> &Instrument {
        &self.0
    }

    /// As [`Histogram::record`], of what a script or a program measures.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a value that is not finite.
    pub fn note(&self, value: f64, attributes: &[Attribute]) -> Result<()> {
        finite("value", value)?;
        self.record(value, attributes);
        Ok(())
    }

    /// Notes one value; what is no number is left out.
    pub fn record(&self, value: f64, attributes: &[Attribute]) {
        if !is_on() || !value.is_finite() {
            return;
        }
        if let Some(provider) = provider_here() {
            provider.histogram(&self.0).record(value, attributes);
        }
    }
}

fn finite(name: &str, number: f64) -> Result<()> {
    if number.is_finite() {
        return Ok(());
    }
    let message = format!("`{name}` is `{number}`");
    Err(Error::invalid_args(message).with_hint("give a finite number"))
}

/// Where a span that begins in `cx` stands; `None` when the caller does not record this trace.
fn placed(cx: &Context, description: SpanDescription) -> Option<SpanStart> {
    let around = cx.span().filter(|it| &**it.trace_id() == cx.trace_id());
    let parent = match around {
        Some(span) => Some(span.span_id()),
        None => match remote(cx) {
            Some(remote) if !remote.is_sampled => return None,
            Some(remote) => Some(remote.span_id),
            None => open_trace(cx.trace_id()).map(|it| it.span_id()),
        },
    };
    Some(SpanStart {
        description: identified(cx, description),
        trace_id: Arc::from(cx.trace_id()),
        span_id: SpanId::random(&**cx.clock()),
        parent,
        started: cx.clock().wall(),
    })
}

/// The span of another program that called us, in the trace of `cx`.
fn remote(cx: &Context) -> Option<TraceParent> {
    TraceParent::of(cx.metadata()).filter(|it| it.trace_id == cx.trace_id())
}

/// Attributes that say whose a span is; aikit sets them, where they are known.
const IDENTITY: [&str; 5] = [
    "aikit.request.id",
    "session.id",
    "jupyter.message.id",
    "user.id",
    "aikit.tenant.id",
];

/// Refuses an attribute of a script that says whose a span is.
///
/// # Errors
///
/// `invalid_args` that names it.
pub fn check_attribute(key: &str) -> Result<()> {
    if !IDENTITY.contains(&key) {
        return Ok(());
    }
    let message = format!("the attribute `{key}` says whose a span is, and is set by aikit");
    Err(Error::invalid_args(message).with_hint("give the attribute a name of your own"))
}

/// With what tells requests, sessions and users apart, whatever the description said of it.
fn identified(cx: &Context, mut description: SpanDescription) -> SpanDescription {
    let given = &mut description.attributes;
    given.retain(|(key, _)| !IDENTITY.contains(&&**key));
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    let metadata = |key: &str| {
        cx.metadata()
            .get(key)
            .and_then(Value::as_str)
            .and_then(text)
    };
    let principal = cx.principal();
    description
        .with("aikit.request.id", cx.request_id())
        .with("session.id", metadata("session_id"))
        .with("jupyter.message.id", metadata("message_id"))
        .with("user.id", text(&principal.id))
        .with(
            "aikit.tenant.id",
            principal.tenant_id.as_deref().and_then(text),
        )
}

fn open_trace(trace_id: &str) -> Option<Arc<Span>> {
    if TRACE_COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    let open = TRACES.load();
    open.as_ref()?.get(trace_id).map(Arc::clone)
}

#[cfg(test)]
mod tests;
