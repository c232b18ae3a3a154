//! `xiaomimimo`: models of Xiaomi `MiMo`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "xiaomimimo",
    summary: "Models of Xiaomi MiMo.",
    key_variable: Some("XIAOMI_MIMO_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.xiaomimimo.com/v1",
        variable: "XIAOMI_MIMO_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::XIAOMIMIMO)),
    embedding: None,
};
