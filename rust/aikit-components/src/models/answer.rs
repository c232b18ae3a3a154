//! An answer that a person or a program wrote: a text, or a text with tool calls.

use aikit_core::{
    Error, Result, Value,
    model::{
        ChatRequest, ChatResponse, FinishReason, Message, Part, Role, ToolCall, ToolDefinition,
        Usage,
    },
    value::Map,
};
use serde::Deserialize;

/// What may stand for the answer of a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    text: String,
    tool_calls: Vec<WrittenCall>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCall {
    name: String,
    #[serde(default)]
    arguments: Value,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    text: String,
    #[serde(default)]
    tool_calls: Value,
}

impl Answer {
    /// Reads a text, or `{text, tool_calls = {{name, arguments}}}`.
    pub(super) fn parse(value: Value) -> Result<Self> {
        if let Value::String(text) = value {
            let tool_calls = Vec::new();
            return Ok(Self { text, tool_calls });
        }
        if value.as_map().is_none_or(Map::is_empty) {
            let message = format!("an answer cannot be of type {}", value.type_name());
            return Err(Error::invalid_args(message).with_hint(SHAPE));
        }
        let shaped = |error: Error| {
            Error::invalid_args(format!("an answer is malformed: {error}")).with_hint(SHAPE)
        };
        let written: Written = value.deserialize().map_err(shaped)?;
        let tool_calls = match written.tool_calls {
            Value::Null => Vec::new(),
            // Lua writes an empty list and an empty map the same way.
            Value::Map(map) if map.is_empty() => Vec::new(),
            calls => calls.deserialize().map_err(shaped)?,
        };
        Ok(Self {
            text: written.text,
            tool_calls,
        })
    }

    /// The answer in the form of a model's. Calls without an id get `PREFIX_1`, `PREFIX_2`, …;
    /// usage counts words.
    pub(super) fn into_response(
        self,
        model: &str,
        request: &ChatRequest,
        prefix: &str,
    ) -> ChatResponse {
        let mut parts = Vec::new();
        let mut output_tokens = words(&self.text);
        if !self.text.is_empty() {
            parts.push(Part::Text { text: self.text });
        }
        let finish_reason = if self.tool_calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        };
        for (index, call) in self.tool_calls.into_iter().enumerate() {
            let arguments = match call.arguments {
                Value::Null => Value::Map(Map::new()),
                Value::List(items) if items.is_empty() => Value::Map(Map::new()),
                arguments => arguments,
            };
            output_tokens += words(&arguments.to_string());
            parts.push(Part::ToolCall(ToolCall {
                id: call.id.unwrap_or_else(|| format!("{prefix}_{}", index + 1)),
                name: call.name,
                arguments,
            }));
        }
        ChatResponse {
            message: Message {
                role: Role::Assistant,
                parts,
            },
            usage: Usage {
                requests: 1,
                input_tokens: request.messages.iter().map(|it| words(&said(it))).sum(),
                output_tokens,
                ..Usage::default()
            },
            finish_reason,
            model: model.to_owned(),
        }
    }
}

const SHAPE: &str =
    "write a text, or `text` and `tool_calls`, a list of `name` and `arguments` each";

/// What a message says: its text, or what its tools answered.
pub(super) fn said(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.clone()),
        Part::ToolResult(result) => Some(result_text(&result.content)),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// A tool's result as a model reads it: a text as it is, anything else as JSON.
pub(super) fn result_text(content: &Value) -> String {
    content
        .as_str()
        .map_or_else(|| content.to_string(), str::to_owned)
}

/// The conversation as data: each message with `role`, `parts`, and what it says as `text`.
pub(crate) fn messages_value(messages: &[Message]) -> Result<Value> {
    let describe = |message: &Message| {
        let mut value = Value::from_serialize(message)?;
        if let Value::Map(map) = &mut value {
            map.insert("text".to_owned(), Value::from(said(message)));
        }
        Ok(value)
    };
    messages.iter().map(describe).collect()
}

/// The tools as data: `{name, description, parameters}` each.
pub(super) fn tools_value(tools: &[ToolDefinition]) -> Value {
    let describe = |tool: &ToolDefinition| {
        Value::map([
            ("name", Value::from(tool.name.as_str())),
            ("description", Value::from(tool.description.as_str())),
            ("parameters", tool.parameters.clone()),
        ])
    };
    tools.iter().map(describe).collect()
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}
