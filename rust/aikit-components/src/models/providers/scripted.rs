//! `scripted`: answers from a list, without a network.

use std::sync::Arc;

use aikit_core::{Result, Value, model::ChatModel};

use super::{Endpoint, Place, Provider};
use crate::models::scripted::ScriptedModel;

pub(super) const PROVIDER: Provider = Provider {
    name: "scripted",
    summary: "Answers and tool calls from the list `answers`, for tests and examples.",
    key_variable: None,
    needs_key: false,
    place: Place::Here,
    options: &["answers"],
    start: None,
    listing: None,
    chat: Some(chat),
    embedding: None,
};

fn chat(endpoint: &Endpoint) -> Result<Arc<dyn ChatModel>> {
    let answers = endpoint.extra.get("answers").unwrap_or(&Value::Null);
    Ok(Arc::new(ScriptedModel::new(
        endpoint.name.clone(),
        answers,
    )?))
}
