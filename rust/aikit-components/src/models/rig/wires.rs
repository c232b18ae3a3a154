//! Providers with wires of their own.

use std::sync::Arc;

use aikit_core::{
    Result,
    model::{ChatModel, EmbeddingModel},
};
use rig_core::providers::{
    anthropic::{AnthropicConfig, wire::Messages},
    cohere::{self, CohereConfig},
    gemini::{self, GeminiConfig, completion::GenerateContent},
    ollama::{self, OllamaConfig},
    voyageai::{self, VoyageAiConfig},
};

use super::{Link, RigChat, RigEmbedding};
use crate::models::providers::Endpoint;

/// Longest answer of a model of Anthropic that rig does not know: its API wants a number.
const ANTHROPIC_TOKENS: u64 = 4096;

/// Most texts of one request for embeddings, where it is not what others take.
const COHERE_BATCH: usize = 96;
const GEMINI_BATCH: usize = 100;
const VOYAGE_BATCH: usize = 128;

/// A model behind Anthropic's messages API.
pub(in crate::models) fn anthropic(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let config = AnthropicConfig::new(key(endpoint)).with_base_url(&endpoint.base_url);
    let tokens = config.dialect.default_max_tokens(&endpoint.model);
    let wire = Messages {
        default_max_tokens: tokens.or(Some(ANTHROPIC_TOKENS)),
        tool_input_streaming: config.dialect.quirks.tool_input_streaming,
        provider: config,
        model: endpoint.model.clone(),
        prompt_caching: false,
        static_prefix_cache_ttl: None,
        strict_tools: false,
    };
    let link = Link::new(endpoint)?;
    Ok(Arc::new(RigChat::new(link, wire, endpoint.params()?)))
}

/// A model behind Gemini's API.
pub(in crate::models) fn gemini(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let wire = GenerateContent::new(gemini_config(endpoint), endpoint.model.as_str());
    let link = gemini_link(endpoint)?;
    Ok(Arc::new(RigChat::new(link, wire, endpoint.params()?)))
}

/// An embedding model behind Gemini's API.
pub(in crate::models) fn gemini_embedding(endpoint: &Endpoint) -> Result<Arc<dyn EmbeddingModel>> {
    let config = gemini_config(endpoint);
    let wire = gemini::embedding::Embeddings::new(config, endpoint.model.as_str(), None);
    let link = gemini_link(endpoint)?;
    Ok(Arc::new(
        RigEmbedding::new(link, wire).with_batch(GEMINI_BATCH),
    ))
}

/// Without the key: rig would write it into the address, which is logged and shown. The link sends
/// it as a header.
fn gemini_config(endpoint: &Endpoint) -> GeminiConfig {
    let root = endpoint.base_url.trim_end_matches('/');
    let root = root.strip_suffix("/v1beta").unwrap_or(root);
    GeminiConfig::new("").with_base_url(root)
}

fn gemini_link(endpoint: &Endpoint) -> Result<Link> {
    Ok(Link::new(endpoint)?.with_key_header("x-goog-api-key"))
}

/// A model of an Ollama daemon.
pub(in crate::models) fn ollama(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let wire = ollama::Chat::new(ollama_config(endpoint), endpoint.model.as_str());
    let link = Link::new(endpoint)?;
    Ok(Arc::new(RigChat::new(link, wire, endpoint.params()?)))
}

/// An embedding model of an Ollama daemon.
pub(in crate::models) fn ollama_embedding(endpoint: &Endpoint) -> Result<Arc<dyn EmbeddingModel>> {
    let wire = ollama::Embeddings {
        provider: ollama_config(endpoint),
        model: endpoint.model.clone(),
        ndims: 0,
    };
    Ok(Arc::new(RigEmbedding::new(Link::new(endpoint)?, wire)))
}

/// The address may be given as that of the API that is compatible with `OpenAI`.
fn ollama_config(endpoint: &Endpoint) -> OllamaConfig {
    let root = endpoint.base_url.trim_end_matches('/');
    let root = root.strip_suffix("/v1").unwrap_or(root);
    OllamaConfig::new()
        .with_base_url(root)
        .with_api_key(key(endpoint))
}

/// A chat model of Cohere.
pub(in crate::models) fn cohere(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let wire = cohere_config(endpoint).completion(endpoint.model.as_str());
    let link = Link::new(endpoint)?;
    Ok(Arc::new(RigChat::new(link, wire, endpoint.params()?)))
}

/// An embedding model of Cohere.
pub(in crate::models) fn cohere_embedding(endpoint: &Endpoint) -> Result<Arc<dyn EmbeddingModel>> {
    let wire = cohere::Embeddings {
        provider: cohere_config(endpoint),
        model: endpoint.model.clone(),
        ndims: 0,
        input_type: "search_document".to_owned(),
    };
    let link = Link::new(endpoint)?;
    Ok(Arc::new(
        RigEmbedding::new(link, wire).with_batch(COHERE_BATCH),
    ))
}

fn cohere_config(endpoint: &Endpoint) -> CohereConfig {
    CohereConfig::new(key(endpoint)).with_base_url(&endpoint.base_url)
}

/// An embedding model of Voyage AI.
pub(in crate::models) fn voyage_embedding(endpoint: &Endpoint) -> Result<Arc<dyn EmbeddingModel>> {
    let wire = voyageai::Embeddings {
        provider: VoyageAiConfig::new(key(endpoint)).with_base_url(&endpoint.base_url),
        model: endpoint.model.clone(),
        ndims: 0,
        input_type: None,
        truncation: None,
        output_dimension: None,
    };
    let link = Link::new(endpoint)?;
    Ok(Arc::new(
        RigEmbedding::new(link, wire).with_batch(VOYAGE_BATCH),
    ))
}

fn key(endpoint: &Endpoint) -> String {
    endpoint.api_key.clone().unwrap_or_default()
}
