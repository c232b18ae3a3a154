//! `azure`: deployments of Azure `OpenAI`.

use super::{Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "azure",
    summary: "Deployments of Azure OpenAI; `base_url` is the endpoint of the resource, the model the name of the deployment.",
    key_variable: Some("AZURE_API_KEY"),
    needs_key: true,
    place: Place::Given {
        variable: "AZURE_ENDPOINT",
    },
    options: &["api_version", "params"],
    start: None,
    listing: None,
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::AZURE)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::AZURE)),
};
