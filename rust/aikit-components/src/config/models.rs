//! `[models]`: which models are used.

use serde::Deserialize;

/// Settings of models.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ModelsConfig {
    /// Model to take when a call names none, as `provider:model`.
    pub default: Option<String>,
}

impl ModelsConfig {
    pub(super) const KEYS: &[&str] = &["default"];
}
