//! A model that answers from a list, strictly: for tests, examples and notebooks without a key.

use std::sync::{Mutex, PoisonError};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::Context,
    model::{ChatEvent, ChatModel, ChatRequest, ChatResponse, Role},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::answer::{Answer, said};

/// Gives the answers of a list one after the other, one a request.
#[derive(Debug)]
pub(super) struct ScriptedModel {
    name: String,
    lines: Vec<Line>,
    /// How many answers were given.
    given: Mutex<usize>,
}

#[derive(Debug)]
struct Line {
    answer: Answer,
    /// What the last message must contain.
    expect: Option<String>,
}

impl ScriptedModel {
    /// Reads a list of answers: a text, or `text`, `tool_calls` and `expect`, a piece of the last
    /// message of the user or a tool.
    ///
    /// # Errors
    ///
    /// `invalid_args` with the position of an answer that has another shape.
    pub(super) fn new(name: String, answers: &Value) -> Result<Self> {
        let answers = match answers {
            Value::List(answers) => answers.as_slice(),
            // Lua writes an empty list and an empty map the same way.
            Value::Map(map) if map.is_empty() => &[],
            _ => {
                let message = "a scripted model needs `answers`, the list of what it says";
                let hint = "give `answers`, such as [\"hello\"]";
                return Err(Error::invalid_args(message).with_hint(hint));
            }
        };
        let located = |(index, answer)| {
            Line::parse(answer).map_err(|error| {
                let message = format!("answer {} of the script: {error}", index + 1);
                Error::invalid_args(message).with_hint(error.hint().unwrap_or_default())
            })
        };
        let lines = answers
            .iter()
            .enumerate()
            .map(located)
            .collect::<Result<_>>()?;
        let given = Mutex::default();
        Ok(Self { name, lines, given })
    }

    fn answer(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *given + 1;
        let Some(line) = self.lines.get(*given) else {
            let message = format!(
                "the script of `{}` is exhausted: request {number}, but it has {} answers",
                self.name,
                self.lines.len()
            );
            let hint = "add an answer to the script, or end the conversation earlier";
            return Err(Error::new(ErrorKind::Model, message).with_hint(hint));
        };
        let heard = request
            .messages
            .iter()
            .rfind(|it| matches!(it.role, Role::User | Role::Tool));
        let heard = heard.map(said).unwrap_or_default();
        if let Some(expect) = &line.expect
            && !heard.contains(expect)
        {
            let message = format!(
                "answer {number} of the script expects `{expect}` in the last message, which is `{}`",
                heard.chars().take(HEARD_CHARS_MAX).collect::<String>()
            );
            let hint = "change `expect`, or what leads to this request";
            return Err(Error::new(ErrorKind::Model, message).with_hint(hint));
        }
        *given = number;
        let prefix = format!("call_{number}");
        let answer = line.answer.clone();
        Ok(answer.into_response(&self.name, request, &prefix))
    }
}

/// How much of a message an error shows.
const HEARD_CHARS_MAX: usize = 200;

impl Line {
    fn parse(value: &Value) -> Result<Self> {
        let Value::Map(mut rest) = value.clone() else {
            let (answer, expect) = (Answer::parse(value.clone())?, None);
            return Ok(Self { answer, expect });
        };
        let expect = match rest.shift_remove("expect") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                let message = format!("`expect` is a text, not {}", other.type_name());
                return Err(Error::invalid_args(message));
            }
        };
        let answer = Answer::parse(Value::Map(rest))?;
        Ok(Self { answer, expect })
    }
}

impl ChatModel for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn complete<'a>(
        &'a self,
        _: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse>> {
        async move { self.answer(&request) }.boxed()
    }

    fn stream<'a>(
        &'a self,
        _: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<ChatEvent>>>> {
        async move { Ok(in_pieces(self.answer(&request)?)) }.boxed()
    }
}

/// A whole answer as a stream: its text word by word, then the answer.
pub(super) fn in_pieces(response: ChatResponse) -> BoxStream<'static, Result<ChatEvent>> {
    let text = response.message.to_text();
    let mut events: Vec<_> = text
        .split_inclusive(char::is_whitespace)
        .map(|piece| Ok(ChatEvent::Text(piece.to_owned())))
        .collect();
    events.push(Ok(ChatEvent::Done(Box::new(response))));
    stream::iter(events).boxed()
}
