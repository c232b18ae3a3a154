//! `[models]`: which models are used, and the keys of their providers.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// Settings of models.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ModelsConfig {
    /// Model to take when a call names none, as `provider:model`.
    pub default: Option<String>,
    /// Keys by the name of the provider; its environment variable goes before.
    pub keys: BTreeMap<String, String>,
}

// By hand: keys are secrets.
impl fmt::Debug for ModelsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelsConfig")
            .field("default", &self.default)
            .field("keys", &self.keys.keys())
            .finish()
    }
}

impl ModelsConfig {
    pub(super) const KEYS: &[&str] = &["default", "keys"];
}
