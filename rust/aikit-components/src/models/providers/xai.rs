//! `xai`: models of `xAI`, such as Grok.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "xai",
    summary: "Models of xAI, such as Grok.",
    key_variable: Some("XAI_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.x.ai",
        variable: "XAI_BASE_URL",
    },
    options: &["api", "params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::XAI)),
    embedding: None,
};
