//! Providers that speak a dialect of `OpenAI`'s wires.

use std::sync::Arc;

use aikit_core::{
    Result,
    model::{ChatModel, EmbeddingModel},
};
use rig_core::providers::openai::{
    OpenAIConfig, Route,
    wire::{Auth, Dialect, Embeddings, OpenAiWire, Quirks},
};
pub(in crate::models) use rig_core::providers::{
    openai::wire::{
        AZURE, DEEPSEEK, DOUBLEWORD, GROQ, HUGGINGFACE, HYPERBOLIC, LLAMACPP, MINIMAX, MIRA,
        MISTRAL, MOONSHOT, OPENAI, OPENROUTER, PERPLEXITY, TOGETHER, VENICE, XIAOMIMIMO, ZAI,
    },
    xai::DIALECT as XAI,
};

use super::{Link, RigChat, RigEmbedding};
use crate::models::providers::Endpoint;

/// Any server with these wires. Some send no finish reason and no usage of embeddings.
pub(in crate::models) const COMPATIBLE: Dialect = {
    let mut quirks = Quirks::openai().done_without_finish_reason();
    quirks.auth = Auth::OptionalBearer;
    quirks.embedding.requires_usage = false;
    Dialect::gateway("openai-compatible", "", "").with_quirks(quirks)
};

/// A chat model, over chat completions or, with the option `api`, over responses.
pub(in crate::models) fn chat(
    endpoint: &Endpoint,
    dialect: &Dialect,
) -> Result<Arc<dyn ChatModel>> {
    let route = match endpoint.word("api", &["chat", "responses"])? {
        "responses" => Route::Responses,
        _ => Route::Chat,
    };
    let config = config(endpoint, dialect)?.with_route(route);
    let wire = OpenAiWire::new(config, endpoint.model.as_str());
    let link = Link::new(endpoint)?;
    Ok(Arc::new(RigChat::new(link, wire, endpoint.params()?)))
}

/// An embedding model.
pub(in crate::models) fn embedding(
    endpoint: &Endpoint,
    dialect: &Dialect,
) -> Result<Arc<dyn EmbeddingModel>> {
    let wire = Embeddings::new(config(endpoint, dialect)?, endpoint.model.as_str(), None);
    Ok(Arc::new(RigEmbedding::new(Link::new(endpoint)?, wire)))
}

fn config(endpoint: &Endpoint, dialect: &Dialect) -> Result<OpenAIConfig> {
    let key = endpoint.api_key.clone().unwrap_or_default();
    let mut root = endpoint.base_url.trim_end_matches('/');
    // Where the paths carry the version themselves, an address may still be given with it.
    if dialect.quirks.completion_path.starts_with("/v1/") {
        root = root.strip_suffix("/v1").unwrap_or(root);
    }
    let config = OpenAIConfig::with_key(dialect, key).with_base_url(root);
    Ok(match endpoint.text("api_version")? {
        Some(version) => config.with_api_version(version),
        None => config,
    })
}
