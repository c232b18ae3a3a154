//! OpenTelemetry over OTLP, http/protobuf: the provider, and what sends its batches.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    clock::{Clock as _, SystemClock, UnixMicros},
    io,
    services::{HttpClient as _, HttpRequest},
    span::{Attribute, SpanKind, SpanSink, SpanStart},
    telemetry::{self, CounterSink, HistogramSink, Instrument, TelemetryProvider},
};
use prost::Message as _;

use super::{
    batch::{self, Item},
    metrics::{Measured, nanos},
    receiver::{OnlyThere, check_header, place},
    wire,
};
use crate::{
    config::OtlpSettings,
    http::GuardedClient,
    security::offline::{NetworkSwitch, OfflinePolicy},
};

/// Attributes of one span; what comes beyond is counted.
const ATTRIBUTES_MAX: usize = 128;

/// How often one batch is sent before it is lost.
const ATTEMPTS_MAX: u32 = 3;

/// Pause before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest answer of a receiver that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Sends spans and metrics to a receiver of OTLP, in batches, from the I/O runtime. A receiver that
/// is slow or gone costs spans, which are counted, never time of the calls.
#[derive(Debug)]
pub struct OtlpProvider(Arc<Exporter>);

impl OtlpProvider {
    /// A provider that sends where `settings` says and nowhere else, unless `network` is closed.
    ///
    /// # Errors
    ///
    /// `config` for an address that is no http or https URL, and for a header that HTTP cannot
    /// carry.
    pub fn new(settings: OtlpSettings, network: Arc<NetworkSwitch>) -> Result<Self> {
        let addresses = [&settings.traces, &settings.metrics].into_iter().flatten();
        let allowed = addresses.map(|it| place(it)).collect::<Result<_>>()?;
        for (name, value) in &settings.headers {
            check_header(name, value)?;
        }
        let policy = OfflinePolicy::new(Arc::new(OnlyThere(allowed)), network);
        Ok(Self(Arc::new(Exporter {
            http: GuardedClient::new(Arc::new(policy), None),
            settings,
            lost: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        })))
    }

    /// Spans and measurements that were lost so far: the queue was full, or the receiver did not
    /// take them.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl TelemetryProvider for OtlpProvider {
    fn start_span(&self, start: SpanStart) -> Box<dyn SpanSink> {
        let span = wire::Span {
            trace_id: trace_bytes(&start.trace_id),
            span_id: start.span_id.to_bytes().to_vec(),
            parent_span_id: start
                .parent
                .map_or_else(Vec::new, |it| it.to_bytes().to_vec()),
            kind: match start.description.kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
            },
            start_time_unix_nano: nanos(start.started),
            ..wire::Span::default()
        };
        let running = Running {
            exporter: Arc::clone(&self.0),
            span: Mutex::new(span),
        };
        running.set_name(&start.description.name);
        for (key, value) in &start.description.attributes {
            running.set_attribute(key, value);
        }
        Box::new(running)
    }

    fn record_error(&self, trace_id: &str, error: &Error) {
        // OTLP has no errors outside spans; this one has no length.
        let clock = SystemClock;
        let sink = self.start_span(SpanStart {
            description: aikit_core::span::SpanDescription::new("error"),
            trace_id: Arc::from(trace_id),
            span_id: aikit_core::span::SpanId::random(&clock),
            parent: None,
            started: clock.wall(),
        });
        sink.record_error(error);
        sink.end(clock.wall());
    }

    fn counter(&self, instrument: &Instrument) -> Arc<dyn CounterSink> {
        Arc::new(Measuring(Arc::clone(&self.0), instrument.clone()))
    }

    fn histogram(&self, instrument: &Instrument) -> Arc<dyn HistogramSink> {
        Arc::new(Measuring(Arc::clone(&self.0), instrument.clone()))
    }

    fn flush(&self, limit: Duration) {
        let limited = async move {
            let flushed = std::pin::pin!(batch::queue().flush());
            drop(futures::future::select(flushed, SystemClock.sleep(limit)).await);
        };
        drop(io::wait(limited, || Ok(())));
        // At the end of a process they are lost with it.
        let waiting = batch::queue().waiting();
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "the receiver of telemetry has not taken all spans yet"
            );
        }
    }
}

