//! `venice`: models served by Venice.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "venice",
    summary: "Models served by Venice.",
    key_variable: Some("VENICE_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.venice.ai/api/v1",
        variable: "VENICE_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::VENICE)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::VENICE)),
};
