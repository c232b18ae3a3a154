//! Telemetry, seen from Python: spans and measurements, and a provider written in Python.

use std::{borrow::Cow, sync::Arc, time::Duration};

use aikit_components::{config::OtlpSettings, telemetry::OtlpProvider};
use aikit_core::{
    Context, Error, Value,
    clock::UnixMicros,
    span::{self, Attribute, SpanDescription, SpanKind, SpanSink, SpanStart},
    telemetry::{self, CounterSink, HistogramSink, Instrument, TelemetryProvider},
    value::Map,
};
use pyo3::{intern, prelude::*, types::PyDict};

use crate::{context::Entry, convert, convert::PyValue, errors, interpreter, session, silence};

/// Names and their values, in order.
type Pairs = Vec<(String, String)>;

/// Records with `provider`, an object as `aikit.telemetry` adapts it.
#[pyfunction]
pub(crate) fn set_telemetry_provider(provider: Py<PyAny>, capture_content: bool) {
    telemetry::set_provider(Arc::new(PythonProvider(provider)));
    telemetry::set_content_capture(capture_content);
}

/// Records by sending OTLP, http/protobuf, to the `addresses` for traces and metrics; `told` are
/// headers, and what is said of the program.
#[pyfunction]
pub(crate) fn set_otlp_provider(
    py: Python<'_>,
    addresses: (Option<String>, Option<String>),
    told: (Pairs, Pairs),
    seconds: f64,
    capture_content: bool,
) -> PyResult<()> {
    let ((traces, metrics), (headers, resource)) = (addresses, told);
    for (_, value) in &headers {
        aikit_core::logger::hide(value);
    }
    let fail = |error: Error| errors::to_python(py, &error);
    let timeout = Duration::try_from_secs_f64(seconds).map_err(|_| {
        let error = Error::invalid_args(format!("`timeout` is `{seconds}`"));
        fail(error.with_hint("give a finite number of seconds, from 0 on"))
    })?;
    let settings = OtlpSettings {
        traces,
        metrics,
        headers,
        resource,
        timeout,
    };
    let network = Arc::clone(&session::current(py)?.network);
    let provider = OtlpProvider::new(settings, network).map_err(fail)?;
    telemetry::set_provider(Arc::new(provider));
    telemetry::set_content_capture(capture_content);
    Ok(())
}

/// Records nothing from now on.
#[pyfunction]
pub(crate) fn reset_telemetry_provider() {
    telemetry::reset_provider();
}

/// Hands over what the provider still keeps, within `seconds`.
#[pyfunction]
pub(crate) fn flush_telemetry(py: Python<'_>, seconds: f64) {
    let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    interpreter::detached(py, || telemetry::flush(limit));
}

/// Begins a trace; answers its id.
#[pyfunction]
pub(crate) fn start_trace(py: Python<'_>, name: &str) -> PyResult<String> {
    let cx = current(py)?;
    Ok(interpreter::detached(py, || {
        telemetry::start_trace(&cx, name)
    }))
}

/// Ends the trace that `start_trace` began in the same Context.
#[pyfunction]
pub(crate) fn end_trace(py: Python<'_>) -> PyResult<()> {
    let cx = current(py)?;
    interpreter::detached(py, || telemetry::end_trace(&cx));
    Ok(())
}

/// Notes an exception on the span of what runs.
#[pyfunction]
pub(crate) fn record_telemetry_error(py: Python<'_>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let (cx, error) = (current(py)?, raised(error));
    interpreter::detached(py, || telemetry::record_error(&cx, &error));
    Ok(())
}

/// Adds an amount to the counter `(name, unit, description)`.
#[pyfunction]
pub(crate) fn add_to_counter(
    py: Python<'_>,
    instrument: (String, String, String),
    amount: f64,
    attributes: PyValue,
) -> PyResult<()> {
    let (name, unit, description) = instrument;
    if silence::is_on(py) {
        return Ok(());
    }
    let attributes = listed(attributes);
    let counter = telemetry::counter(&name, &unit, &description);
    let added = interpreter::detached(py, || counter.count(amount, &attributes));
    added.map_err(|error| errors::to_python(py, &error))
}

/// Refuses an instrument `(name, unit, description)` that providers do not take.
#[pyfunction]
pub(crate) fn check_instrument(
    py: Python<'_>,
    instrument: (String, String, String),
) -> PyResult<()> {
    let (name, unit, description) = instrument;
    let instrument = Instrument {
        name,
        unit,
        description,
    };
    let checked = instrument.check();
    checked.map_err(|error| errors::to_python(py, &error))
}

