//! Embedders turn chunks and questions into vectors.
//!
//! A kind of embedder is one row of [`EMBEDDERS`] and one file.

mod function;
mod lexical;
mod local;
mod minilm;
mod provider;

use std::sync::Arc;

use aikit_core::{
    Error, Result, model::EmbeddingModel, script::Callable, services::ModelOptions,
    services::Services,
};

pub(super) use self::lexical::STOP_WORDS;
use super::embedding::Embed;

/// A row of [`EMBEDDERS`].
#[derive(Clone, Copy, Debug)]
pub struct EmbedderKind {
    /// Name of the kind.
    pub name: &'static str,
    /// What it is, one sentence.
    pub summary: &'static str,
    by_name: fn(&str, &ModelOptions, &Services) -> Option<Result<Embedder>>,
}

/// Every kind of embedder.
pub const EMBEDDERS: &[EmbedderKind] = &[
    EmbedderKind {
        name: "lexical",
        summary: "Compares words and parts of words, not meanings; needs no download and no key.",
        by_name: |name, _, _| (name == lexical::NAME).then(|| Ok(Embedder::lexical())),
    },
    EmbedderKind {
        name: "minilm",
        summary: "Compares meanings of English texts, in this process, by a model that the extra \
                  `minilm` installs.",
        by_name: |name, _, _| (name == minilm::NAME).then(|| minilm::open().map(Embedder)),
    },
    EmbedderKind {
        name: "local",
        summary: "A BERT model in a folder on disk, in this process, by `local:PATH`.",
        by_name: |name, _, services| {
            local::by_name(name, services).map(|opened| opened.map(Embedder))
        },
    },
    EmbedderKind {
        name: "provider",
        summary: "A model of a provider, by `provider:model`.",
        by_name: |name, options, services| {
            name.contains(':').then(|| {
                services
                    .models()?
                    .embedding(name, options.clone())
                    .map(Embedder::model)
            })
        },
    },
    EmbedderKind {
        name: "function",
        summary: "A function of a script that takes a list of texts; given itself, not by a name.",
        by_name: |_, _, _| None,
    },
];

/// Turns texts into vectors; a cheap handle.
#[derive(Clone, Debug)]
pub struct Embedder(pub(super) Arc<dyn Embed>);

impl Embedder {
    /// The embedder that is always there.
    ///
    /// It hashes stemmed words and their parts of 3 to 5 characters and weighs them by how many
    /// chunks have them. It finds chunks that share words with the question, also misspelt ones;
    /// it knows nothing of meaning: `car` does not find `automobile`.
    pub fn lexical() -> Self {
        Self(Arc::new(lexical::Lexical))
    }

    /// A model of a provider.
    pub fn model(model: Arc<dyn EmbeddingModel>) -> Self {
        Self(Arc::new(provider::Provider::new(model)))
    }

    /// A function that takes a list of texts and answers a list of vectors of length `dimension`.
    /// The store remembers `function:NAME`: change `name` when the function changes its vectors.
    pub fn function(name: &str, dimension: usize, function: Arc<dyn Callable>) -> Self {
        Self(Arc::new(function::Function::new(
            format!("function:{name}"),
            dimension,
            function,
        )))
    }

    /// Finds an embedder by `lexical`, `minilm`, `local:PATH` or `provider:model`.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown name, `unavailable` when `minilm` is not installed, and those of
    /// the provider. What is in a folder is looked at when an index is opened with it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as for `Models::embedding`: options are made for one call"
    )]
    pub fn named(name: &str, options: ModelOptions, services: &Services) -> Result<Self> {
        for kind in EMBEDDERS {
            if let Some(found) = (kind.by_name)(name, &options, services) {
                return found;
            }
        }
        Err(Error::not_found(format!("no embedder named `{name}`"))
            .with_hint("use `lexical`, `minilm`, `local:PATH`, `provider:model`, or a function"))
    }

    /// Name that a store remembers.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}
