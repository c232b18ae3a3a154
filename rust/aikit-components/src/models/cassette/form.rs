//! Outcomes of calls as data, and back.
//!
//! An outcome is `{answer = …}` or `{error = …}`. The answer of a chat is `{response = …}`; one
//! that was streamed also has its `pieces`, and `error` instead of `response` when it broke off.

use aikit_core::{
    Error, ErrorKind, Result, Value,
    model::{ChatEvent, ChatResponse},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::scrub::{HIDDEN, Scrubber};
use crate::models::scripted::in_pieces;

/// How the answer of a call is written and read.
#[derive(Clone, Copy)]
pub(crate) struct Form<T> {
    pub(crate) write: fn(&T) -> Result<Value>,
    pub(crate) read: fn(Value) -> Result<T>,
}

impl Form<Value> {
    /// Data as it is.
    pub(crate) const DATA: Self = Self {
        write: |value| Ok(value.clone()),
        read: Ok,
    };

    /// The answer of a person that was not to be seen.
    pub(crate) const HIDDEN_ANSWER: Self = Self {
        write: |_| Ok(Value::map([("answer", Value::from(HIDDEN))])),
        read: Ok,
    };
}

/// The answer of a chat.
pub(crate) const RESPONSE: Form<ChatResponse> = Form {
    write: |response| Ok(Value::map([("response", Value::from_serialize(response)?)])),
    read: response,
};

/// Embeddings: each number as the shortest decimal that means it.
pub(crate) const VECTORS: Form<Vec<Vec<f32>>> = Form {
    write: |vectors| {
        let number = |number: &f32| Value::from(shortest(*number));
        let vector = |vector: &Vec<f32>| -> Value { vector.iter().map(number).collect() };
        Ok(vectors.iter().map(vector).collect())
    },
    read: Value::deserialize,
};

/// The outcome of a call that was answered.
pub(super) fn answer(answer: Value) -> Value {
    Value::map([("answer", answer)])
}

/// The outcome of a call that failed.
pub(super) fn error(error: &Error) -> Value {
    Value::map([("error", error.to_value())])
}

/// The answer or the error that an outcome holds.
pub(super) fn recorded(outcome: Value) -> Result<Value> {
    let Value::Map(mut outcome) = outcome else {
        return Err(malformed());
    };
    match outcome.shift_remove("error") {
        Some(error) => Err(Error::from_value(&error)),
        None => outcome.shift_remove("answer").ok_or_else(malformed),
    }
}

/// A piece of an answer.
pub(super) fn piece(event: &ChatEvent) -> Option<Value> {
    let (kind, text) = match event {
        ChatEvent::Text(text) => ("text", text),
        ChatEvent::Reasoning(text) => ("reasoning", text),
        _ => return None,
    };
    Some(Value::map([(kind, Value::from(text.as_str()))]))
}

/// The outcome of an answer that was streamed to its end or its failure.
pub(super) fn streamed(pieces: Vec<Value>, outcome: &Result<ChatResponse>) -> Result<Value> {
    if let (Err(failure), true) = (outcome, pieces.is_empty()) {
        return Ok(error(failure));
    }
    let end = match outcome {
        Ok(response) => ("response", Value::from_serialize(response)?),
        Err(error) => ("error", error.to_value()),
    };
    Ok(answer(Value::map([("pieces", Value::List(pieces)), end])))
}

/// The outcome of an answer that was left half-way.
pub(super) fn left(pieces: Vec<Value>) -> Value {
    answer(Value::map([("pieces", Value::List(pieces))]))
}

/// The outcome of a chat without secrets, also without those that only its pieces together show.
pub(super) fn scrubbed(mut outcome: Value, scrubber: &Scrubber) -> Value {
    let answer = match &mut outcome {
        Value::Map(outcome) => outcome.get_mut("answer"),
        _ => None,
    };
    let Some(Value::Map(answer)) = answer else {
        return scrubber.value(outcome);
    };
    let is_whole = answer.contains_key("response");
    let Some(pieces) = answer.get_mut("pieces") else {
        return scrubber.value(outcome);
    };
    let Value::List(mut found) = std::mem::take(pieces) else {
        return scrubber.value(outcome);
    };
    for kind in ["text", "reasoning"] {
        scrub_pieces(&mut found, kind, |text| {
            let text = scrubber.text(text);
            if is_whole {
                text
            } else {
                scrubber.without_beginning(text)
            }
        });
    }
    outcome = scrubber.value(outcome);
    if let Value::Map(outcome) = &mut outcome
        && let Some(Value::Map(answer)) = outcome.get_mut("answer")
    {
        answer.insert("pieces".to_owned(), Value::List(found));
    }
    outcome
}

/// Scrubs all pieces of a kind as one text. Where that changes it, the result is cut anew, in
/// pieces as long as they were.
fn scrub_pieces(pieces: &mut Vec<Value>, kind: &str, scrub: impl FnOnce(String) -> String) {
    let of_kind = |it: &Value| it.get(kind).and_then(Value::as_str).map(str::to_owned);
    let whole: String = pieces.iter().filter_map(of_kind).collect();
    let shown = scrub(whole.clone());
    if shown == whole {
        return;
    }
    let count = pieces.iter().filter_map(of_kind).count();
    let (mut shown, mut number) = (shown.as_str(), 0);
    pieces.retain_mut(|piece| {
        let Some(text) = of_kind(piece) else {
            return true;
        };
        number += 1;
        let end = shown.char_indices().nth(text.chars().count());
        let end = end.map_or(shown.len(), |(end, _)| end);
        let (part, rest) = if number == count {
            (shown, "")
        } else {
            shown.split_at(end)
        };
        *piece = Value::map([(kind, Value::from(part))]);
        shown = rest;
        !part.is_empty()
    });
}

/// A recorded answer as a stream.
pub(crate) fn events(outcome: Value) -> Result<BoxStream<'static, Result<ChatEvent>>> {
    let answer = recorded(outcome)?;
    let Some(pieces) = answer.get("pieces").and_then(Value::as_list) else {
        return Ok(in_pieces(response(answer)?));
    };
    let event = |piece: &Value| {
        let text = |name: &str| piece.get(name).and_then(Value::as_str).map(str::to_owned);
        let said = text("text").map(ChatEvent::Text);
        said.or_else(|| text("reasoning").map(ChatEvent::Reasoning))
            .ok_or_else(malformed)
    };
    let mut events: Vec<Result<ChatEvent>> = pieces.iter().map(event).collect();
    events.push(response(answer).map(|it| ChatEvent::Done(Box::new(it))));
    Ok(stream::iter(events).boxed())
}

