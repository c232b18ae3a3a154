//! `doubleword`: open models served by Doubleword.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "doubleword",
    summary: "Open models served by Doubleword.",
    key_variable: Some("DOUBLEWORD_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.doubleword.ai/v1",
        variable: "DOUBLEWORD_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::DOUBLEWORD)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::DOUBLEWORD)),
};
