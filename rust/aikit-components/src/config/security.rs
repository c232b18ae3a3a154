//! `[security]`: who may touch what.

use std::path::{Path, PathBuf};

use aikit_core::Result;
use serde::{Deserialize, Deserializer};

use crate::security::{home, policy::Profile};

/// Settings of the policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SecurityConfig {
    /// Who uses this process; the host decides when it is not set.
    pub profile: Option<Profile>,
    /// Folders that may be read beside the working directory.
    #[serde(deserialize_with = "one_or_many")]
    pub roots: Vec<PathBuf>,
    /// Folders that may be written, and read, beside the working directory.
    #[serde(deserialize_with = "one_or_many")]
    pub write_roots: Vec<PathBuf>,
    /// Hosts that may be reached although their addresses are private: `name`, `name:port`,
    /// an address or a network such as `10.0.0.0/8`.
    #[serde(deserialize_with = "one_or_many")]
    pub hosts: Vec<String>,
}

impl SecurityConfig {
    pub(super) const KEYS: &[&str] = &["hosts", "profile", "roots", "write_roots"];

    /// Keys that allow more than without them.
    pub(super) const WIDENING: &[&str] = &["hosts", "roots", "write_roots"];

    /// Relative folders start at `base`, the folder of the file they stand in; `~` is `home`.
    ///
    /// # Errors
    ///
    /// `not_found` for a folder below `~` without a home folder.
    pub(super) fn resolve_below(&mut self, base: &Path, home: Option<&Path>) -> Result<()> {
        for root in self.roots.iter_mut().chain(&mut self.write_roots) {
            *root = base.join(home::expand(home, &root.to_string_lossy())?);
        }
        Ok(())
    }
}

/// A list, or one text with commas between its items, as it is written in the environment.
pub(super) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts, or one text")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            items.map(|item| T::from(item.to_owned())).collect()
        }
        OneOrMany::Many(items) => items.into_iter().map(T::from).collect(),
    })
}
