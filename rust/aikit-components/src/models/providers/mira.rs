//! `mira`: models behind the gateway of Mira; without tools.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "mira",
    summary: "Models behind the gateway of Mira; without tools.",
    key_variable: Some("MIRA_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.mira.network",
        variable: "MIRA_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::MIRA)),
    embedding: None,
};
