//! Calls of models as hooks see them: what is asked, what is answered, what a hook may say instead.

use aikit_core::{
    Error, Result, Value,
    model::{ChatRequest, ChatResponse, Message, Usage},
    value::Map,
};

use super::answer::{Answer, messages_value, tools_value};

/// What hooks see of a conversation that a model is to go on with.
pub(super) fn show_chat(model: &str, request: &ChatRequest) -> Result<Map> {
    Ok(Map::from_iter([
        ("model".to_owned(), Value::from(model)),
        ("operation".to_owned(), Value::from("chat")),
        ("messages".to_owned(), messages_value(&request.messages)?),
        ("tools".to_owned(), tools_value(&request.tools)),
        ("temperature".to_owned(), Value::from(request.temperature)),
        ("max_tokens".to_owned(), Value::from(request.max_tokens)),
    ]))
}

/// Takes what a hook changed into the request.
pub(super) fn change_chat(request: &mut ChatRequest, mut changes: Map) -> Result<()> {
    if let Some(messages) = changes.shift_remove("messages") {
        request.messages = messages_of(messages)?;
    }
    if let Some(temperature) = changes.shift_remove("temperature") {
        request.temperature = temperature.deserialize()?;
    }
    if let Some(max_tokens) = changes.shift_remove("max_tokens") {
        request.max_tokens = max_tokens.deserialize()?;
    }
    no_others(&changes)
}

/// The messages that a hook gives.
pub(crate) fn messages_of(value: Value) -> Result<Vec<Message>> {
    match value {
        Value::List(messages) => messages.into_iter().map(Message::parse).collect(),
        other => {
            let message = format!("`messages` is a value of type {}", other.type_name());
            Err(Error::invalid_args(message).with_hint("give a list of messages"))
        }
    }
}

/// What hooks see of an answer.
pub(super) fn show_response(response: &ChatResponse) -> Result<Value> {
    Value::from_serialize(response)
}

/// The answer that a hook gives: a text, `{text, tool_calls}`, or the whole one as
/// [`show_response`] shows it; null for an empty one. Nothing was sent for it, so it used nothing,
/// unless it stands for a `previous` one.
pub(super) fn replace_response(
    model: &str,
    request: &ChatRequest,
    value: Value,
    previous: Option<&ChatResponse>,
) -> Result<ChatResponse> {
    let mut response = if value.get("message").is_some() {
        value
            .deserialize::<ChatResponse>()
            .map_err(|error| error.with_hint("give a text, or what `response` showed"))?
    } else {
        let answer = match value {
            Value::Null => Answer::default(),
            value => Answer::parse(value)?,
        };
        let prefix = match previous {
            None => format!("call_{}", request.messages.len()),
            Some(_) => "call_replaced".to_owned(),
        };
        answer.into_response(model, request, &prefix)
    };
    response.usage = previous.map_or_else(Usage::default, |it| it.usage);
    if let Some(previous) = previous {
        response.model.clone_from(&previous.model);
    }
    Ok(response)
}

/// What hooks see of texts that a model is to embed.
pub(super) fn show_texts(model: &str, texts: &[String]) -> Map {
    let texts: Value = texts
        .iter()
        .map(|text| Value::from(text.as_str()))
        .collect();
    Map::from_iter([
        ("model".to_owned(), Value::from(model)),
        ("operation".to_owned(), Value::from("embeddings")),
        ("texts".to_owned(), texts),
    ])
}

/// Takes texts that a hook changed: as many as before.
pub(super) fn change_texts(texts: &mut Vec<String>, mut changes: Map) -> Result<()> {
    if let Some(given) = changes.shift_remove("texts") {
        let given: Vec<String> = given.deserialize()?;
        if given.len() != texts.len() {
            let message = format!("`texts` are {}, but were {}", given.len(), texts.len());
            return Err(Error::invalid_args(message).with_hint("change them one by one"));
        }
        *texts = given;
    }
    no_others(&changes)
}

/// What hooks see of vectors.
pub(super) fn show_vectors(vectors: &[Vec<f32>]) -> Value {
    let numbers = |vector: &Vec<f32>| vector.iter().copied().map(Value::from).collect();
    vectors.iter().map(numbers).collect()
}

/// The vectors that a hook gives: one for each text, all of one dimension.
pub(super) fn replace_vectors(texts: &[String], value: Value) -> Result<Vec<Vec<f32>>> {
    let hint = "give a list of numbers for each text, all of one length";
    let vectors: Vec<Vec<f32>> = value.deserialize().map_err(|error| {
        Error::invalid_args(format!("the vectors do not fit: {error}")).with_hint(hint)
    })?;
    let dimension = vectors.first().map_or(0, Vec::len);
    if vectors.len() != texts.len() || vectors.iter().any(|it| it.len() != dimension) {
        let message = format!(
            "{} vectors for {} texts, or of different lengths",
            vectors.len(),
            texts.len()
        );
        return Err(Error::invalid_args(message).with_hint(hint));
    }
    Ok(vectors)
}

/// Both operations have the same point, but not the same fields.
fn no_others(changes: &Map) -> Result<()> {
    match changes.keys().next() {
        None => Ok(()),
        Some(key) => Err(
            Error::invalid_args(format!("there is no `{key}` to change"))
                .with_hint("look at `operation`: `chat` has messages, `embeddings` has texts"),
        ),
    }
}
