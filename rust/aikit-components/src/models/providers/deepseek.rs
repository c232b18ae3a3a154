//! `deepseek`: models of `DeepSeek`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "deepseek",
    summary: "Models of DeepSeek.",
    key_variable: Some("DEEPSEEK_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.deepseek.com",
        variable: "DEEPSEEK_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::DEEPSEEK)),
    embedding: None,
};
