//! `openai-compatible`: any server with `OpenAI`'s chat completions API, such as llama.cpp or vLLM.

use super::{Listing, Place, Provider};
use crate::models::rig::dialect;

pub(super) const PROVIDER: Provider = Provider {
    name: "openai-compatible",
    summary: "Models of any server with OpenAI's API, such as llama.cpp, vLLM or LM Studio.",
    // Not `OPENAI_API_KEY`: that key must not go to whatever address is given.
    key_variable: Some("OPENAI_COMPATIBLE_API_KEY"),
    needs_key: false,
    place: Place::Given {
        variable: "OPENAI_COMPATIBLE_BASE_URL",
    },
    options: &["api", "params"],
    start: Some("start it, such as `llama-server -m MODEL.gguf` or `vllm serve MODEL`"),
    listing: Some(Listing::OpenAi),
    chat: Some(|endpoint| dialect::chat(endpoint, &dialect::COMPATIBLE)),
    embedding: Some(|endpoint| dialect::embedding(endpoint, &dialect::COMPATIBLE)),
};
