//! The names of the semantic conventions for generative AI, and what each kind of call tells.
//!
//! Source: OpenTelemetry semantic conventions, "Generative AI" (spans, agent spans, metrics).
//! What was said to a model or a tool is told only where somebody asked for it.

use std::{sync::LazyLock, time::Duration};

use aikit_core::{
    Context, Error, Result, Value,
    agent::AgentRun,
    model::{ChatRequest, ChatResponse, FinishReason, Message, Part, Role, Usage},
    span::{Attribute, SpanDescription},
    telemetry::{self, Histogram},
    tool::ToolSpec,
};

const TOKEN_USAGE: &str = "gen_ai.client.token.usage";
const DURATION: &str = "gen_ai.client.operation.duration";
const FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";

/// Upper bounds of buckets that the conventions name.
const TOKEN_BOUNDS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const SECOND_BOUNDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// The bounds of the buckets of a metric, where the conventions name them.
pub(super) fn bounds(metric: &str) -> Option<&'static [f64]> {
    match metric {
        TOKEN_USAGE => Some(TOKEN_BOUNDS),
        DURATION | FIRST_CHUNK => Some(SECOND_BOUNDS),
        _ => None,
    }
}

static TOKENS: LazyLock<Histogram> = LazyLock::new(|| {
    telemetry::histogram(
        TOKEN_USAGE,
        "{token}",
        "Number of input and output tokens used.",
    )
});
static SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| telemetry::histogram(DURATION, "s", "How long an operation took."));
static SECONDS_TO_FIRST: LazyLock<Histogram> = LazyLock::new(|| {
    telemetry::histogram(
        FIRST_CHUNK,
        "s",
        "Time until the first piece of an answer was there.",
    )
});

/// What an operation is in the conventions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// A request to a chat model.
    Chat,
    /// A request to an embedding model.
    Embeddings,
    /// A call of a tool.
    ExecuteTool,
    /// A run of an agent.
    InvokeAgent,
    /// A search in an index.
    Retrieval,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::ExecuteTool => "execute_tool",
            Self::InvokeAgent => "invoke_agent",
            Self::Retrieval => "retrieval",
        }
    }

    fn span(self, subject: &str) -> SpanDescription {
        let name = self.name();
        SpanDescription::new(format!("{name} {subject}")).with("gen_ai.operation.name", name)
    }
}

/// Provider and model of a full name such as `openai:gpt-4o`; a name without a provider is that of
/// a model of this process.
fn split(name: &str) -> (&str, &str) {
    let (provider, model) = name.split_once(':').unwrap_or(("aikit", name));
    // The conventions have names of their own for these.
    let provider = match provider {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        known => known,
    };
    (provider, model)
}

/// A request to a model.
fn request(operation: Operation, full_name: &str) -> SpanDescription {
    let (provider, model) = split(full_name);
    operation
        .span(model)
        .client()
        .with("gen_ai.provider.name", provider)
        .with("gen_ai.request.model", model)
}

/// The span of a request to a chat model.
pub(crate) fn chat(model: &str, asked: &ChatRequest) -> SpanDescription {
    let span = request(Operation::Chat, model)
        .with("gen_ai.request.temperature", asked.temperature)
        .with("gen_ai.request.max_tokens", asked.max_tokens);
    if !telemetry::captures_content() {
        return span;
    }
    let (system, said): (Vec<_>, Vec<_>) = asked
        .messages
        .iter()
        .partition(|it| it.role == Role::System);
    let instructions = system.iter().flat_map(|it| parts(it)).collect::<Vec<_>>();
    let said = said
        .into_iter()
        .map(|it| message(it, None))
        .collect::<Vec<_>>();
    let tools = asked.tools.iter().map(|tool| {
        Value::map([
            ("type", Value::from("function")),
            ("name", Value::from(tool.name.as_str())),
            ("description", Value::from(tool.description.as_str())),
            ("parameters", tool.parameters.clone()),
        ])
    });
    let tools: Vec<Value> = tools.collect();
    span.with("gen_ai.system_instructions", as_json(instructions))
        .with("gen_ai.input.messages", as_json(said))
        .with("gen_ai.tool.definitions", as_json(tools))
}

