//! `[shell]`: what `aikit repl` keeps.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// Lines that are kept when the setting names no number.
const HISTORY_LINES: usize = 10_000;

/// Settings of the shell.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ShellConfig {
    /// Where the lines typed in `aikit repl` are kept.
    #[serde(deserialize_with = "path_or_switch")]
    pub history: HistoryFile,
    /// How many lines are kept.
    pub history_lines: usize,
    /// Folder of the user's own state, from the environment.
    #[serde(skip)]
    pub state_folder: Option<PathBuf>,
}

/// Where typed lines are kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum HistoryFile {
    /// In the user's state folder.
    #[default]
    Standard,
    /// In this file.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl Default for ShellConfig {
    fn default() -> Self {
        Self {
            history: HistoryFile::Standard,
            history_lines: HISTORY_LINES,
            state_folder: None,
        }
    }
}

impl ShellConfig {
    pub(super) const KEYS: &[&str] = &["history", "history_lines"];

    /// The file that keeps the typed lines, if they are kept.
    pub fn history_file(&self) -> Option<PathBuf> {
        match &self.history {
            HistoryFile::Off => None,
            HistoryFile::At(path) => Some(path.clone()),
            HistoryFile::Standard => {
                let folder = self.state_folder.as_ref()?;
                Some(folder.join("aikit").join("repl_history"))
            }
        }
    }

    /// A relative path starts at `folder`, the working directory.
    pub(super) fn resolve_below(&mut self, folder: &Path) {
        if let HistoryFile::At(path) = &mut self.history {
            *path = folder.join(&*path);
        }
    }
}

fn path_or_switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HistoryFile, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a path, or `false` to keep nothing")]
    enum PathOrSwitch {
        Switch(bool),
        Path(PathBuf),
    }
    Ok(match PathOrSwitch::deserialize(deserializer)? {
        PathOrSwitch::Switch(true) => HistoryFile::Standard,
        PathOrSwitch::Switch(false) => HistoryFile::Off,
        PathOrSwitch::Path(path) => HistoryFile::At(path),
    })
}
