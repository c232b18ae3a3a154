//! Calls as a cassette knows them: without identities, which differ from run to run.

use std::collections::HashMap;

use aikit_core::{
    Result, Value,
    model::{ChatRequest, Message, Part},
    tape::TapeCall,
};

use crate::models::answer::tools_value;

/// A request of a chat, whole or streamed.
pub(crate) fn chat(model: &str, request: &ChatRequest) -> Result<TapeCall> {
    let mut messages = request.messages.clone();
    number_calls(&mut messages);
    let mut asked = vec![
        ("model", Value::from(model)),
        ("messages", Value::from_serialize(&messages)?),
    ];
    if !request.tools.is_empty() {
        asked.push(("tools", tools_value(&request.tools)));
    }
    if let Some(temperature) = request.temperature {
        asked.push(("temperature", Value::from(temperature)));
    }
    if let Some(tokens) = request.max_tokens {
        asked.push(("max_tokens", Value::from(tokens)));
    }
    Ok(TapeCall {
        kind: "chat",
        request: Value::map(asked),
    })
}

/// A request for embeddings.
pub(crate) fn embedding(model: &str, texts: &[String]) -> TapeCall {
    let texts = texts.iter().map(|text| Value::from(text.as_str()));
    TapeCall {
        kind: "embed",
        request: Value::map([("model", Value::from(model)), ("texts", texts.collect())]),
    }
}

/// A call of a tool.
pub(crate) fn tool(name: &str, args: &Value) -> TapeCall {
    TapeCall {
        kind: "tool",
        request: Value::map([("tool", Value::from(name)), ("args", args.clone())]),
    }
}

/// The identities of tool calls become numbers in the order in which they appear.
fn number_calls(messages: &mut [Message]) {
    let mut numbers = HashMap::new();
    let mut number = |id: &mut String| {
        let next = numbers.len() + 1;
        let number = *numbers.entry(id.clone()).or_insert(next);
        *id = format!("call_{number}");
    };
    for part in messages.iter_mut().flat_map(|it| &mut it.parts) {
        match part {
            Part::ToolCall(call) => number(&mut call.id),
            Part::ToolResult(result) => number(&mut result.id),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::model::{Role, ToolCall};

    use super::*;

    #[test]
    fn identities_of_calls_are_no_difference() {
        let asked = |id: &str| ChatRequest {
            messages: vec![Message {
                role: Role::Assistant,
                parts: vec![Part::ToolCall(ToolCall {
                    id: id.to_owned(),
                    name: "add".to_owned(),
                    arguments: Value::Null,
                })],
            }],
            ..ChatRequest::default()
        };
        let (one, other) = (chat("m", &asked("a")), chat("m", &asked("b")));
        assert_eq!(one.unwrap(), other.unwrap());
    }
}
