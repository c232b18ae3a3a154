//! `minimax`: models of `MiniMax`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "minimax",
    summary: "Models of MiniMax.",
    key_variable: Some("MINIMAX_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.minimax.io/v1",
        variable: "MINIMAX_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::MINIMAX)),
    embedding: None,
};
