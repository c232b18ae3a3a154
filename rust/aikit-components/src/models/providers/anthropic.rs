//! `anthropic`: the models of Anthropic, such as Claude.

use super::{Place, Provider};
use crate::models::rig::wires;

pub(super) const PROVIDER: Provider = Provider {
    name: "anthropic",
    summary: "Models of Anthropic, such as Claude, over its messages API.",
    key_variable: Some("ANTHROPIC_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.anthropic.com",
        variable: "ANTHROPIC_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(wires::anthropic),
    embedding: None,
};
