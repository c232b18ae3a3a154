//! `aikit rag ask QUESTION`: the answer, and under it where it stands.

use aikit_components::{
    rag::{Answer, AskOptions, Citation, Rag},
    registry::Components,
};
use aikit_core::{Result, Value, services::ModelOptions};
use clap::Args;

use super::{index::IndexArgs, search::HowArgs};
use crate::{
    session::{ProfileName, setup, wait},
    terminal,
};

#[derive(Args, Debug)]
pub(super) struct AskArgs {
    #[command(flatten)]
    index: IndexArgs,
    /// The question
    #[arg(value_name = "QUESTION")]
    question: String,
    /// Model that answers; the configured one when left out
    #[arg(long, value_name = "PROVIDER:MODEL")]
    model: Option<String>,
    /// What the model is told beside how it answers, such as a language
    #[arg(long, value_name = "TEXT", default_value = "")]
    instructions: String,
    #[command(flatten)]
    how: HowArgs,
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` when there is no such index, those of the embedder and the model.
pub(super) fn run(args: AskArgs) -> Result<()> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let options = args.index.existing(&components)?;
    let cx = components.tool_context();
    let models = cx.services.models()?;
    let model = models.chat(args.model.as_deref(), ModelOptions::default())?;
    let asked = AskOptions {
        search: args.how.read()?,
        instructions: args.instructions,
        ..AskOptions::default()
    };
    let question = args.question;
    let answer = wait(&cx.context.clone(), move |context| async move {
        let cx = cx.with_context(context);
        let rag = Rag::open(&cx.context, options).await?;
        rag.ask(&cx, &model, &question, asked).await
    })?;
    if args.index.json {
        return terminal::line(&Value::from_serialize(&answer)?.to_string());
    }
    show(&answer)
}

fn show(answer: &Answer) -> Result<()> {
    terminal::line(&terminal::foreign(&answer.text))?;
    if !answer.citations.is_empty() {
        terminal::line("")?;
    }
    for citation in &answer.citations {
        terminal::line(&terminal::foreign(&cited(citation)))?;
    }
    Ok(())
}

/// A citation on one line: `[1] "quote" (source > heading)`.
fn cited(citation: &Citation) -> String {
    let place = std::iter::once(&citation.source).chain(&citation.headings);
    let place: Vec<&str> = place.map(String::as_str).collect();
    let words: Vec<&str> = citation.quote.split_whitespace().collect();
    let (words, place) = (words.join(" "), place.join(" > "));
    format!("[{}] \"{words}\" ({place})", citation.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_is_one_line() {
        let citation = Citation {
            number: 2,
            id: "a.md#0".to_owned(),
            quote: "make honey\n  in summer".to_owned(),
            source: "a.md".to_owned(),
            title: None,
            headings: vec!["Bees".to_owned(), "Honey".to_owned()],
            start: 0,
            end: 10,
            metadata: aikit_core::value::Map::new(),
        };
        let shown = "[2] \"make honey in summer\" (a.md > Bees > Honey)";
        assert_eq!(cited(&citation), shown);
    }
}
