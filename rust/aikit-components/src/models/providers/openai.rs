//! `openai`: the chat and embedding models of `OpenAI`.

use std::sync::Arc;

use aikit_core::{
    Result,
    model::{ChatModel, EmbeddingModel},
};
use rig_core::providers::openai::{OpenAIConfig, wire::Embeddings};

use super::{Endpoint, Place, Provider};
use crate::models::rig::{Link, RigChat, RigEmbedding};

pub(super) const PROVIDER: Provider = Provider {
    name: "openai",
    summary: "Models of OpenAI, over its chat completions API.",
    key_variable: Some("OPENAI_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.openai.com/v1",
        variable: "OPENAI_BASE_URL",
    },
    options: &[],
    chat,
    embedding: Some(embedding),
};

fn config(endpoint: &Endpoint) -> OpenAIConfig {
    OpenAIConfig::new(endpoint.api_key.clone().unwrap_or_default())
        .with_base_url(endpoint.base_url.as_str())
}

fn chat(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let wire = config(endpoint).chat(endpoint.model.as_str());
    Ok(Arc::new(RigChat::new(Link::new(endpoint)?, wire)))
}

fn embedding(endpoint: &Endpoint) -> Result<Arc<dyn EmbeddingModel>> {
    let wire = Embeddings::new(config(endpoint), endpoint.model.as_str(), None);
    Ok(Arc::new(RigEmbedding::new(Link::new(endpoint)?, wire)))
}
