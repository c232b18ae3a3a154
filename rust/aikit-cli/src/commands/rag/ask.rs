//! `aikit rag ask QUESTION`: the answer, and under it where it stands.

use aikit_components::{
    rag::{self, Answer, AskOptions, Citation, Embedder, Rag, RagOptions, SearchOptions},
    registry::Components,
};
use aikit_core::{Error, Result, Value, io, services::ModelOptions};
use clap::Args;

use crate::{
    session::{ProfileName, setup},
    terminal,
};

#[derive(Args, Debug)]
pub(super) struct AskArgs {
    /// The question
    question: String,
    /// Name of the index (kept in `.aikit/rag/NAME.db`), or its path below the working directory
    #[arg(long, value_name = "NAME", default_value = "documents")]
    index: String,
    /// What the index was made with: `lexical`, `minilm`, `local:PATH` or `provider:model`
    #[arg(long, value_name = "EMBEDDER", default_value = "lexical")]
    embedder: String,
    /// Model that answers; the configured one when left out
    #[arg(long, value_name = "PROVIDER:MODEL")]
    model: Option<String>,
    /// Number of chunks that the model reads
    #[arg(short, default_value_t = rag::K_DEFAULT)]
    k: usize,
    /// What the model is told beside how it answers, such as a language
    #[arg(long, default_value = "")]
    instructions: String,
    /// On one line, for programs
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` when there is no such index, those of the embedder and the model.
pub(super) fn run(args: AskArgs) -> Result<()> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let json = args.json;
    let answer = io::wait(async move { ask(&components, args).await }, || Ok(())).flatten()?;
    if json {
        return terminal::line(&Value::from_serialize(&answer)?.to_string());
    }
    show(&answer)
}

async fn ask(components: &Components, args: AskArgs) -> Result<Answer> {
    let path = rag::store_path(&components.working_directory, &args.index)?;
    if !path.is_file() {
        let message = format!("there is no index `{}`", args.index);
        return Err(Error::not_found(message)
            .with_hint("ingest documents first, or name another one with `--index`"));
    }
    let cx = components.tool_context();
    let models = cx.services.models()?;
    let model = models.chat(args.model.as_deref(), ModelOptions::default())?;
    let embedder = Embedder::named(&args.embedder, ModelOptions::default(), &cx.services)?;
    let options = RagOptions {
        path: Some(path),
        embedder,
        ..RagOptions::default()
    };
    let opened = Rag::open(&cx.context, options).await?;
    let options = AskOptions {
        search: SearchOptions {
            k: args.k,
            ..SearchOptions::default()
        },
        instructions: args.instructions,
        ..AskOptions::default()
    };
    opened.ask(&cx, &model, &args.question, options).await
}

fn show(answer: &Answer) -> Result<()> {
    terminal::line(&answer.text)?;
    if !answer.citations.is_empty() {
        terminal::line("")?;
    }
    for citation in &answer.citations {
        terminal::line(&cited(citation))?;
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
            metadata: Default::default(),
        };
        let shown = "[2] \"make honey in summer\" (a.md > Bees > Honey)";
        assert_eq!(cited(&citation), shown);
    }
}