fn response(answer: Value) -> Result<ChatResponse> {
    let Value::Map(mut answer) = answer else {
        return Err(malformed());
    };
    if let Some(error) = answer.shift_remove("error") {
        return Err(Error::from_value(&error));
    }
    let Some(response) = answer.shift_remove("response") else {
        let message = "the recorded answer was left before its end, and is read further now";
        return Err(Error::new(ErrorKind::CassetteMiss, message).with_hint("record it again"));
    };
    response.deserialize().map_err(|_| malformed())
}

fn malformed() -> Error {
    let message = "an answer of the cassette is malformed";
    Error::new(ErrorKind::CorruptRecord, message).with_hint("record it again")
}

/// A double that prints like the single and becomes it again.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whether anything is lost is looked at"
)]
fn shortest(number: f32) -> f64 {
    let short: f64 = number.to_string().parse().unwrap_or(f64::from(number));
    if (short as f32).to_bits() == number.to_bits() {
        short
    } else {
        f64::from(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_short_and_read_exactly() {
        let vectors = vec![vec![0.1_f32, -1.5e-20, 1.0, f32::MAX, 0.3], Vec::new()];
        let written = (VECTORS.write)(&vectors).unwrap();
        assert!(written.to_string().starts_with("[[0.1,"), "{written}");
        assert_eq!((VECTORS.read)(written).unwrap(), vectors);
    }
}
