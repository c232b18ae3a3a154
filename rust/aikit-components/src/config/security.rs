//! `[security]`: who may touch what.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::security::policy::Profile;

/// Settings of the policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SecurityConfig {
    /// Who uses this process; the host decides when it is not set.
    pub profile: Option<Profile>,
    /// Folders that may be read beside the working directory.
    pub roots: Vec<PathBuf>,
    /// Hosts that may be reached although their addresses are private: `name`, `name:port`,
    /// an address or a network such as `10.0.0.0/8`.
    pub hosts: Vec<String>,
}

impl SecurityConfig {
    pub(super) const KEYS: &[&str] = &["hosts", "profile", "roots"];

    /// Relative folders start at `base`, the folder of the file they stand in.
    pub(super) fn resolve_below(&mut self, base: &Path) {
        for root in &mut self.roots {
            *root = base.join(&*root);
        }
    }
}
