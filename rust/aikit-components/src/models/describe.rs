//! Answers as data: what scripts and programs are given of them.

use aikit_core::{
    Error, Result, Value,
    model::{ChatEvent, ChatResponse, Part},
};

/// An answer: `text`, `reasoning`, `tool_calls`, `usage`, `finish_reason`, `model`, `message`.
///
/// # Errors
///
/// `internal` when it is no data, which does not happen.
pub fn describe(response: &ChatResponse) -> Result<Value> {
    let message = &response.message;
    let calls = message.tool_calls().map(Value::from_serialize);
    let reasoning = message.parts.iter().filter_map(|part| match part {
        Part::Reasoning { text } => Some(text.as_str()),
        _ => None,
    });
    Ok(Value::map([
        ("text", Value::from(message.to_text())),
        ("reasoning", Value::from(reasoning.collect::<String>())),
        ("tool_calls", calls.collect::<Result<Value>>()?),
        ("usage", Value::from_serialize(&response.usage)?),
        (
            "finish_reason",
            Value::from_serialize(&response.finish_reason)?,
        ),
        ("model", Value::from(response.model.as_str())),
        ("message", Value::from_serialize(message)?),
    ]))
}

/// A piece of an answer as an event shows it, see [`describe_event`].
pub(super) fn piece(event: &ChatEvent) -> Value {
    describe_event(event.clone()).unwrap_or_default()
}

/// A piece of an answer: `kind` (`text`, `reasoning`, `done`), its `text`, and with `done` the
/// whole `response`. The pieces have said the text, so that of `done` is empty: whoever writes
/// every piece writes everything once.
///
/// # Errors
///
/// As of [`describe`].
pub fn describe_event(event: ChatEvent) -> Result<Value> {
    let (kind, text, response) = match event {
        ChatEvent::Text(text) => ("text", text, None),
        ChatEvent::Reasoning(text) => ("reasoning", text, None),
        ChatEvent::Done(response) => ("done", String::new(), Some(describe(&response)?)),
        other => {
            let message = format!("an unknown piece of an answer: {other:?}");
            return Err(Error::internal(message));
        }
    };
    let piece = [("kind", Value::from(kind)), ("text", Value::from(text))];
    let response = response.map(|it| ("response", it));
    Ok(Value::map(piece.into_iter().chain(response)))
}
