//! Tests of telemetry: the provider belongs to the process, so one runs at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;

use super::*;
use crate::{
    ErrorKind,
    context::Overrides,
    io,
    span::SpanKind,
    tracker::{Operation, track},
    value::Map,
};

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00a902b7-01";

struct Recording {
    recorder: Recorder,
    _alone: MutexGuard<'static, ()>,
}

fn recording() -> Recording {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let recorder = Recorder::default();
    set_provider(Arc::new(recorder.clone()));
    Recording {
        recorder,
        _alone: alone,
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        reset_provider();
    }
}

impl Recording {
    fn span(&self, name: &str) -> RecordedSpan {
        let spans = self.recorder.spans();
        spans.into_iter().find(|it| it.name == name).expect(name)
    }
}

fn with_metadata(key: &str, value: &str) -> Context {
    Context::create(Overrides {
        metadata: Map::from_iter([(key.to_owned(), Value::from(value))]),
        ..Overrides::default()
    })
}

async fn nothing(cx: &Context, name: &str) -> Result<()> {
    track(cx, Operation::new(name), |_| async { Ok(()) }).await
}

#[test]
fn without_a_provider_nothing_is_asked_for() {
    drop(recording());
    let operation = Operation::new("x").with_span(|| panic!("nobody records"));
    assert!(!is_on() && operation.span.is_none() && provider().is_none());
    let cx = Context::default();
    assert!(start_span(&cx, SpanDescription::new("x")).is_none());
    counter("c", "", "").add(1.0, &[]);
    histogram("h", "", "").record(1.0, &[]);
    assert_eq!(start_trace(&cx, "t"), cx.trace_id());
    end_trace(&cx);
    record_error(&cx, &Error::internal("x"));
    assert_eq!(traceparent(&cx), None);
}

