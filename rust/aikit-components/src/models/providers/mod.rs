//! Who serves models: one file a provider, and the table of them.

mod anthropic;
mod azure;
mod cohere;
mod deepseek;
mod doubleword;
mod gemini;
mod groq;
mod huggingface;
mod hyperbolic;
mod llamacpp;
mod minimax;
mod mira;
mod mistral;
mod moonshot;
mod ollama;
mod openai;
mod openai_compatible;
mod openrouter;
mod perplexity;
mod scripted;
mod together;
mod venice;
mod voyageai;
mod xai;
mod xiaomimimo;
mod zai;

use std::{fmt, sync::Arc};

use aikit_core::{
    Error, Result, Value,
    model::{ChatModel, EmbeddingModel},
    value::Map,
};
use serde_json::Value as Json;

use crate::{http::GuardedClient, nearest};

/// Every provider, in the order of the reference page.
pub(super) const PROVIDERS: &[Provider] = &[
    openai::PROVIDER,
    anthropic::PROVIDER,
    gemini::PROVIDER,
    ollama::PROVIDER,
    openai_compatible::PROVIDER,
    azure::PROVIDER,
    cohere::PROVIDER,
    deepseek::PROVIDER,
    doubleword::PROVIDER,
    groq::PROVIDER,
    huggingface::PROVIDER,
    hyperbolic::PROVIDER,
    llamacpp::PROVIDER,
    minimax::PROVIDER,
    mira::PROVIDER,
    mistral::PROVIDER,
    moonshot::PROVIDER,
    openrouter::PROVIDER,
    perplexity::PROVIDER,
    together::PROVIDER,
    venice::PROVIDER,
    voyageai::PROVIDER,
    xai::PROVIDER,
    xiaomimimo::PROVIDER,
    zai::PROVIDER,
    scripted::PROVIDER,
];

/// Makes a model of an endpoint; connects to nothing.
type Constructor<T> = fn(&Endpoint) -> Result<Arc<T>>;

/// A row of the table: what a provider needs and how its models are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provider {
    /// What stands before the colon of a model's name.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) summary: &'static str,
    /// Environment variable of the key.
    pub(super) key_variable: Option<&'static str>,
    /// Whether nothing works without a key.
    pub(super) needs_key: bool,
    /// Where its API is.
    pub(super) place: Place,
    /// Names of the options it has beside an address and a key.
    pub(super) options: &'static [&'static str],
    /// How to start the server, where it is the user's own.
    pub(super) start: Option<&'static str>,
    /// How to ask the server which models it has, where it is the user's own.
    pub(super) listing: Option<Listing>,
    /// Makes a chat model, where there are any.
    pub(super) chat: Option<Constructor<dyn ChatModel>>,
    /// Makes an embedding model, where there are any.
    pub(super) embedding: Option<Constructor<dyn EmbeddingModel>>,
}

/// Where a provider's API is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// In this process.
    Here,
    /// At a known address, unless another one is given.
    Default {
        /// The known address.
        url: &'static str,
        /// Environment variable of another one.
        variable: &'static str,
    },
    /// At an address that must be given.
    Given {
        /// Environment variable of the address.
        variable: &'static str,
    },
}

/// Which models a server has, and where it says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Listing {
    /// `GET {base_url}/models`.
    OpenAi,
    /// `GET {base_url}/api/tags`.
    Ollama,
}

/// One model of a provider and how to reach it.
pub(super) struct Endpoint {
    /// Full name, `provider:model`.
    pub(super) name: String,
    /// Name of the model at the provider.
    pub(super) model: String,
    /// Address of the API.
    pub(super) base_url: String,
    /// Key of the API.
    pub(super) api_key: Option<String>,
    /// Options of this provider alone.
    pub(super) extra: Map,
    /// How to start the server, where it is the user's own.
    pub(super) start: Option<&'static str>,
    /// The way to the network.
    pub(super) http: Arc<GuardedClient>,
}

impl Endpoint {
    /// One of a few words, as the option `name`; the first of them when it is left out.
    pub(super) fn word<'a>(&self, name: &str, words: &[&'a str]) -> Result<&'a str> {
        let given = match self.extra.get(name) {
            None | Some(Value::Null) => return Ok(words.first().copied().unwrap_or_default()),
            Some(given) => given,
        };
        let text = given.as_str().unwrap_or_default();
        words.iter().copied().find(|it| *it == text).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|it| format!("`{it}`")).collect();
            let hint = nearest::hint(text, words.iter().copied(), known.join(" or "));
            Error::invalid_args(format!("`{name}` of `{}` is `{given}`", self.name)).with_hint(hint)
        })
    }

    /// A text, as the option `name`.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.extra.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let kind = other.type_name();
                let message = format!("`{name}` of `{}` is of type {kind}", self.name);
                Err(Error::invalid_args(message).with_hint("give a text"))
            }
        }
    }

    /// The option `params`: what is sent with each request as it is.
    pub(super) fn params(&self) -> Result<Option<Json>> {
        match self.extra.get("params") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Map(map)) if map.is_empty() => Ok(None),
            Some(params @ Value::Map(_)) => params.to_json().map(Some),
            Some(other) => {
                let kind = other.type_name();
                let message = format!("`params` of `{}` is of type {kind}", self.name);
                Err(Error::invalid_args(message)
                    .with_hint("give a table of what the provider takes, by its own names"))
            }
        }
    }
}

// By hand, so that no log ever shows the key.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
