//! `[kernel]`: what the Jupyter kernel keeps.

use serde::Deserialize;

/// Settings of the kernel.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct KernelConfig {
    /// Whether the cells are kept for the history of later sessions.
    pub history: bool,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self { history: true }
    }
}

impl KernelConfig {
    pub(super) const KEYS: &[&str] = &["history"];
}
