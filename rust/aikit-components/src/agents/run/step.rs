//! A step of a run as hooks see it: one answer of the model and the tool calls it asks for.

use aikit_core::{Result, Value, hook::Hooked, model::Message, value::Map};

use super::{Running, into_text};
use crate::models::{messages_of, messages_value};

/// How much of a run there was before a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) messages: usize,
    pub(super) steps: usize,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) is_last: bool,
    /// The text that a hook gave.
    pub(super) given: Option<String>,
    /// Where it stands for the whole step: what there was before.
    pub(super) in_place_of: Option<Known>,
}

/// A step with hooks around it. Hooks may give other messages, for this request alone.
pub(super) struct StepCall<'r, 'a> {
    running: &'r mut Running<'a>,
    known: Known,
}

impl<'r, 'a> StepCall<'r, 'a> {
    pub(super) fn new(running: &'r mut Running<'a>) -> Self {
        let known = Known {
            messages: running.run.messages.len(),
            steps: running.run.steps.len(),
        };
        Self { running, known }
    }
}

impl Hooked for StepCall<'_, '_> {
    type Input = Option<Vec<Message>>;
    type Output = Done;

    fn show(&self, _: &Self::Input) -> Result<Map> {
        let running = &*self.running;
        let before = running.run.messages.get(..self.known.messages);
        let name = running.parts.options.name.as_str();
        Ok(Map::from_iter([
            ("agent".to_owned(), Value::from(name)),
            ("step".to_owned(), Value::from(self.known.steps + 1)),
            (
                "messages".to_owned(),
                messages_value(before.unwrap_or_default())?,
            ),
        ]))
    }

    fn change(&self, input: &mut Self::Input, mut changes: Map) -> Result<()> {
        if let Some(messages) = changes.shift_remove("messages") {
            *input = Some(messages_of(messages)?);
        }
        Ok(())
    }

    async fn call(&mut self, messages: Self::Input) -> Result<Done> {
        // What an earlier attempt added is gone; what it used is not.
        self.running.run.messages.truncate(self.known.messages);
        self.running.run.steps.truncate(self.known.steps);
        let is_last = self.running.step(messages).await?;
        Ok(Done {
            is_last,
            given: None,
            in_place_of: None,
        })
    }

    fn result(&self, done: &Done) -> Result<Value> {
        let text = done.given.as_ref().unwrap_or(&self.running.run.output);
        Ok(Value::from(text.as_str()))
    }

    fn replace(&self, _: &Self::Input, value: Value, previous: Option<&Done>) -> Result<Done> {
        let instead = Done {
            is_last: true,
            given: None,
            in_place_of: Some(self.known),
        };
        Ok(Done {
            given: Some(into_text(value)),
            ..previous.cloned().unwrap_or(instead)
        })
    }
}
