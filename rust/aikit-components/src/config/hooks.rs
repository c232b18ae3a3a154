//! `[hooks]`: which built-in hooks are switched on, and their options.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value as Toml;

/// Built-in hooks by name: `true`, `false`, or a table of options.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct HooksConfig(pub BTreeMap<String, Toml>);

impl HooksConfig {
    /// The names of the built-in hooks, sorted.
    pub(crate) const KEYS: &[&str] = &[
        "approval",
        "cache",
        "cost_limit",
        "logging",
        "metrics",
        "rate_limit",
        "retry",
    ];
}