/// Notes a value in the histogram `(name, unit, description)`.
#[pyfunction]
pub(crate) fn record_in_histogram(
    py: Python<'_>,
    instrument: (String, String, String),
    value: f64,
    attributes: PyValue,
) -> PyResult<()> {
    let (name, unit, description) = instrument;
    if silence::is_on(py) {
        return Ok(());
    }
    let attributes = listed(attributes);
    let histogram = telemetry::histogram(&name, &unit, &description);
    let noted = interpreter::detached(py, || histogram.note(value, &attributes));
    noted.map_err(|error| errors::to_python(py, &error))
}

/// A span of a program.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct TelemetrySpan(Option<span::Span>);

#[pymethods]
impl TelemetrySpan {
    /// Begins a span below what runs.
    #[new]
    fn new(py: Python<'_>, name: String, attributes: PyValue) -> PyResult<Self> {
        let cx = current(py)?;
        let mut description = SpanDescription::new(name);
        description.attributes = listed(attributes);
        Ok(Self(interpreter::detached(py, || {
            telemetry::start_span(&cx, description)
        })))
    }

    /// The trace, and the span's own identity; empty while nobody records.
    fn identity(&self) -> (String, String) {
        self.0.as_ref().map_or_else(Default::default, |it| {
            (it.trace_id().to_string(), it.span_id().to_string())
        })
    }

    /// Sets an attribute.
    fn set_attribute(&self, py: Python<'_>, key: &str, value: PyValue) {
        if let Some(span) = &self.0 {
            interpreter::detached(py, || span.set_attribute(key, value.0));
        }
    }

    /// Notes an exception.
    fn record_error(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        if let Some(span) = &self.0 {
            let error = raised(error);
            interpreter::detached(py, || span.record_error(&error));
        }
    }

    /// Ends it.
    fn finish(&self, py: Python<'_>) {
        if let Some(span) = &self.0 {
            interpreter::detached(py, || span.end());
        }
    }
}

/// What would be told to a program that is called from here, as a header.
#[pyfunction]
pub(crate) fn traceparent(py: Python<'_>) -> PyResult<Option<String>> {
    Ok(telemetry::traceparent(&current(py)?).map(|it| it.to_string()))
}

fn current(py: Python<'_>) -> PyResult<Context> {
    Ok(Entry::blocking(py)?.tool_context(py)?.context)
}

fn listed(attributes: PyValue) -> Vec<Attribute> {
    let Value::Map(members) = attributes.0 else {
        return Vec::new();
    };
    let members = members.into_iter();
    members
        .map(|(key, value)| (Cow::Owned(key), value))
        .collect()
}

fn raised(error: &Bound<'_, PyAny>) -> Error {
    errors::noticed(error.py(), PyErr::from_value(error.clone()))
}

/// A provider that is written in Python. What it raises is logged and harms no call.
#[derive(Debug)]
struct PythonProvider(Py<PyAny>);

/// Calls a method; what it raises is told once a call, and nothing else comes of it.
fn tell<'py>(
    object: &Bound<'py, PyAny>,
    method: &'static str,
    args: impl pyo3::call::PyCallArgs<'py>,
) -> Option<Bound<'py, PyAny>> {
    match silence::keep(object.py(), || object.call_method1(method, args)) {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::warn!(method, %error, "the telemetry provider raised an error");
            None
        }
    }
}

fn dictionary<'py>(py: Python<'py>, attributes: &[Attribute]) -> PyResult<Bound<'py, PyAny>> {
    let members = attributes.iter().cloned();
    let map: Map = members
        .map(|(key, value)| (key.into_owned(), value))
        .collect();
    convert::to_python(py, &Value::Map(map))
}

impl PythonProvider {
    fn begin(&self, method: &'static str, start: &SpanStart) -> Box<dyn SpanSink> {
        let span = interpreter::attach(|py| {
            let told = described(py, start).ok()?;
            tell(self.0.bind(py), method, (told,)).map(Bound::unbind)
        });
        Box::new(PythonSpan(span.flatten()))
    }