/// A span on its way to its end.
#[derive(Debug)]
struct Running {
    exporter: Arc<Exporter>,
    span: Mutex<wire::Span>,
}

impl Running {
    fn change(&self, change: impl FnOnce(&mut wire::Span)) {
        change(&mut self.span.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl SpanSink for Running {
    fn set_name(&self, name: &str) {
        let name = aikit_core::logger::scrub("", name).into_owned();
        self.change(|span| span.name = name);
    }

    fn set_attribute(&self, key: &str, value: &Value) {
        let new = wire::KeyValue::new(key, value);
        self.change(|span| {
            let known = span.attributes.iter().position(|it| it.key == key);
            match known {
                Some(index) => span.attributes[index] = new,
                None if span.attributes.len() < ATTRIBUTES_MAX => span.attributes.push(new),
                None => span.dropped_attributes_count += 1,
            }
        });
    }

    fn record_error(&self, error: &Error) {
        self.set_attribute("error.type", &Value::from(error.kind().code()));
        // A message often quotes what was said.
        let message = if telemetry::captures_content() {
            aikit_core::logger::scrub("", error.message()).into_owned()
        } else {
            String::new()
        };
        self.change(|span| {
            span.status = Some(wire::Status {
                message,
                code: wire::STATUS_ERROR,
            });
        });
    }

    fn end(&self, ended: UnixMicros) {
        if self.exporter.settings.traces.is_none() {
            return;
        }
        let mut span = wire::Span::default();
        self.change(|running| std::mem::swap(running, &mut span));
        // A clock may be set back while a span runs.
        span.end_time_unix_nano = nanos(ended).max(span.start_time_unix_nano);
        self.exporter
            .enqueue(Item::Span(Arc::clone(&self.exporter), Box::new(span)));
    }
}

struct Measuring(Arc<Exporter>, Instrument);

impl Measuring {
    fn note(&self, is_histogram: bool, value: f64, attributes: &[Attribute]) {
        if self.0.settings.metrics.is_none() {
            return;
        }
        let measured = Measured {
            instrument: self.1.clone(),
            is_histogram,
            value,
            attributes: attributes.to_vec(),
        };
        self.0
            .enqueue(Item::Measured(Arc::clone(&self.0), Box::new(measured)));
    }
}

impl CounterSink for Measuring {
    fn add(&self, amount: f64, attributes: &[Attribute]) {
        self.note(false, amount, attributes);
    }
}

impl HistogramSink for Measuring {
    fn record(&self, value: f64, attributes: &[Attribute]) {
        self.note(true, value, attributes);
    }
}

/// What sends batches.
#[derive(Debug)]
pub(super) struct Exporter {
    settings: OtlpSettings,
    http: GuardedClient,
    lost: AtomicU64,
    /// Whether the last request failed, so that one fault is told once.
    is_failing: AtomicBool,
}

impl Exporter {
    fn enqueue(&self, item: Item) {
        if !batch::queue().add(item) {
            self.lose(1);
        }
    }

    pub(super) fn lose(&self, count: usize) {
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) async fn send_spans(&self, spans: Vec<wire::Span>) {
        let Some(url) = self.settings.traces.as_deref() else {
            return;
        };
        let count = spans.len();
        let request = wire::TraceRequest {
            resource_spans: vec![wire::ResourceSpans {
                resource: Some(self.resource()),
                scope_spans: vec![wire::ScopeSpans {
                    scope: Some(scope()),
                    spans,
                }],
            }],
        };
        if !self.post(url, request.encode_to_vec()).await {
            self.lose(count);
        }
        batch::queue().settle(count);
    }

    pub(super) async fn send_metrics(&self, metrics: Vec<wire::Metric>) {
        let Some(url) = self.settings.metrics.as_deref() else {
            return;
        };
        let request = wire::MetricsRequest {
            resource_metrics: vec![wire::ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: vec![wire::ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                }],
            }],
        };
        // Sums since the beginning: the next request holds what this one lost.
        self.post(url, request.encode_to_vec()).await;
    }

    fn resource(&self) -> wire::Resource {
        let known = self.settings.resource.iter();
        let known = known.map(|(key, value)| (Cow::from(key.as_str()), value.as_str()));
        let own = [
            (Cow::from("telemetry.sdk.name"), "aikit"),
            (Cow::from("telemetry.sdk.language"), "rust"),
            (
                Cow::from("telemetry.sdk.version"),
                env!("CARGO_PKG_VERSION"),
            ),
        ];
        let attributes = known.chain(own);
        wire::Resource {
            attributes: attributes
                .map(|(key, value)| wire::KeyValue::new(&key, &Value::from(value)))
                .collect(),
        }
    }

    /// Sends one body; `false` when it was not taken.
    async fn post(&self, url: &str, body: Vec<u8>) -> bool {
        let body = bytes::Bytes::from(body);
        let mut pause = PAUSE;
        let mut attempt = 1;
        let fault = loop {
            match self.once(url, body.clone()).await {
                Ok(()) => {
                    self.is_failing.store(false, Ordering::Relaxed);
                    return true;
                }
                Err((fault, is_passing)) if !is_passing || attempt == ATTEMPTS_MAX => break fault,
                Err(_) => {
                    SystemClock.sleep(pause).await;
                    (pause, attempt) = (pause * 2, attempt + 1);
                }
            }
        };
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let lost = self.lost.load(Ordering::Relaxed);
            tracing::warn!(%fault, lost, "telemetry is not taken by its receiver");
        }
        false
    }

