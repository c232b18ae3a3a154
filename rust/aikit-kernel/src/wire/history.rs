//! `history_*` messages.

use serde::{Deserialize, Serialize};

/// A client asks for earlier cells.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct HistoryRequest {
    /// Which cells.
    pub hist_access_type: HistoryAccess,
    /// Whether to add what each cell answered.
    #[serde(default)]
    pub output: bool,
    /// Session of a range; 0 is this one, -1 the one before it.
    #[serde(default)]
    pub session: i64,
    /// First cell of a range.
    #[serde(default)]
    pub start: Option<i64>,
    /// The cell after the last one of a range.
    #[serde(default)]
    pub stop: Option<i64>,
    /// At most so many, the newest; for tail and search.
    #[serde(default)]
    pub n: Option<usize>,
    /// Pattern of a search with `*` and `?`.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Whether a search leaves out repetitions.
    #[serde(default)]
    pub unique: bool,
}

/// How a [`HistoryRequest`] chooses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryAccess {
    /// By session and number.
    Range,
    /// The newest.
    #[default]
    Tail,
    /// By pattern.
    Search,
}

/// Earlier cells, oldest first.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct HistoryReply {
    /// Session, number, and the source alone or with what it answered.
    pub history: Vec<(u32, u32, HistoryText)>,
}

/// Text of one cell in a [`HistoryReply`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HistoryText {
    /// Its source.
    Input(String),
    /// Its source and the plain text of its result.
    InputOutput(String, Option<String>),
}
