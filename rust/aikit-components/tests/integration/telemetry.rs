//! Telemetry: the spans of retrieval and embeddings, and an exporter whose receiver does not take
//! anything. What a real receiver gets is tested from Python.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_components::{
    config::OtlpSettings,
    rag::{Embedder, RagOptions, Record, Source},
    telemetry::OtlpProvider,
};
use aikit_core::{
    Context, Result, Value,
    clock::{Clock as _, SystemClock},
    model::EmbeddingModel,
    span::SpanDescription,
    telemetry::{self, Recorder, TelemetryProvider},
};
use futures::future::BoxFuture;

use crate::rag::{context_in, ingest, open, search};

/// The provider belongs to the process: one test at a time has it.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone {
        _guard: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        telemetry::reset_provider();
    }
}

/// Embeds a text as its length.
#[derive(Debug)]
struct Lengths;

impl EmbeddingModel for Lengths {
    fn name(&self) -> &'static str {
        "mistral:lengths"
    }

    fn embed<'a>(
        &'a self,
        _cx: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        #[expect(clippy::cast_precision_loss, reason = "the texts are short")]
        let vectors = texts.iter().map(|it| vec![it.len() as f32, 1.0]).collect();
        Box::pin(std::future::ready(Ok(vectors)))
    }
}

#[test]
fn embeddings_stand_below_the_search_with_the_names_of_the_conventions() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = open(RagOptions {
        embedder: Embedder::model(Arc::new(Lengths)),
        ..RagOptions::default()
    })
    .unwrap();
    let record = Source::Record(Record {
        id: "note".to_owned(),
        text: "plain words".to_owned(),
        ..Record::default()
    });
    ingest(&rag, &cx, vec![record]).unwrap();
    let recorder = Recorder::default();
    telemetry::set_provider(Arc::new(recorder.clone()));
    search(&rag, &cx, "confidential words", 1).unwrap();
    telemetry::set_content_capture(true);
    search(&rag, &cx, "confidential words", 1).unwrap();
    let spans = recorder.spans();
    let names: Vec<&str> = spans.iter().map(|it| it.name.as_str()).collect();
    let once = ["retrieval memory", "rag embed", "embeddings lengths"];
    assert_eq!(names[..3], once);
    let (search, stage, embeddings) = (&spans[0], &spans[1], &spans[2]);
    assert_eq!(stage.parent, Some(search.span_id));
    assert_eq!(stage.attributes["aikit.rag.texts"], Value::Int(1));
    assert_eq!(embeddings.parent, Some(stage.span_id));
    for (name, value) in [
        ("gen_ai.operation.name", Value::from("embeddings")),
        ("gen_ai.provider.name", Value::from("mistral_ai")),
        ("gen_ai.request.model", Value::from("lengths")),
        ("gen_ai.embeddings.dimension.count", Value::Int(2)),
    ] {
        assert_eq!(embeddings.attributes[name], value, "{name}");
    }
    assert_eq!(
        search.attributes["gen_ai.data_source.id"],
        Value::from("memory")
    );
    let query = "gen_ai.retrieval.query.text";
    assert!(!search.attributes.contains_key(query));
    let asked = spans
        .iter()
        .rfind(|it| it.name == "retrieval memory")
        .unwrap();
    assert_eq!(asked.attributes[query], Value::from("confidential words"));
    let measured = recorder.measured("gen_ai.client.operation.duration");
    assert_eq!(
        measured[0].attributes["gen_ai.operation.name"],
        Value::from("embeddings")
    );
}

#[test]
fn a_receiver_that_hangs_costs_spans_and_no_time() {
    let _alone = alone();
    // It takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let settings = OtlpSettings {
        traces: Some(address),
        metrics: None,
        headers: Vec::new(),
        resource: Vec::new(),
        timeout: Duration::from_mins(1),
    };
    let provider = Arc::new(OtlpProvider::new(settings, Arc::default()).unwrap());
    telemetry::set_provider(Arc::clone(&provider) as Arc<dyn TelemetryProvider>);
    let cx = Context::default();
    let started = SystemClock.monotonic();
    for _ in 0..20_000 {
        drop(telemetry::start_span(&cx, SpanDescription::new("x")));
    }
    // Two batches at most are on their way, the queue holds 8,192.
    assert!(
        provider.lost() >= 20_000 - 8_192 - 2 * 512,
        "{}",
        provider.lost()
    );
    telemetry::flush(Duration::from_millis(50));
    assert!(SystemClock.monotonic().saturating_sub(started) < Duration::from_secs(30));
}
