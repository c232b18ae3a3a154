//! `zai`: models of Z.AI, such as GLM.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "zai",
    summary: "Models of Z.AI, such as GLM.",
    key_variable: Some("ZAI_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.z.ai/api/paas/v4",
        variable: "ZAI_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::ZAI)),
    embedding: None,
};
