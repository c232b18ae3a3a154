//! `[events]`: which events are kept beyond the process, and how many.

use serde::Deserialize;

use super::security::one_or_many;

/// Settings of the log of events.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct EventsConfig {
    /// Patterns of the events that are kept in the store of the project; none when empty.
    #[serde(deserialize_with = "one_or_many")]
    pub persist: Vec<String>,
    /// Most events that are kept, at least 1; the oldest are forgotten.
    pub retention: u64,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            persist: Vec::new(),
            retention: 100_000,
        }
    }
}

impl EventsConfig {
    pub(super) const KEYS: &[&str] = &["persist", "retention"];
}
