//! `cohere`: the chat and embedding models of Cohere.

use super::{Place, Provider};
use crate::models::rig::wires;

pub(super) const PROVIDER: Provider = Provider {
    name: "cohere",
    summary: "Chat and embedding models of Cohere.",
    key_variable: Some("COHERE_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.cohere.ai",
        variable: "COHERE_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(wires::cohere),
    embedding: Some(wires::cohere_embedding),
};