/// Notes the answer of a chat model on its span.
pub(crate) fn answered(cx: &Context, response: &ChatResponse) {
    let Some(span) = cx.span().filter(|_| telemetry::is_on()) else {
        return;
    };
    let reason = reason(&response.finish_reason);
    span.set_attribute("gen_ai.response.model", split(&response.model).1);
    span.set_attribute("gen_ai.response.finish_reasons", vec![reason]);
    used(span, response.usage);
    if telemetry::captures_content() {
        let said = vec![message(&response.message, Some(reason))];
        span.set_attribute("gen_ai.output.messages", as_json(said));
    }
}

/// The span of a request to an embedding model.
pub(crate) fn embeddings(model: &str) -> SpanDescription {
    request(Operation::Embeddings, model)
}

/// Notes how long the vectors are.
pub(crate) fn embedded(cx: &Context, vectors: &[Vec<f32>]) {
    if let (Some(span), Some(first)) = (cx.span(), vectors.first()) {
        span.set_attribute("gen_ai.embeddings.dimension.count", first.len());
    }
}

/// The span of a call of a tool; `id` is that of the model's request for it.
pub(crate) fn tool(spec: &ToolSpec, args: &Value, id: Option<&str>) -> SpanDescription {
    let span = Operation::ExecuteTool
        .span(&spec.name)
        .with("gen_ai.tool.name", spec.name.as_str())
        .with("gen_ai.tool.description", spec.summary.as_str())
        .with("gen_ai.tool.type", "function")
        .with("gen_ai.tool.call.id", id);
    if telemetry::captures_content() {
        return span.with("gen_ai.tool.call.arguments", args.to_string());
    }
    span
}

/// Notes the answer of a tool on its span.
pub(crate) fn tool_answered(cx: &Context, answer: &Value) {
    if let Some(span) = cx.span().filter(|_| telemetry::captures_content()) {
        span.set_attribute("gen_ai.tool.call.result", answer.to_string());
    }
}

/// The span of a step of an agent.
pub(crate) fn step(agent: &str, number: usize) -> SpanDescription {
    SpanDescription::new("agent step")
        .with("gen_ai.agent.name", agent)
        .with("aikit.agent.step", number)
}

/// The span of a run of an agent.
pub(crate) fn agent(name: &str, model: &str, instructions: &str, prompt: &str) -> SpanDescription {
    let (provider, model) = split(model);
    let span = Operation::InvokeAgent
        .span(name)
        .with("gen_ai.agent.name", name)
        .with("gen_ai.provider.name", provider)
        .with("gen_ai.request.model", model);
    if !telemetry::captures_content() {
        return span;
    }
    let asked = message(&Message::text(Role::User, prompt), None);
    let instructions = (!instructions.is_empty()).then(|| as_json(vec![text(instructions)]));
    span.with("gen_ai.system_instructions", instructions)
        .with("gen_ai.input.messages", as_json(vec![asked]))
}

/// Notes the end of a run of an agent on its span.
pub(crate) fn agent_ended(cx: &Context, run: &AgentRun) {
    let Some(span) = cx.span().filter(|_| telemetry::is_on()) else {
        return;
    };
    used(span, run.usage);
    let reason = run.finish_reason.as_ref().map(reason);
    span.set_attribute("gen_ai.response.finish_reasons", reason.map(|it| vec![it]));
    if telemetry::captures_content() {
        let said = Message::text(Role::Assistant, run.output.as_str());
        let said = vec![message(&said, Some(reason.unwrap_or("stop")))];
        span.set_attribute("gen_ai.output.messages", as_json(said));
    }
}

/// The span of a search.
pub(crate) fn retrieval(source: &str, query: &str) -> SpanDescription {
    let span = Operation::Retrieval
        .span(source)
        .with("gen_ai.data_source.id", source);
    if telemetry::captures_content() {
        return span.with("gen_ai.retrieval.query.text", query);
    }
    span
}

fn used(span: &aikit_core::span::Span, usage: Usage) {
    span.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens);
    span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens);
    let known = |count: u64| (count > 0).then_some(count);
    span.set_attribute(
        "gen_ai.usage.cache_read.input_tokens",
        known(usage.cached_input_tokens),
    );
    span.set_attribute(
        "gen_ai.usage.reasoning.output_tokens",
        known(usage.reasoning_tokens),
    );
}

/// Measures one request to a model: how long it took, when the first piece was there, and what it
/// used.
#[derive(Debug)]
pub(crate) struct Measurement {
    cx: Context,
    attributes: Vec<Attribute>,
    started: Duration,
    is_first: bool,
}

