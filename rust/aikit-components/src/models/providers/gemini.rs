//! `gemini`: the models of Google's Gemini API.

use super::{Place, Provider};
use crate::models::rig::wires;

pub(super) const PROVIDER: Provider = Provider {
    name: "gemini",
    summary: "Models of Google's Gemini API.",
    key_variable: Some("GEMINI_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://generativelanguage.googleapis.com",
        variable: "GEMINI_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(wires::gemini),
    embedding: Some(wires::gemini_embedding),
};
