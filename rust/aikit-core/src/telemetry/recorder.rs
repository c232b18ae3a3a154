//! A provider that keeps what it is told, for tests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{CounterSink, HistogramSink, Instrument, TelemetryProvider};
use crate::{
    Error, Value,
    clock::UnixMicros,
    span::{Attribute, SpanId, SpanKind, SpanSink, SpanStart},
    value::Map,
};

/// Spans and measurements that are kept; the oldest are dropped beyond this.
const KEPT_MAX: usize = 100_000;

/// A span that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSpan {
    /// Its last name.
    pub name: String,
    /// Which end of an exchange it is.
    pub kind: SpanKind,
    /// The trace.
    pub trace_id: Arc<str>,
    /// Its identity.
    pub span_id: SpanId,
    /// The span around it.
    pub parent: Option<SpanId>,
    /// What it carries.
    pub attributes: Map,
    /// The kinds of the errors that were noted.
    pub errors: Vec<&'static str>,
    /// When it began.
    pub started: UnixMicros,
    /// When it ended; `None` while it runs.
    pub ended: Option<UnixMicros>,
}

/// A value that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub instrument: Instrument,
    /// The amount of a counter, or the value of a histogram.
    pub value: f64,
    /// What it belongs to.
    pub attributes: Map,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<RecordedSpan>,
    counted: Vec<Measurement>,
    measured: Vec<Measurement>,
    errors: Vec<(String, &'static str)>,
    traces_ended: Vec<String>,
}

/// Keeps spans in the order of their beginnings, and measurements.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Kept>>);

impl Recorder {
    /// What was recorded so far, oldest first.
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.kept().spans.clone()
    }

    /// The amounts that were added to the counter `name`.
    pub fn counted(&self, name: &str) -> Vec<Measurement> {
        named(&self.kept().counted, name)
    }

    /// The values that were noted in the histogram `name`.
    pub fn measured(&self, name: &str) -> Vec<Measurement> {
        named(&self.kept().measured, name)
    }

    /// Errors outside spans: the trace and the kind.
    pub fn errors(&self) -> Vec<(String, &'static str)> {
        self.kept().errors.clone()
    }

    /// The traces that were ended, in order.
    pub fn traces_ended(&self) -> Vec<String> {
        self.kept().traces_ended.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(all: &[Measurement], name: &str) -> Vec<Measurement> {
    let fitting = all.iter().filter(|it| it.instrument.name == name);
    fitting.cloned().collect()
}

impl TelemetryProvider for Recorder {
    fn start_span(&self, start: SpanStart) -> Box<dyn SpanSink> {
        let SpanStart {
            description,
            trace_id,
            span_id,
            parent,
            started,
        } = start;
        let attributes = description.attributes.into_iter();
        let mut kept = self.kept();
        if kept.spans.len() >= KEPT_MAX {
            kept.spans.remove(0);
        }
        kept.spans.push(RecordedSpan {
            name: description.name,
            kind: description.kind,
            trace_id,
            span_id,
            parent,
            attributes: attributes
                .map(|(key, value)| (key.into_owned(), value))
                .collect(),
            errors: Vec::new(),
            started,
            ended: None,
        });
        Box::new(RecordedSink {
            recorder: self.clone(),
            span_id,
        })
    }

    fn record_error(&self, trace_id: &str, error: &Error) {
        let noted = (trace_id.to_owned(), error.kind().code());
        self.kept().errors.push(noted);
    }

    fn end_trace(&self, trace_id: &str) {
        self.kept().traces_ended.push(trace_id.to_owned());
    }

    fn counter(&self, instrument: &Instrument) -> Arc<dyn CounterSink> {
        Arc::new(RecordedInstrument(self.clone(), instrument.clone()))
    }

    fn histogram(&self, instrument: &Instrument) -> Arc<dyn HistogramSink> {
        Arc::new(RecordedInstrument(self.clone(), instrument.clone()))
    }

    fn flush(&self, _limit: Duration) {}
}

#[derive(Debug)]
struct RecordedSink {
    recorder: Recorder,
    span_id: SpanId,
}

impl RecordedSink {
    fn change(&self, change: impl FnOnce(&mut RecordedSpan)) {
        let mut kept = self.recorder.kept();
        let mut newest_first = kept.spans.iter_mut().rev();
        if let Some(span) = newest_first.find(|it| it.span_id == self.span_id) {
            change(span);
        }
    }
}

impl SpanSink for RecordedSink {
    fn set_name(&self, name: &str) {
        self.change(|span| name.clone_into(&mut span.name));
    }

    fn set_attribute(&self, key: &str, value: &Value) {
        self.change(|span| drop(span.attributes.insert(key.to_owned(), value.clone())));
    }

    fn record_error(&self, error: &Error) {
        self.change(|span| span.errors.push(error.kind().code()));
    }

    fn end(&self, ended: UnixMicros) {
        self.change(|span| span.ended = Some(ended));
    }
}

struct RecordedInstrument(Recorder, Instrument);

impl RecordedInstrument {
    fn measurement(&self, value: f64, attributes: &[Attribute]) -> Measurement {
        let attributes = attributes.iter().cloned();
        Measurement {
            instrument: self.1.clone(),
            value,
            attributes: attributes
                .map(|(key, value)| (key.into_owned(), value))
                .collect(),
        }
    }
}

impl CounterSink for RecordedInstrument {
    fn add(&self, amount: f64, attributes: &[Attribute]) {
        let measurement = self.measurement(amount, attributes);
        self.0.kept().counted.push(measurement);
    }
}

impl HistogramSink for RecordedInstrument {
    fn record(&self, value: f64, attributes: &[Attribute]) {
        let measurement = self.measurement(value, attributes);
        self.0.kept().measured.push(measurement);
    }
}
