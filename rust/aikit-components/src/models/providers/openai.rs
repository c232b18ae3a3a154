//! `openai`: the chat and embedding models of `OpenAI`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "openai",
    summary: "Models of OpenAI, over its chat completions API, or its responses API with `api`.",
    key_variable: Some("OPENAI_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.openai.com/v1",
        variable: "OPENAI_BASE_URL",
    },
    options: &["api", "params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::OPENAI)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::OPENAI)),
};