#[test]
fn parents_are_right_across_tasks() {
    let recording = recording();
    let cx = Context::default();
    let tracked = async move {
        track(&cx, Operation::new("outer"), |outer| async move {
            let tasks = (0..20).map(|number| {
                let outer = outer.clone();
                io::spawn(async move {
                    let name = format!("branch {number}");
                    track(&outer, Operation::new(name), |inner| async move {
                        tokio::task::yield_now().await;
                        nothing(&inner, &format!("leaf {number}")).await
                    })
                    .await
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap()?;
            }
            Ok(())
        })
        .await
    };
    io::wait(tracked, || Ok(())).unwrap().unwrap();
    let outer = recording.span("outer");
    assert_eq!(outer.parent, None);
    for number in 0..20 {
        let branch = recording.span(&format!("branch {number}"));
        let leaf = recording.span(&format!("leaf {number}"));
        assert_eq!(branch.parent, Some(outer.span_id));
        assert_eq!(leaf.parent, Some(branch.span_id));
        assert_eq!(leaf.trace_id, outer.trace_id);
        assert!(leaf.ended.unwrap() <= branch.ended.unwrap());
    }
}

#[test]
fn a_graph_of_its_own_keeps_its_parent() {
    let recording = recording();
    let cx = Context::default();
    let tracked = track(&cx, Operation::new("tool"), |inner| async move {
        nothing(&inner.root_child(Overrides::default()), "below").await
    });
    tracked.now_or_never().unwrap().unwrap();
    assert_eq!(
        recording.span("below").parent,
        Some(recording.span("tool").span_id)
    );
}

#[test]
fn the_span_of_a_failed_and_of_a_dropped_procedure_ends_with_its_kind() {
    let recording = recording();
    let cx = Context::default();
    let failing = track(&cx, Operation::new("failing"), |_| async {
        Err::<(), _>(Error::new(ErrorKind::ToolFailed, "broken"))
    });
    assert!(failing.now_or_never().unwrap().is_err());
    let dropped = track(&cx, Operation::new("dropped"), |_| {
        std::future::pending::<Result<()>>()
    });
    assert!(dropped.now_or_never().is_none());
    for (name, kind) in [("failing", "tool_failed"), ("dropped", "cancelled")] {
        let span = recording.span(name);
        assert_eq!(span.errors, [kind]);
        assert!(span.ended.is_some(), "{name}");
    }
}

#[test]
fn the_callers_traceparent_is_the_parent_and_gives_the_trace() {
    let recording = recording();
    let cx = with_metadata("traceparent", HEADER);
    assert_eq!(cx.trace_id(), &HEADER[3..35]);
    nothing(&cx, "called").now_or_never().unwrap().unwrap();
    let span = recording.span("called");
    assert_eq!(span.parent.unwrap().to_string(), "00f067aa00a902b7");
    assert_eq!(&*span.trace_id, cx.trace_id());
    // A trace that the caller does not record is not recorded here.
    let quiet = with_metadata("traceparent", &(HEADER[..53].to_owned() + "00"));
    nothing(&quiet, "unsampled")
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(recording.recorder.spans().len(), 1);
    // What is no header is no parent.
    let odd = with_metadata("traceparent", "x");
    nothing(&odd, "odd").now_or_never().unwrap().unwrap();
    assert_eq!(recording.span("odd").parent, None);
}

#[test]
fn who_is_called_is_told_the_innermost_span() {
    let recording = recording();
    let cx = Context::default();
    let tracked = track(&cx, Operation::new("outer"), |inner| async move {
        Ok(traceparent(&inner).unwrap())
    });
    let told = tracked.now_or_never().unwrap().unwrap();
    assert_eq!(told.span_id, recording.span("outer").span_id);
    assert_eq!(
        (told.trace_id.as_str(), told.is_sampled),
        (cx.trace_id(), true)
    );
    drop(recording);
    // With nobody who records, what we were told is passed on.
    let cx = with_metadata("traceparent", HEADER);
    assert_eq!(traceparent(&cx).unwrap().to_string(), HEADER);
}

#[test]
fn session_message_and_user_stand_on_every_span() {
    let recording = recording();
    let cx = with_metadata("message_id", "m1").child(Overrides {
        metadata: Map::from_iter([("session_id".to_owned(), Value::from("s1"))]),
        ..Overrides::default()
    });
    let tracked = track(&cx, Operation::new("outer"), |inner| async move {
        nothing(&inner, "inner").await
    });
    tracked.now_or_never().unwrap().unwrap();
    for name in ["outer", "inner"] {
        let attributes = recording.span(name).attributes;
        assert_eq!(attributes["session.id"], Value::from("s1"));
        assert_eq!(attributes["jupyter.message.id"], Value::from("m1"));
    }
}

#[test]
fn a_described_operation_has_the_name_and_attributes_it_says() {
    let recording = recording();
    let cx = Context::default();
    let describe = || {
        SpanDescription::new("chat m")
            .client()
            .with("gen_ai.request.model", "m")
            .with("left.out", Value::Null)
    };
    let operation = Operation::new("chat p:m").with_span(describe);
    let tracked = track(&cx, operation, |inner| async move {
        inner
            .span()
            .unwrap()
            .set_attribute("gen_ai.response.model", "n");
        inner.span().unwrap().set_attribute("left.out", Value::Null);
        Ok(())
    });
    tracked.now_or_never().unwrap().unwrap();
    let span = recording.span("chat m");
    assert_eq!(span.kind, SpanKind::Client);
    assert_eq!(span.attributes["gen_ai.request.model"], Value::from("m"));
    assert_eq!(span.attributes["gen_ai.response.model"], Value::from("n"));
    assert!(!span.attributes.contains_key("left.out"));
}

#[test]
fn a_span_of_a_program_ends_once_and_takes_nothing_afterwards() {
    let recording = recording();
    let cx = Context::default();
    let span = start_span(&cx, SpanDescription::new("mine")).unwrap();
    span.set_attribute("a", 1_i64);
    span.end();
    let ended = recording.span("mine").ended;
    span.set_attribute("a", 2_i64);
    span.record_error(&Error::internal("late"));
    drop(span);
    let recorded = recording.span("mine");
    assert_eq!(
        (recorded.ended, &recorded.attributes["a"]),
        (ended, &Value::Int(1))
    );
    assert!(recorded.errors.is_empty());
    drop(start_span(&cx, SpanDescription::new("dropped")));
    assert!(recording.span("dropped").ended.is_some());
}

#[test]
fn a_trace_stands_above_what_has_no_other_parent() {
    let recording = recording();
    let (cx, other) = (Context::default(), Context::default());
    assert_eq!(start_trace(&cx, "whole"), cx.trace_id());
    nothing(&cx, "part").now_or_never().unwrap().unwrap();
    nothing(&other, "elsewhere")
        .now_or_never()
        .unwrap()
        .unwrap();
    record_error(&cx, &Error::internal("noted"));
    record_error(&other, &Error::internal("homeless"));
    end_trace(&cx);
    end_trace(&cx);
    nothing(&cx, "later").now_or_never().unwrap().unwrap();
    let whole = recording.span("whole");
    assert_eq!(recording.span("part").parent, Some(whole.span_id));
    assert_eq!(recording.span("elsewhere").parent, None);
    assert_eq!(recording.span("later").parent, None);
    assert_eq!(whole.errors, ["internal"]);
    assert!(whole.ended.is_some());
    assert_eq!(
        recording.recorder.errors(),
        [(other.trace_id().to_owned(), "internal")]
    );
    assert_eq!(recording.recorder.traces_ended(), [cx.trace_id()]);
}

#[test]
fn a_reset_ends_the_traces_that_are_open() {
    let recording = recording();
    let cx = Context::default();
    start_trace(&cx, "nightly");
    reset_provider();
    assert!(recording.span("nightly").ended.is_some());
    assert_eq!(recording.recorder.traces_ended(), [cx.trace_id()]);
    assert!(open_trace(cx.trace_id()).is_none());
    // The next provider hears nothing of it.
    let next = Recorder::default();
    set_provider(Arc::new(next.clone()));
    nothing(&cx, "later").now_or_never().unwrap().unwrap();
    end_trace(&cx);
    assert_eq!(next.spans()[0].parent, None);
    assert!(next.traces_ended().is_empty());
}

#[test]
fn an_instrument_that_no_provider_takes_is_refused() {
    let check = |name: &str, unit: &str, description: &str| {
        counter(name, unit, description).instrument().check()
    };
    for (name, unit) in [
        ("orders", ""),
        ("gen_ai.client.token.usage", "{token}"),
        ("a/b-c_d.1", "s"),
    ] {
        check(name, unit, "").unwrap();
    }
    let long = "x".repeat(1_024);
    for (name, unit, description) in [
        ("", "", ""),
        ("1st", "", ""),
        ("two words", "", ""),
        (&long, "", ""),
        ("a", &long, ""),
        ("a", "\u{b5}s", ""),
        ("a", "", &long),
    ] {
        let error = check(name, unit, description).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{name} {unit}");
        assert!(error.hint().is_some());
    }
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(counter("a", "", "").count(wrong, &[]).is_err(), "{wrong}");
    }
    assert!(histogram("a", "", "").note(f64::NAN, &[]).is_err());
    histogram("a", "", "").note(-1.0, &[]).unwrap();
}

#[test]
fn open_traces_are_bounded() {
    let recording = recording();
    let all: Vec<Context> = (0..=TRACES_MAX).map(|_| Context::default()).collect();
    for cx in &all {
        start_trace(cx, "t");
    }
    let spans = recording.recorder.spans();
    assert!(spans[0].ended.is_some() && spans[1].ended.is_none());
    assert!(open_trace(all[0].trace_id()).is_none() && open_trace(all[1].trace_id()).is_some());
    for cx in &all {
        end_trace(cx);
    }
    assert!(
        recording
            .recorder
            .spans()
            .iter()
            .all(|it| it.ended.is_some())
    );
}

#[test]
fn a_counter_and_a_histogram_reach_the_provider_of_the_moment() {
    let (requests, sizes) = (
        counter("requests", "{request}", "all"),
        histogram("sizes", "By", ""),
    );
    let recording = recording();
    let attributes = [("a".into(), Value::from("b"))];
    requests.add(2.0, &attributes);
    requests.add(-1.0, &[]);
    requests.add(f64::NAN, &[]);
    sizes.record(-3.5, &[]);
    sizes.record(f64::INFINITY, &[]);
    let counted = recording.recorder.counted("requests");
    assert_eq!((counted.len(), counted[0].value), (1, 2.0));
    assert_eq!(counted[0].instrument.unit, "{request}");
    assert_eq!(counted[0].attributes["a"], Value::from("b"));
    assert_eq!(recording.recorder.measured("sizes").len(), 1);
}

#[test]
fn content_is_captured_only_while_somebody_records_and_asked() {
    let recording = recording();
    assert!(!captures_content());
    set_content_capture(true);
    assert!(captures_content());
    reset_provider();
    assert!(!captures_content());
    set_provider(Arc::new(recording.recorder.clone()));
    assert!(!captures_content());
}

/// Notes which traces are over.
#[derive(Debug, Default)]
struct Ending {
    spans: Recorder,
    over: Mutex<Vec<String>>,
}

impl Ending {
    fn over(&self) -> Vec<String> {
        self.over.lock().unwrap().clone()
    }
}

impl TelemetryProvider for Ending {
    fn start_span(&self, start: SpanStart) -> Box<dyn SpanSink> {
        self.spans.start_span(start)
    }

    fn record_error(&self, _: &str, _: &Error) {}

    fn end_trace(&self, trace_id: &str) {
        self.over.lock().unwrap().push(trace_id.to_owned());
    }

    fn counter(&self, instrument: &Instrument) -> Arc<dyn CounterSink> {
        self.spans.counter(instrument)
    }

    fn histogram(&self, instrument: &Instrument) -> Arc<dyn HistogramSink> {
        self.spans.histogram(instrument)
    }
}

#[test]
fn a_trace_that_makes_room_for_others_is_over() {
    let _recording = recording();
    let provider = Arc::new(Ending::default());
    set_provider(Arc::clone(&provider) as Arc<dyn TelemetryProvider>);
    let open: Vec<Context> = (0..TRACES_MAX).map(|_| Context::default()).collect();
    for cx in &open {
        start_trace(cx, "t");
    }
    // One that is open already takes no other's place.
    start_trace(&open[7], "again");
    assert_eq!(provider.over(), [""; 0]);
    start_trace(&Context::default(), "one more");
    assert_eq!(provider.over(), [open[0].trace_id()]);
    let first = provider
        .spans
        .spans()
        .into_iter()
        .find(|it| &*it.trace_id == open[0].trace_id());
    assert!(first.unwrap().ended.is_some());
    end_trace(&open[0]);
    assert_eq!(provider.over().len(), 1);
}
