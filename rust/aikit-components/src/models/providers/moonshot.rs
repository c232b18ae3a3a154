//! `moonshot`: models of Moonshot, such as Kimi.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "moonshot",
    summary: "Models of Moonshot, such as Kimi.",
    key_variable: Some("MOONSHOT_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.moonshot.ai/v1",
        variable: "MOONSHOT_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::MOONSHOT)),
    embedding: None,
};
