//! Spans: identities of the W3C trace context, what a span begins with, and a running one.

use std::{
    borrow::Cow,
    fmt,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    Error, Value,
    clock::{Clock, UnixMicros},
    value::Map,
};

/// Key of a Context's metadata under which the caller's `traceparent` stands.
pub const TRACEPARENT: &str = "traceparent";

/// Digits of a trace id, hexadecimal.
const TRACE_DIGITS: usize = 32;

/// Identity of a span within its trace; written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// A random identity.
    pub fn random(clock: &dyn Clock) -> Self {
        let (high, low) = clock.uuid().as_u64_pair();
        // The variant bits of a UUID are never all zero; the exclusive or might be.
        Self(NonZeroU64::new(high ^ low).unwrap_or(NonZeroU64::MIN))
    }

    /// Reads 16 hexadecimal digits in lower case, not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        let number = is_hex(text, 16).then(|| u64::from_str_radix(text, 16).ok());
        number.flatten().and_then(NonZeroU64::new).map(Self)
    }

    /// The eight bytes that stand for it on a wire, the highest first.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where in a trace a caller stands: the header `traceparent` of the W3C trace context, level 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceParent {
    /// The trace: 32 hexadecimal digits.
    pub trace_id: String,
    /// The caller's span.
    pub span_id: SpanId,
    /// Whether the caller records this trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads a header; `None` for one that is malformed, which the standard wants ignored. A
    /// version that is not known is read as the first one, as far as it goes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace_id) = (parts.next()?, parts.next()?);
        let (span_id, flags) = (SpanId::parse(parts.next()?)?, parts.next()?);
        let is_known = is_hex(version, 2) && version != "ff" && is_hex(flags, 2);
        let is_whole = version != "00" || parts.next().is_none();
        if !is_known || !is_whole || !is_trace_id(trace_id) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace_id: trace_id.to_owned(),
            span_id,
            is_sampled: flags & 1 == 1,
        })
    }

    /// The caller's place that the metadata of a Context name, if they do.
    pub fn of(metadata: &Map) -> Option<Self> {
        metadata.get(TRACEPARENT)?.as_str().and_then(Self::parse)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// Whether a text is a trace id of the standard: 32 hexadecimal digits, not all zero.
pub fn is_trace_id(text: &str) -> bool {
    is_hex(text, TRACE_DIGITS) && text.bytes().any(|it| it != b'0')
}

fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    text.len() == digits && text.bytes().all(is_digit)
}

/// Which end of an exchange a span is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SpanKind {
    /// Work of this process.
    #[default]
    Internal,
    /// A request to another program.
    Client,
    /// A request of another program.
    Server,
}

/// An attribute: its name and its value.
pub type Attribute = (Cow<'static, str>, Value);

/// How a span is called and what it carries from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanDescription {
    /// Its name, such as `chat gpt-4o`.
    pub name: String,
    /// Which end of an exchange it is.
    pub kind: SpanKind,
    /// What it carries.
    pub attributes: Vec<Attribute>,
}

impl SpanDescription {
    /// A span of this process without attributes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SpanKind::Internal,
            attributes: Vec::new(),
        }
    }

    /// A span that stands for a request to another program.
    #[must_use]
    pub const fn client(mut self) -> Self {
        self.kind = SpanKind::Client;
        self
    }

    /// With one more attribute; `null` adds none.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.attributes.push((Cow::Borrowed(key), value));
        }
        self
    }
}

/// All that a provider is told when a span begins.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanStart {
    /// Its name, its kind and what it carries.
    pub description: SpanDescription,
    /// The trace: 32 hexadecimal digits.
    pub trace_id: Arc<str>,
    /// Its identity.
    pub span_id: SpanId,
    /// The span around it; `None` for the first of a trace.
    pub parent: Option<SpanId>,
    /// When it began.
    pub started: UnixMicros,
}

/// A provider's side of one span. Nothing here may wait or fail.
pub trait SpanSink: fmt::Debug + Send + Sync {
    /// Another name, for what is known only later.
    fn set_name(&self, name: &str);

    /// Sets an attribute; the last value stays.
    fn set_attribute(&self, key: &str, value: &Value);

    /// Notes an error; the span has failed.
    fn record_error(&self, error: &Error);

    /// The span is over; nothing else is called afterwards.
    fn end(&self, ended: UnixMicros);
}

/// A span that runs. It ends when it is told to, or when it is dropped.
#[derive(Debug)]
pub struct Span {
    trace_id: Arc<str>,
    id: SpanId,
    sink: Box<dyn SpanSink>,
    clock: Arc<dyn Clock>,
    is_over: AtomicBool,
}

impl Span {
    /// A span that `sink` hears of.
    pub fn new(start: &SpanStart, sink: Box<dyn SpanSink>, clock: Arc<dyn Clock>) -> Self {
        Self {
            trace_id: Arc::clone(&start.trace_id),
            id: start.span_id,
            sink,
            clock,
            is_over: AtomicBool::new(false),
        }
    }

    /// The trace it belongs to: 32 hexadecimal digits.
    pub const fn trace_id(&self) -> &Arc<str> {
        &self.trace_id
    }

    /// Its identity.
    pub const fn span_id(&self) -> SpanId {
        self.id
    }

    /// What tells another program where in the trace it is called.
    pub fn traceparent(&self) -> TraceParent {
        TraceParent {
            trace_id: self.trace_id.to_string(),
            span_id: self.id,
            is_sampled: true,
        }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Gives it another name. Does nothing once it has ended, like all that follows.
    pub fn set_name(&self, name: &str) {
        if !self.is_over() {
            self.sink.set_name(name);
        }
    }

    /// Sets an attribute; the last value stays, and `null` sets none.
    pub fn set_attribute(&self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        if !self.is_over() && !value.is_null() {
            self.sink.set_attribute(key, &value);
        }
    }

    /// Notes an error: the span has failed.
    pub fn record_error(&self, error: &Error) {
        if !self.is_over() {
            self.sink.record_error(error);
        }
    }

    /// Ends it; the first end counts.
    pub fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.sink.end(self.clock.wall());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00a902b7-01";

    #[test]
    fn a_header_is_read_and_written_as_it_was() {
        let parent = TraceParent::parse(HEADER).unwrap();
        assert_eq!(parent.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(parent.is_sampled);
        assert_eq!(parent.to_string(), HEADER);
        let quiet = TraceParent::parse(&format!("{}0", &HEADER[..54])).unwrap();
        assert!(!quiet.is_sampled);
    }

    #[test]
    fn a_malformed_header_is_none() {
        let cases = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00a902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa00a902b7-01",
            "00-00000000000000000000000000000000-00f067aa00a902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00a902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00a902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa00a902b7-01",
            "00-é-00f067aa00a902b7-01",
        ];
        for text in cases {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
        // Of a version to come the known parts are read.
        let later = HEADER.replacen("00", "01", 1) + "-more";
        assert!(TraceParent::parse(&later).is_some());
    }
}
