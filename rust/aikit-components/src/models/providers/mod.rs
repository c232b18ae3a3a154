//! Who serves models: one file a provider, and the table of them.

mod openai;
mod openai_compatible;
mod scripted;

use std::{fmt, sync::Arc};

use aikit_core::{
    Result,
    model::{ChatModel, EmbeddingModel},
    value::Map,
};

use crate::http::GuardedClient;

/// Every provider, in the order of the reference page.
pub(super) const PROVIDERS: &[Provider] = &[
    openai::PROVIDER,
    openai_compatible::PROVIDER,
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
    /// Makes a chat model.
    pub(super) chat: Constructor<dyn ChatModel>,
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
    /// The way to the network.
    pub(super) http: Arc<GuardedClient>,
}

// By hand, so that no log ever shows the key.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
