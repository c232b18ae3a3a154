//! `openai-compatible`: any server with `OpenAI`'s chat completions API, such as llama.cpp or vLLM.

use std::sync::Arc;

use aikit_core::{
    Result,
    model::{ChatModel, EmbeddingModel},
};
use rig_core::providers::openai::{
    OpenAIConfig,
    wire::{Auth, Dialect, Embeddings, Quirks},
};

use super::{Endpoint, Place, Provider};
use crate::models::rig::{Link, RigChat, RigEmbedding};

pub(super) const PROVIDER: Provider = Provider {
    name: "openai-compatible",
    summary: "Models of any server with OpenAI's API, such as llama.cpp, vLLM or LM Studio.",
    // Not `OPENAI_API_KEY`: that key must not go to whatever address is given.
    key_variable: Some("OPENAI_COMPATIBLE_API_KEY"),
    needs_key: false,
    place: Place::Given {
        variable: "OPENAI_COMPATIBLE_BASE_URL",
    },
    options: &[],
    chat,
    embedding: Some(embedding),
};

fn config(endpoint: &Endpoint) -> OpenAIConfig {
    // Some servers send no finish reason and no usage of embeddings.
    let mut quirks = Quirks::openai().done_without_finish_reason();
    quirks.embedding.requires_usage = false;
    let dialect = Dialect::gateway(PROVIDER.name, "", "").with_quirks(quirks);
    OpenAIConfig::with_key(&dialect, endpoint.api_key.clone().unwrap_or_default())
        .with_auth(Auth::OptionalBearer)
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
