//! Language models: messages, requests, answers, and the two traits every provider fills.

use std::fmt;

use futures::{future::BoxFuture, stream::BoxStream};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Value, context::Context};

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The person, or the program on their behalf.
    User,
    /// The model.
    Assistant,
    /// The answer to a tool call.
    Tool,
}

/// One piece of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Reasoning that the provider shows.
    Reasoning {
        /// The text.
        text: String,
    },
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
}

/// A model's request to call a tool.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ToolCall {
    /// Identity within the conversation.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments; a string when the model wrote what is not JSON.
    pub arguments: Value,
}

/// The answer to a [`ToolCall`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ToolResult {
    /// Identity of the call.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// What it answered, or the error as data.
    pub content: Value,
    /// Whether the content is an error.
    pub is_error: bool,
}

/// One turn of a conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text { text: text.into() }],
        }
    }

    /// Reads a message as people write it, `{role, content}`, or a whole one with `parts`. Without
    /// a role it is the user's.
    ///
    /// # Errors
    ///
    /// `invalid_args` for anything else.
    pub fn parse(value: Value) -> Result<Self> {
        let malformed = |error: Error| {
            let message = format!("a message does not fit: {}", error.message());
            Error::invalid_args(message).with_hint(
                "write a message with role and content: {\"role\": \"user\", \"content\": \"…\"}",
            )
        };
        let Some(content) = value.get("content").and_then(Value::as_str) else {
            return value.deserialize::<Self>().map_err(malformed);
        };
        let role = match value.get("role") {
            Some(role) => role.clone().deserialize().map_err(malformed)?,
            None => Role::User,
        };
        Ok(Self::text(role, content))
    }

    /// All text of the message, without reasoning.
    pub fn to_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The tools the message asks for.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// What a call or a run consumed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usage {
    /// Requests sent to the provider.
    pub requests: u64,
    /// Tokens read by the model.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Those of the tokens read that came from the provider's cache, where it says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_input_tokens: u64,
    /// Those of the tokens written that the model spent on reasoning, where the provider says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
    }
}

/// A tool as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// Name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// What is asked of a model.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may ask for.
    pub tools: Vec<ToolDefinition>,
    /// Randomness of the answer, 0 to 2; the provider's default when `None`.
    pub temperature: Option<f64>,
    /// Longest answer in tokens; the provider's default when `None`.
    pub max_tokens: Option<u64>,
}

/// Why a model stopped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached `max_tokens` or its own limit.
    Length,
    /// It asks for tools.
    ToolCalls,
    /// The provider's filter stopped it.
    ContentFilter,
    /// Another reason, in the provider's word.
    Other(String),
}

/// A model's answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ChatResponse {
    /// What it said.
    pub message: Message,
    /// What it consumed.
    pub usage: Usage,
    /// Why it stopped.
    pub finish_reason: FinishReason,
    /// The model that answered, in the provider's word.
    pub model: String,
}

/// A piece of an answer while it arrives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More text.
    Text(String),
    /// More reasoning.
    Reasoning(String),
    /// The whole answer; always the last event of a stream that did not fail.
    Done(Box<ChatResponse>),
}

/// A model that answers conversations.
pub trait ChatModel: fmt::Debug + Send + Sync {
    /// Full name, `provider:model`.
    fn name(&self) -> &str;

    /// Asks for one whole answer.
    fn complete<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse>>;

    /// Asks for an answer piece by piece; ends with [`ChatEvent::Done`] or an error.
    fn stream<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<ChatEvent>>>>;
}

/// A model that turns texts into vectors.
pub trait EmbeddingModel: fmt::Debug + Send + Sync {
    /// Full name, `provider:model`, or the name of a local embedder.
    fn name(&self) -> &str;

    /// Most texts of one call.
    fn batch_max(&self) -> usize {
        256
    }

    /// Embeds each text; one vector of the same dimension for each, in order.
    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>>;
}
