//! Which index a command works with, and how its texts are shown.

use aikit_components::{
    rag::{self, Embedder, RagOptions},
    registry::Components,
};
use aikit_core::{Error, Result, services::ModelOptions};
use clap::Args;

use crate::terminal;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 100;

/// Which index, and how it is opened.
#[derive(Args, Debug)]
pub(super) struct IndexArgs {
    /// Name of the index (kept in `.aikit/rag/NAME.db`), or its path below the working directory
    #[arg(long, value_name = "NAME", default_value = "documents")]
    pub(super) index: String,
    /// What turns texts into vectors: `lexical`, `minilm`, `local:PATH` or `provider:model`
    #[arg(long, value_name = "EMBEDDER", default_value = "lexical")]
    embedder: String,
    /// Address of the provider of the embedder
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Language of the documents, whose words are stemmed, or `none`; that of the index when left
    /// out, `english` for a new one
    #[arg(long)]
    language: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

impl IndexArgs {
    /// How an index is opened that must be there.
    ///
    /// # Errors
    ///
    /// `not_found` when it is not, and as of [`IndexArgs::options`].
    pub(super) fn existing(&self, components: &Components) -> Result<RagOptions> {
        let options = self.options(components)?;
        if let Some(path) = options.path.as_ref().filter(|it| !it.exists()) {
            let place = path.display();
            let message = format!("there is no index `{}`: no file `{place}`", self.index);
            let hint = format!(
                "make it first: `aikit rag ingest SOURCE --index {}`",
                self.index
            );
            return Err(Error::not_found(message).with_hint(hint));
        }
        Ok(options)
    }

    /// How the index is opened.
    ///
    /// # Errors
    ///
    /// Those of a place outside the working directory and of an embedder that is not there.
    pub(super) fn options(&self, components: &Components) -> Result<RagOptions> {
        let place = ModelOptions {
            base_url: self.base_url.clone(),
            ..ModelOptions::default()
        };
        Ok(RagOptions {
            path: Some(rag::store_path(&components.working_directory, &self.index)?),
            embedder: Embedder::named(&self.embedder, place, &components.services)?,
            language: self.language.clone(),
            ..RagOptions::default()
        })
    }
}

/// How wide the terminal is.
pub(super) fn columns() -> usize {
    terminal::columns().unwrap_or(COLUMNS)
}

/// A text of a document as one line that does nothing to a terminal.
pub(super) fn one_line(text: &str) -> String {
    terminal::escape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The beginning of a text that is too long for a place.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}
