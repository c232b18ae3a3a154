//! `huggingface`: models behind the router of Hugging Face.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "huggingface",
    summary: "Models behind the router of Hugging Face.",
    key_variable: Some("HUGGINGFACE_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://router.huggingface.co",
        variable: "HUGGINGFACE_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::HUGGINGFACE)),
    embedding: None,
};
