//! The question guard: what a model asks the user is marked as its words, and one question waits
//! for the other.

use std::sync::Arc;

use aikit_core::{
    Context, Result,
    context::Caller,
    services::{Ask, Question, Reading},
};
use futures::future::BoxFuture;

use super::approval::{take_turn, visible};

/// Longest line and longest choice that are shown, in characters.
const LINE_CHARACTERS_MAX: usize = 4000;
const CHOICE_CHARACTERS_MAX: usize = 200;

/// Asks through another one, with care.
#[derive(Debug)]
pub struct QuestionGuard(Arc<dyn Ask>);

impl QuestionGuard {
    /// Guards `ask`.
    pub const fn new(ask: Arc<dyn Ask>) -> Self {
        Self(ask)
    }
}

impl Ask for QuestionGuard {
    fn ask<'a>(&'a self, cx: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let _turn = take_turn(cx).await?;
            let question = match cx.caller() {
                Caller::User => question,
                Caller::Agent => marked(&question),
            };
            self.0.ask(cx, question).await
        })
    }

    fn read<'a>(
        &'a self,
        cx: &'a Context,
        prompt: String,
        reading: Reading,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        // Not in turn: a script may wait for its input for ever.
        self.0.read(cx, prompt, reading)
    }
}

/// A question that cannot pass for one of the program, such as an approval.
fn marked(question: &Question) -> Question {
    let lines = question.prompt.trim_end().lines();
    let lines: Vec<String> = lines.map(|it| visible(it, LINE_CHARACTERS_MAX)).collect();
    let choices = question.choices.iter();
    Question {
        prompt: format!("The agent asks: {} ", lines.join("\n  | ")),
        choices: choices
            .map(|it| visible(it, CHOICE_CHARACTERS_MAX))
            .collect(),
        secret: question.secret,
    }
}
