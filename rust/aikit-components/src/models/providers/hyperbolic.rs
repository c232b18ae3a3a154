//! `hyperbolic`: open models served by Hyperbolic; without tools.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "hyperbolic",
    summary: "Open models served by Hyperbolic; without tools.",
    key_variable: Some("HYPERBOLIC_API_KEY"),
    needs_key: true,
    place: Place::Default {
        url: "https://api.hyperbolic.xyz",
        variable: "HYPERBOLIC_BASE_URL",
    },
    options: &["params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::HYPERBOLIC)),
    embedding: None,
};
