//! `llamacpp`: the model of a local `llama-server` of llama.cpp.

use super::{Listing, Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "llamacpp",
    summary: "The model of a local `llama-server` of llama.cpp.",
    key_variable: Some("LLAMACPP_API_KEY"),
    needs_key: false,
    place: Place::Default {
        url: "http://127.0.0.1:8080/v1",
        variable: "LLAMACPP_BASE_URL",
    },
    options: &["params"],
    start: Some("start it with `llama-server -m MODEL.gguf`"),
    listing: Some(Listing::OpenAi),
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::LLAMACPP)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::LLAMACPP)),
};
