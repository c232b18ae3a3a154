//! The one place where a model is called: hooks, recording, retries, tracking, time limit and usage.

use std::{collections::HashSet, sync::Arc, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::Context,
    hook::{Hooked, MODEL, around},
    metrics::UsageSums,
    model::{
        ChatEvent, ChatModel, ChatRequest, ChatResponse, EmbeddingModel, FinishReason, Message,
        Part,
    },
    procedure::{Chunks, ProcedureStream},
    tape::Found,
    tool::ToolContext,
    tracker::{Operation, track},
    value::Map,
};
use futures::{
    StreamExt as _,
    stream::{BoxStream, unfold},
};

use super::{cassette, describe, hooked, retry::Attempts, scripted::in_pieces};
use crate::telemetry::genai::{self, Measurement, Operation as Kind};

/// Longest time for one call of a model, the whole answer included.
const CALL_TIME_MAX: Duration = Duration::from_mins(10);

/// Asks `model` for one whole answer.
///
/// # Errors
///
/// `invalid_args` for a temperature or a length out of range, the model's own after the attempts
/// that are worth it, `timeout` after ten minutes or at the deadline of `cx`, its cancellation,
/// `cassette_miss`, and those of [`around`].
pub async fn complete(
    cx: &ToolContext,
    model: &Arc<dyn ChatModel>,
    request: ChatRequest,
) -> Result<ChatResponse> {
    check(&request)?;
    let operation = chat(model.name(), &request);
    track(&cx.context, operation, |inner| async move {
        let measured = Measurement::begin(&inner, Kind::Chat, model.name());
        let mut call = Chat {
            cx: &inner,
            model: &**model,
            sender: None,
            is_visible: false,
        };
        let outcome = around(&inner, &MODEL, &mut call, request).await;
        told(&inner, measured, &outcome);
        outcome
    })
    .await
}

/// An answer with hooks around it: whole, or piece by piece.
struct Chat<'a> {
    cx: &'a Context,
    model: &'a dyn ChatModel,
    /// Where the pieces go; the answer is whole without it.
    sender: Option<Sender<'a>>,
    /// Whether a piece was shown, which cannot be taken back.
    is_visible: bool,
}

impl Hooked for Chat<'_> {
    type Input = ChatRequest;
    type Output = ChatResponse;

    fn show(&self, request: &ChatRequest) -> Result<Map> {
        hooked::show_chat(self.model.name(), request)
    }

    fn change(&self, request: &mut ChatRequest, changes: Map) -> Result<()> {
        hooked::change_chat(request, changes)?;
        check(request)
    }

    async fn call(&mut self, request: ChatRequest) -> Result<ChatResponse> {
        let (cx, model) = (self.cx, self.model);
        let response = match &mut self.sender {
            None => answered(cx, model, request).await?,
            Some(sender) => pieces((cx, model), request, sender, &mut self.is_visible).await?,
        };
        accepted(cx, model.name(), response)
    }

    fn result(&self, response: &ChatResponse) -> Result<Value> {
        hooked::show_response(response)
    }

    fn replace(
        &self,
        request: &ChatRequest,
        value: Value,
        previous: Option<&ChatResponse>,
    ) -> Result<ChatResponse> {
        hooked::replace_response(self.model.name(), request, value, previous)
    }

    fn can_repeat(&self) -> bool {
        !self.is_visible
    }
}

/// Tells whoever records what became of a request.
fn told(cx: &Context, measured: Option<Measurement>, outcome: &Result<ChatResponse>) {
    if let Ok(response) = outcome {
        genai::answered(cx, response);
    }
    if let Some(measured) = measured {
        measured.end_chat(outcome);
    }
}

/// Asks `model` for an answer piece by piece; the last event is [`ChatEvent::Done`] or an error.
/// The call makes progress while the stream is polled and ends when it is dropped. A hook that
/// replaces the answer afterwards changes `Done`, not the pieces that were already there.
pub fn stream(
    cx: &ToolContext,
    model: &Arc<dyn ChatModel>,
    request: ChatRequest,
) -> BoxStream<'static, Result<ChatEvent>> {
    let (cx, model) = (cx.clone(), Arc::clone(model));
    let pieces = ProcedureStream::new(|chunks| async move {
        check(&request)?;
        let operation = chat(model.name(), &request);
        let model = &*model;
        track(&cx.context, operation, |inner| async move {
            let mut measured = Measurement::begin(&inner, Kind::Chat, model.name());
            let sender = Sender {
                cx: &inner,
                chunks,
                measured: measured.as_mut(),
            };
            let outcome = pump(&inner, model, request, sender).await;
            told(&inner, measured, &outcome);
            outcome
        })
        .await
    });
    // The answer itself is the last event.
    let with_end = unfold(pieces, |mut pieces| async {
        let event = pieces.next().await.or_else(|| {
            let answer = pieces.take_returned()?;
            Some(Ok(ChatEvent::Done(Box::new(answer))))
        });
        Some((event?, pieces))
    });
    with_end.boxed()
}

