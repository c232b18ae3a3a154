//! `voyageai`: the embedding models of Voyage AI.

use super::{Place, Provider};
use crate::models::rig::wires;

pub(super) const PROVIDER: Provider = Provider {
    name: "voyageai",
    summary: "Embedding models of Voyage AI; it has no chat.",
    key_variable: Some("VOYAGE_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.voyageai.com/v1",
        variable: "VOYAGE_BASE_URL",
    },
    options: &[],
    start: None,
    listing: None,
    chat: None,
    embedding: Some(wires::voyage_embedding),
};
