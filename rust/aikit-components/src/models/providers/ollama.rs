//! `ollama`: the models of an Ollama daemon, on this machine unless another address is given.

use super::{Listing, Place, Provider};
use crate::models::rig::wires;

pub(super) const PROVIDER: Provider = Provider {
    name: "ollama",
    summary: "Models of an Ollama daemon, over its own API.",
    key_variable: Some("OLLAMA_API_KEY"),
    needs_key: false,
    place: Place::Default {
        url: "http://127.0.0.1:11434",
        variable: "OLLAMA_BASE_URL",
    },
    options: &["params"],
    start: Some("start it with `ollama serve`, and get a model with `ollama pull NAME`"),
    listing: Some(Listing::Ollama),
    chat: Some(wires::ollama),
    embedding: Some(wires::ollama_embedding),
};
