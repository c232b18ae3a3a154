//! `openrouter`: models of many providers behind `OpenRouter`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "openrouter",
    summary: "Models of many providers behind OpenRouter.",
    key_variable: Some("OPENROUTER_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://openrouter.ai/api/v1",
        variable: "OPENROUTER_BASE_URL",
    },
    options: &["api", "params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::OPENROUTER)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::OPENROUTER)),
};