    /// Sends one body once; the fault, and whether it may pass.
    async fn once(&self, url: &str, body: bytes::Bytes) -> std::result::Result<(), (Error, bool)> {
        let mut headers = vec![(
            "content-type".to_owned(),
            "application/x-protobuf".to_owned(),
        )];
        headers.extend(self.settings.headers.iter().cloned());
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers,
            body: Some(body),
            timeout: self.settings.timeout,
            max_bytes: ANSWER_BYTES_MAX,
        };
        let cx = Context::default();
        let response = self.http.send(&cx, request).await;
        let response = response.map_err(|error| {
            let is_passing = matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout);
            (error, is_passing)
        })?;
        if (200..300).contains(&response.status) {
            return Ok(());
        }
        let message = format!(
            "the receiver answered with the status `{}`",
            response.status
        );
        let is_passing = matches!(response.status, 429 | 502 | 503 | 504);
        Err((Error::new(ErrorKind::Network, message), is_passing))
    }
}

fn scope() -> wire::Scope {
    wire::Scope {
        name: "aikit".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The sixteen bytes of a trace id. One that a program made up in another form has its own.
fn trace_bytes(trace_id: &str) -> Vec<u8> {
    let number = u128::from_str_radix(trace_id, 16)
        .ok()
        .filter(|_| trace_id.len() == 32);
    let number = number.filter(|it| *it != 0).unwrap_or_else(|| {
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, trace_id).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    });
    number.to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_of_the_standard_keeps_its_digits() {
        let bytes = trace_bytes("4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(bytes[..3], [0x4b, 0xf9, 0x2f]);
        for odd in ["", "x", "00000000000000000000000000000000"] {
            let bytes = trace_bytes(odd);
            assert_eq!(bytes.len(), 16);
            assert!(
                bytes.iter().any(|it| *it != 0) && bytes == trace_bytes(odd),
                "{odd}"
            );
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_showing_it() {
        for url in ["", "127.0.0.1:4318", "ftp://user:hidden@host", "http://"] {
            let settings = OtlpSettings {
                traces: Some(url.to_owned()),
                metrics: None,
                headers: Vec::new(),
                resource: Vec::new(),
                timeout: Duration::from_secs(1),
            };
            let error = OtlpProvider::new(settings, Arc::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
