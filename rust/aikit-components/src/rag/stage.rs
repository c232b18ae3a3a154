//! Stages of an ingest and of a search: each is a procedure of its own, with its own span.

use aikit_core::{
    Context, Result, Value,
    span::SpanDescription,
    tracker::{Operation, track},
};

/// A document is read.
pub(super) const LOAD: &str = "rag load";
/// A document is split into chunks.
pub(super) const SPLIT: &str = "rag split";
/// Texts are embedded.
pub(super) const EMBED: &str = "rag embed";
/// Candidates are found, by vectors or by words.
pub(super) const SEARCH: &str = "rag search";
/// Candidates are put in order, and become hits.
pub(super) const RERANK: &str = "rag rerank";

/// Runs a stage. Its span carries `about`, the name and the value of what it works on.
pub(super) async fn stage<T, F>(
    cx: &Context,
    name: &'static str,
    about: (&'static str, impl Into<Value>),
    body: impl FnOnce(Context) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let operation = Operation::new(name).with_span(|| {
        let (key, value) = about;
        SpanDescription::new(name).with(key, value)
    });
    // Boxed: a search is several stages, and its future would be as large as all of them.
    Box::pin(track(cx, operation, |inner| Box::pin(body(inner)))).await
}

/// Notes on the span of a stage how much came out of it.
pub(super) fn note(cx: &Context, key: &str, count: usize) {
    if let Some(span) = cx.span() {
        span.set_attribute(key, Value::from(count));
    }
}
