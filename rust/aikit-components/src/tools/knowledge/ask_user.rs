//! `ask_user`: asks the user a question.

use std::{fmt, time::Duration};

use aikit_core::{
    Error, Result,
    services::{Permission, Question},
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest question and longest choice, in characters.
const QUESTION_CHARACTERS_MAX: usize = 4000;
const CHOICE_CHARACTERS_MAX: usize = 200;

const CHOICES_MAX: usize = 50;

#[derive(Debug, Default)]
pub(super) struct AskUser;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// What to ask.
    question: String,
    /// Answers to choose from; any answer when left out.
    #[serde(default)]
    choices: Vec<String>,
    /// Whether the answer is not shown while it is typed.
    #[serde(default)]
    secret: bool,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Output {
    /// What the user answered.
    answer: String,
}

// By hand: the answer may be a secret.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

impl Tool for AskUser {
    const NAME: &'static str = "ask_user";
    const SUMMARY: &'static str =
        "Asks the user a question, freely or with choices, and waits for the answer.";
    const PERMISSIONS: &'static [Permission] = &[];
    const ASKS: bool = true;
    // A person may be away from the keyboard.
    const TIMEOUT: Duration = Duration::from_hours(1);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let question = args.question.trim();
        let wrong = |message: String, hint: String| Error::invalid_args(message).with_hint(hint);
        if question.is_empty() || question.chars().count() > QUESTION_CHARACTERS_MAX {
            return Err(wrong(
                format!("`question` has {} characters", question.chars().count()),
                format!("give 1 to {QUESTION_CHARACTERS_MAX}"),
            ));
        }
        let is_usable = |it: &String| !it.trim().is_empty() && it.len() <= CHOICE_CHARACTERS_MAX;
        if args.choices.len() > CHOICES_MAX || !args.choices.iter().all(is_usable) {
            return Err(wrong(
                format!(
                    "`choices` has {} choices, or one that cannot be typed",
                    args.choices.len()
                ),
                format!("give up to {CHOICES_MAX} short ones"),
            ));
        }
        let choices = args.choices.iter().map(|it| it.trim().to_owned());
        let asked = Question {
            prompt: format!("{question} "),
            choices: choices.collect(),
            secret: args.secret,
        };
        let answer = cx.services.ask()?.ask(&cx.context, asked).await?;
        // Nor does a later prompt show it in a recording.
        if args.secret
            && let Some(tape) = cx.context.tape()
        {
            tape.hide(&answer);
        }
        Ok(Output { answer })
    }
}