/// Embeds each text with `model`; one vector of the same dimension each, in order.
///
/// # Errors
///
/// The model's own after the attempts that are worth it, `timeout` after ten minutes or at the
/// deadline of `cx`, its cancellation, `bad_response` for another number of vectors than texts or
/// vectors of different dimensions, and `cassette_miss`.
pub async fn embed(
    cx: &Context,
    model: &Arc<dyn EmbeddingModel>,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>> {
    let operation = operation("embeddings", model.name());
    let operation = operation.with_span(|| genai::embeddings(model.name()));
    track(cx, operation, |inner| async move {
        let measured = Measurement::begin(&inner, Kind::Embeddings, model.name());
        let mut call = Embed {
            cx: &inner,
            model: &**model,
        };
        let outcome = around(&inner, &MODEL, &mut call, texts).await;
        if let Some(measured) = measured {
            measured.end(outcome.as_ref().err(), None);
        }
        let vectors = outcome?;
        genai::embedded(&inner, &vectors);
        Ok(vectors)
    })
    .await
}

/// An embedding of texts with hooks around it.
struct Embed<'a> {
    cx: &'a Context,
    model: &'a dyn EmbeddingModel,
}

impl Hooked for Embed<'_> {
    type Input = Vec<String>;
    type Output = Vec<Vec<f32>>;

    fn show(&self, texts: &Vec<String>) -> Result<Map> {
        Ok(hooked::show_texts(self.model.name(), texts))
    }

    fn change(&self, texts: &mut Vec<String>, changes: Map) -> Result<()> {
        hooked::change_texts(texts, changes)
    }

    async fn call(&mut self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let call = cassette::embedding(self.model.name(), &texts);
        let work = || embedded(self.cx, self.model, &texts);
        let vectors = cassette::taped(self.cx, || Ok(call), work, cassette::VECTORS).await?;
        let metrics = self.cx.metrics();
        metrics.add("usage.embedded_texts", count(vectors.len() as u64));
        Ok(vectors)
    }

    fn result(&self, vectors: &Vec<Vec<f32>>) -> Result<Value> {
        Ok(hooked::show_vectors(vectors))
    }

    fn replace(
        &self,
        texts: &Vec<String>,
        value: Value,
        _: Option<&Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<f32>>> {
        hooked::replace_vectors(texts, value)
    }
}

/// What no model would take is said before one is asked.
fn check(request: &ChatRequest) -> Result<()> {
    if let Some(temperature) = request.temperature
        && !(0.0..=2.0).contains(&temperature)
    {
        return Err(
            Error::invalid_args(format!("`temperature` is `{temperature}`"))
                .with_hint("give a number from 0 to 2"),
        );
    }
    if request.max_tokens == Some(0) {
        return Err(Error::invalid_args("`max_tokens` is `0`").with_hint("ask for at least one"));
    }
    Ok(())
}

fn chat(model: &str, request: &ChatRequest) -> Operation {
    operation("chat", model).with_span(|| genai::chat(model, request))
}

fn operation(word: &str, model: &str) -> Operation {
    Operation::new(format!("{word} {model}")).with_timeout(Some(CALL_TIME_MAX))
}

/// One whole answer: the recorded one, or the model's after the attempts that are worth it.
async fn answered(
    cx: &Context,
    model: &dyn ChatModel,
    request: ChatRequest,
) -> Result<ChatResponse> {
    let work = || async {
        let mut attempts = Attempts::default();
        loop {
            match model.complete(cx, request.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => attempts.pause(cx, error).await?,
            }
        }
    };
    let call = || cassette::chat(model.name(), &request);
    cassette::taped(cx, call, work, cassette::RESPONSE).await
}

