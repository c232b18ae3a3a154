//! `mistral`: models of Mistral.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "mistral",
    summary: "Models of Mistral.",
    key_variable: Some("MISTRAL_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.mistral.ai",
        variable: "MISTRAL_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::MISTRAL)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::MISTRAL)),
};
