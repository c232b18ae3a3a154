//! `together`: open models served by Together AI.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "together",
    summary: "Open models served by Together AI.",
    key_variable: Some("TOGETHER_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.together.xyz",
        variable: "TOGETHER_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::TOGETHER)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::TOGETHER)),
};