/// The vectors of all texts, batch by batch; only a batch that failed is asked for again.
async fn embedded(
    cx: &Context,
    model: &dyn EmbeddingModel,
    texts: &[String],
) -> Result<Vec<Vec<f32>>> {
    let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(texts.len());
    for batch in texts.chunks(model.batch_max().max(1)) {
        let mut attempts = Attempts::default();
        let answered = loop {
            match model.embed(cx, batch.to_vec()).await {
                Ok(answered) => break answered,
                Err(error) => attempts.pause(cx, error).await?,
            }
        };
        let dimension = vectors.first().or(answered.first()).map_or(0, Vec::len);
        let fits = answered.len() == batch.len();
        if !fits || answered.iter().any(|it| it.len() != dimension) {
            let message = format!(
                "`{}` answered {} vectors for {} texts, or vectors of different dimensions",
                model.name(),
                answered.len(),
                batch.len()
            );
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
        vectors.extend(answered);
    }
    Ok(vectors)
}

/// Passes the pieces of one answer on, and ends with the answer.
async fn pump(
    cx: &Context,
    model: &dyn ChatModel,
    request: ChatRequest,
    sender: Sender<'_>,
) -> Result<ChatResponse> {
    let mut call = Chat {
        cx,
        model,
        sender: Some(sender),
        is_visible: false,
    };
    let response = around(cx, &MODEL, &mut call, request).await?;
    if let Some(sender) = call.sender.as_mut().filter(|_| !call.is_visible) {
        // A hook answered before the model did.
        let pieces = in_pieces(response.clone());
        pass_on(pieces, model.name(), sender, |_| {}).await?;
    }
    Ok(response)
}

/// The pieces of the recorded answer, or of the model's after the attempts that are worth it.
async fn pieces(
    (cx, model): (&Context, &dyn ChatModel),
    request: ChatRequest,
    sender: &mut Sender<'_>,
    is_visible: &mut bool,
) -> Result<ChatResponse> {
    let mut recording = None;
    if let Some(tape) = cx.tape() {
        let call = cassette::chat(model.name(), &request)?;
        let number = match tape.find(&call)? {
            Found::Recorded(outcome) => {
                let events = cassette::events(outcome)?;
                let seen = |_: &ChatEvent| *is_visible = true;
                return pass_on(events, model.name(), sender, seen).await;
            }
            Found::Missing(number) => number,
        };
        recording = Some(cassette::Recording::new(Arc::clone(tape), number, call));
    }
    let mut attempts = Attempts::default();
    let outcome = loop {
        let seen = |piece: &ChatEvent| {
            *is_visible = true;
            if let Some(recording) = &mut recording {
                recording.piece(piece);
            }
        };
        let outcome = match model.stream(cx, request.clone()).await {
            Ok(events) => pass_on(events, model.name(), sender, seen).await,
            Err(error) => Err(error),
        };
        match outcome {
            // What was shown cannot be taken back.
            Err(error) if !*is_visible => match attempts.pause(cx, error).await {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
            outcome => break outcome,
        }
    };
    if let Some(recording) = recording {
        recording.end(cx, &outcome)?;
    }
    outcome
}

/// Where the pieces of an answer go.
struct Sender<'a> {
    cx: &'a Context,
    chunks: Chunks<ChatEvent>,
    measured: Option<&'a mut Measurement>,
}

impl Sender<'_> {
    async fn send(&mut self, piece: ChatEvent) {
        if let Some(measured) = &mut self.measured {
            measured.piece();
        }
        // A call that has ended meanwhile says so where it waits next, or at its end; who reads lives
        // as long as the one who polls this future.
        drop(self.chunks.push_as(self.cx, piece, describe::piece).await);
    }
}

/// Sends the pieces of one stream on; answers its end.
async fn pass_on(
    mut events: BoxStream<'static, Result<ChatEvent>>,
    model: &str,
    sender: &mut Sender<'_>,
    mut seen: impl FnMut(&ChatEvent),
) -> Result<ChatResponse> {
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Done(response) => return Ok(*response),
            piece => {
                seen(&piece);
                sender.send(piece).await;
            }
        }
    }
    let message = format!("`{model}` stopped without an end of its answer");
    Err(Error::new(ErrorKind::BadResponse, message))
}

/// Counts what an answer used.
fn accepted(cx: &Context, model: &str, mut response: ChatResponse) -> Result<ChatResponse> {
    let usage = &response.usage;
    cx.metrics().add_usage(&UsageSums {
        requests: count(usage.requests),
        input_tokens: count(usage.input_tokens),
        output_tokens: count(usage.output_tokens),
        cost_usd: 0.0,
        cached_input_tokens: count(usage.cached_input_tokens),
        reasoning_tokens: count(usage.reasoning_tokens),
    });
    make_ids_unique(&mut response.message);
    let is_silent = response.message.parts.is_empty();
    if is_silent && response.finish_reason == FinishReason::ContentFilter {
        let message = format!("the content filter of `{model}` stopped the answer");
        let hint = "change the prompt, or take another model";
        return Err(Error::new(ErrorKind::ContentFiltered, message).with_hint(hint));
    }
    Ok(response)
}

/// Some servers give every call the same id; results could then not be told apart.
fn make_ids_unique(message: &mut Message) {
    let mut seen = HashSet::new();
    for part in &mut message.parts {
        if let Part::ToolCall(call) = part {
            let given = call.id.clone();
            let mut number = 1;
            while !seen.insert(call.id.clone()) {
                number += 1;
                call.id = format!("{given}_{number}");
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are doubles; 2^53 tokens are far away"
)]
fn count(number: u64) -> f64 {
    number as f64
}