impl Measurement {
    /// Begins; `None` while nobody records.
    pub(crate) fn begin(cx: &Context, operation: Operation, full_name: &str) -> Option<Self> {
        if !telemetry::is_on() {
            return None;
        }
        let (provider, model) = split(full_name);
        let attribute = |key: &'static str, value: &str| (key.into(), Value::from(value));
        Some(Self {
            cx: cx.clone(),
            attributes: vec![
                attribute("gen_ai.operation.name", operation.name()),
                attribute("gen_ai.provider.name", provider),
                attribute("gen_ai.request.model", model),
            ],
            started: cx.clock().monotonic(),
            is_first: true,
        })
    }

    /// Notes that a piece of the answer is there.
    pub(crate) fn piece(&mut self) {
        if std::mem::take(&mut self.is_first) {
            let seconds = self.seconds();
            SECONDS_TO_FIRST.record(seconds, &self.attributes);
            if let Some(span) = self.cx.span() {
                span.set_attribute("gen_ai.response.time_to_first_chunk", seconds);
            }
        }
    }

    /// Notes the end of a chat.
    pub(crate) fn end_chat(self, outcome: &Result<ChatResponse>) {
        if let Ok(response) = outcome {
            let usage = response.usage;
            self.tokens("input", usage.input_tokens, &response.model);
            self.tokens("output", usage.output_tokens, &response.model);
        }
        let model = outcome.as_ref().ok().map(|it| it.model.clone());
        self.end(outcome.as_ref().err(), model.as_deref());
    }

    /// Notes the end.
    pub(crate) fn end(mut self, error: Option<&Error>, model: Option<&str>) {
        let seconds = self.seconds();
        if let Some(model) = model {
            let answered = Value::from(split(model).1);
            self.attributes
                .push(("gen_ai.response.model".into(), answered));
        }
        if let Some(error) = error {
            let kind = Value::from(error.kind().code());
            self.attributes.push(("error.type".into(), kind));
        }
        SECONDS.record(seconds, &self.attributes);
    }

    fn tokens(&self, kind: &str, count: u64, model: &str) {
        if count == 0 {
            return;
        }
        let mut attributes = self.attributes.clone();
        attributes.push(("gen_ai.token.type".into(), Value::from(kind)));
        attributes.push(("gen_ai.response.model".into(), Value::from(split(model).1)));
        #[expect(clippy::cast_precision_loss, reason = "2^53 tokens are far away")]
        TOKENS.record(count as f64, &attributes);
    }

    fn seconds(&self) -> f64 {
        let elapsed = self.cx.clock().monotonic().saturating_sub(self.started);
        elapsed.as_secs_f64()
    }
}

fn reason(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(word) => word,
    }
}

/// A message in the form of the conventions.
fn message(said: &Message, finish_reason: Option<&str>) -> Value {
    let role = match said.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut members = vec![
        ("role", Value::from(role)),
        ("parts", Value::List(parts(said))),
    ];
    if let Some(reason) = finish_reason {
        members.push(("finish_reason", Value::from(reason)));
    }
    Value::map(members)
}

fn parts(said: &Message) -> Vec<Value> {
    let form = |part: &Part| match part {
        Part::Text { text: said } => text(said),
        Part::Reasoning { text } => Value::map([
            ("type", Value::from("reasoning")),
            ("content", Value::from(text.as_str())),
        ]),
        Part::ToolCall(call) => Value::map([
            ("type", Value::from("tool_call")),
            ("id", Value::from(call.id.as_str())),
            ("name", Value::from(call.name.as_str())),
            ("arguments", call.arguments.clone()),
        ]),
        Part::ToolResult(result) => Value::map([
            ("type", Value::from("tool_call_response")),
            ("id", Value::from(result.id.as_str())),
            ("response", result.content.clone()),
        ]),
        _ => Value::map([("type", Value::from("other"))]),
    };
    said.parts.iter().map(form).collect()
}

fn text(content: &str) -> Value {
    Value::map([
        ("type", Value::from("text")),
        ("content", Value::from(content)),
    ])
}

/// Attributes of spans are flat: what has a structure is told as JSON. Nothing for an empty list.
fn as_json(items: Vec<Value>) -> Option<String> {
    (!items.is_empty()).then(|| Value::List(items).to_string())
}
