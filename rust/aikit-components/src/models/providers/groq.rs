//! `groq`: open models served by Groq.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "groq",
    summary: "Open models served by Groq.",
    key_variable: Some("GROQ_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.groq.com/openai/v1",
        variable: "GROQ_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::GROQ)),
    embedding: None,
};
