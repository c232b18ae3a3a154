//! `perplexity`: models of Perplexity that search the web; without tools.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "perplexity",
    summary: "Models of Perplexity that search the web; without tools.",
    key_variable: Some("PERPLEXITY_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.perplexity.ai",
        variable: "PERPLEXITY_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::PERPLEXITY)),
    embedding: None,
};
