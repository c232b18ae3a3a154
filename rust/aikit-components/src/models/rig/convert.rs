//! Conversations and answers between aikit's types and rig's.

use aikit_core::{
    Error, ErrorKind, Result, Value,
    model::{
        ChatRequest, ChatResponse, FinishReason, Message, Part, Role, ToolCall, ToolDefinition,
        ToolResult, Usage,
    },
};
use rig_core::{
    completion::{self as rig, CompletionRequest, CompletionResponse},
    message::{self, AssistantContent, AssistantMessage, CallId, ToolFunction, ToolName},
};

use crate::models::answer::result_text;

/// A request in rig's form.
pub(super) fn request(request: ChatRequest) -> Result<CompletionRequest> {
    let mut messages = Vec::with_capacity(request.messages.len());
    for it in &request.messages {
        messages.extend(to_rig(it)?);
    }
    if messages.is_empty() {
        return Err(Error::invalid_args("the conversation is empty")
            .with_hint("give at least one message with a text"));
    }
    let tools = request.tools.into_iter().map(definition);
    let mut converted = CompletionRequest::from(messages)
        .tools(tools.collect::<Result<_>>()?)
        .temperature(request.temperature)
        .max_tokens(request.max_tokens);
    // A reason that rig does not know is reported as it is, not as a failure.
    converted.accept_unknown_finish_reasons = true;
    Ok(converted)
}

/// A message in rig's form; `None` for one that says nothing, which providers refuse.
fn to_rig(message: &Message) -> Result<Option<message::Message>> {
    let text = || Some(message.to_text()).filter(|text| !text.is_empty());
    Ok(match message.role {
        Role::System => text().map(message::Message::system),
        Role::User => text().map(message::Message::user),
        Role::Assistant => {
            let mut content: Vec<_> = text().map(AssistantContent::text).into_iter().collect();
            for call in message.tool_calls() {
                content.push(AssistantContent::ToolCall(call_to_rig(call)?));
            }
            let said = !content.is_empty();
            said.then(|| message::Message::Assistant(AssistantMessage::new(content)))
        }
        Role::Tool => {
            let results = message.parts.iter().filter_map(|part| match part {
                Part::ToolResult(result) => Some(result_to_rig(result)),
                _ => None,
            });
            let results = results.collect::<Result<Vec<_>>>()?;
            let said = !results.is_empty();
            said.then(|| message::Message::tool_results(results))
        }
    })
}

fn call_to_rig(call: &ToolCall) -> Result<message::ToolCall> {
    let name = tool_name(&call.name)?;
    let function = match &call.arguments {
        Value::String(text) => ToolFunction::parse(name, text),
        arguments => ToolFunction::new(name, arguments.to_json()?),
    };
    Ok(message::ToolCall::from_wire(call.id.as_str(), function))
}

fn result_to_rig(result: &ToolResult) -> Result<message::ToolResult> {
    Ok(message::ToolResult {
        call: CallId::from_wire(result.id.as_str()),
        name: tool_name(&result.name)?,
        content: vec![message::ToolResultContent::text(result_text(
            &result.content,
        ))],
        is_error: result.is_error,
    })
}

fn definition(tool: ToolDefinition) -> Result<rig::ToolDefinition> {
    let name = tool_name(&tool.name)?;
    let parameters = tool.parameters.to_json()?;
    Ok(rig::ToolDefinition::new(name, tool.description, parameters))
}

fn tool_name(name: &str) -> Result<ToolName> {
    ToolName::new(name).map_err(|_| {
        Error::invalid_args("a tool without a name").with_hint("give every tool a name")
    })
}

/// An answer in aikit's form.
///
/// # Errors
///
/// `content_filtered` when the provider refused instead of answering.
pub(super) fn response(response: &CompletionResponse, name: &str) -> Result<ChatResponse> {
    let parts: Vec<Part> = response.choice.iter().filter_map(part).collect();
    if let Some(refusal) = &response.error
        && parts.is_empty()
    {
        let message = format!("`{name}` refused to answer: {refusal}");
        return Err(Error::new(ErrorKind::ContentFiltered, message));
    }
    let has_calls = parts.iter().any(|it| matches!(it, Part::ToolCall(_)));
    let ended = if has_calls {
        FinishReason::ToolCalls
    } else {
        FinishReason::Stop
    };
    Ok(ChatResponse {
        finish_reason: response.finish_reason().map_or(ended, finish_reason),
        model: response.model().unwrap_or(name).to_owned(),
        usage: Usage {
            requests: 1,
            input_tokens: response.usage.input_tokens.unwrap_or_default(),
            output_tokens: response.usage.output_tokens.unwrap_or_default(),
            cached_input_tokens: response.usage.cached_input_tokens.unwrap_or_default(),
            reasoning_tokens: response.usage.reasoning_tokens.unwrap_or_default(),
        },
        message: Message {
            role: Role::Assistant,
            parts,
        },
    })
}

fn part(content: &AssistantContent) -> Option<Part> {
    match content {
        AssistantContent::Text(text) if text.text.is_empty() => None,
        AssistantContent::Text(text) => Some(Part::Text {
            text: text.text.clone(),
        }),
        AssistantContent::Reasoning(reasoning) if reasoning.text.is_empty() => None,
        AssistantContent::Reasoning(reasoning) => Some(Part::Reasoning {
            text: reasoning.text.clone(),
        }),
        AssistantContent::ToolCall(call) => Some(Part::ToolCall(ToolCall {
            id: call.id.to_string(),
            name: call.function.name.to_string(),
            arguments: match &call.function.invalid_arguments {
                Some(text) => Value::String(text.clone()),
                None => Value::from_json(call.function.arguments_value()),
            },
        })),
        _ => None,
    }
}

fn finish_reason(reason: rig::FinishReason) -> FinishReason {
    match reason {
        rig::FinishReason::Stop => FinishReason::Stop,
        rig::FinishReason::Length => FinishReason::Length,
        rig::FinishReason::ToolCalls => FinishReason::ToolCalls,
        rig::FinishReason::ContentFilter => FinishReason::ContentFilter,
        rig::FinishReason::Other(word) => FinishReason::Other(word),
        other => FinishReason::Other(format!("{other:?}").to_lowercase()),
    }
}