    fn measure(&self, method: &'static str, measured: (&Instrument, f64, &[Attribute])) {
        let (instrument, value, attributes) = measured;
        interpreter::attach(|py| {
            let of = (&instrument.name, &instrument.unit, &instrument.description);
            let attributes = dictionary(py, attributes).ok()?;
            tell(self.0.bind(py), method, (of, value, attributes)).map(drop)
        });
    }
}

fn described<'py>(py: Python<'py>, start: &SpanStart) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    let kind = match start.description.kind {
        SpanKind::Internal => "internal",
        SpanKind::Client => "client",
        SpanKind::Server => "server",
    };
    told.set_item(intern!(py, "name"), &start.description.name)?;
    told.set_item(intern!(py, "kind"), kind)?;
    told.set_item(intern!(py, "trace_id"), &*start.trace_id)?;
    told.set_item(intern!(py, "span_id"), start.span_id.to_string())?;
    let parent = start.parent.map(|it| it.to_string());
    told.set_item(intern!(py, "parent_span_id"), parent)?;
    told.set_item(intern!(py, "start_time"), seconds(start.started))?;
    let attributes = dictionary(py, &start.description.attributes)?;
    told.set_item(intern!(py, "attributes"), attributes)?;
    Ok(told)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 microseconds last 285 years"
)]
fn seconds(time: UnixMicros) -> f64 {
    time as f64 / 1e6
}

impl TelemetryProvider for PythonProvider {
    fn start_trace(&self, start: SpanStart) -> Box<dyn SpanSink> {
        self.begin("start_trace", &start)
    }

    fn start_span(&self, start: SpanStart) -> Box<dyn SpanSink> {
        self.begin("start_span", &start)
    }

    fn record_error(&self, trace_id: &str, error: &Error) {
        interpreter::attach(|py| {
            let error = errors::to_python(py, error).into_value(py);
            tell(self.0.bind(py), "record_error", (trace_id, error)).map(drop)
        });
    }

    fn end_trace(&self, trace_id: &str) {
        interpreter::attach(|py| tell(self.0.bind(py), "end_trace", (trace_id,)).map(drop));
    }

    fn counter(&self, instrument: &Instrument) -> Arc<dyn CounterSink> {
        Arc::new(PythonInstrument(self.clone_ref(), instrument.clone()))
    }

    fn histogram(&self, instrument: &Instrument) -> Arc<dyn HistogramSink> {
        Arc::new(PythonInstrument(self.clone_ref(), instrument.clone()))
    }

    fn flush(&self, limit: Duration) {
        interpreter::attach(|py| tell(self.0.bind(py), "flush", (limit.as_secs_f64(),)).map(drop));
    }
}

impl PythonProvider {
    /// The same provider; nobody once the interpreter ends.
    fn clone_ref(&self) -> Option<Self> {
        interpreter::attach(|py| Self(self.0.clone_ref(py)))
    }
}

#[derive(Debug)]
struct PythonSpan(Option<Py<PyAny>>);

impl PythonSpan {
    fn tell<A>(&self, method: &'static str, args: impl FnOnce(Python<'_>) -> PyResult<A>)
    where
        A: for<'py> pyo3::call::PyCallArgs<'py>,
    {
        let Some(span) = &self.0 else { return };
        interpreter::attach(|py| {
            let args = args(py).ok()?;
            tell(span.bind(py), method, args).map(drop)
        });
    }
}

impl SpanSink for PythonSpan {
    fn set_name(&self, name: &str) {
        self.tell("set_name", |_| Ok((name.to_owned(),)));
    }

    fn set_attribute(&self, key: &str, value: &Value) {
        self.tell("set_attribute", |py| {
            Ok((key.to_owned(), convert::to_python(py, value)?.unbind()))
        });
    }

    fn record_error(&self, error: &Error) {
        self.tell("record_error", |py| {
            Ok((errors::to_python(py, error).into_value(py),))
        });
    }

    fn end(&self, ended: UnixMicros) {
        self.tell("end", |_| Ok((seconds(ended),)));
    }
}

struct PythonInstrument(Option<PythonProvider>, Instrument);

impl CounterSink for PythonInstrument {
    fn add(&self, amount: f64, attributes: &[Attribute]) {
        if let Some(provider) = &self.0 {
            provider.measure("add", (&self.1, amount, attributes));
        }
    }
}

impl HistogramSink for PythonInstrument {
    fn record(&self, value: f64, attributes: &[Attribute]) {
        if let Some(provider) = &self.0 {
            provider.measure("record", (&self.1, value, attributes));
        }
    }
}
