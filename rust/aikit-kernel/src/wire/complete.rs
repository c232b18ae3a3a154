//! `complete_*` messages.

use serde::{Deserialize, Serialize};

use super::Object;

/// A client asks what could stand at the cursor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CompleteRequest {
    /// Source text of the cell.
    pub code: String,
    /// Cursor in Unicode code points; the end of the code when absent.
    #[serde(default)]
    pub cursor_pos: Option<usize>,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct CompleteReply {
    /// Texts to choose from.
    pub matches: Vec<String>,
    /// Start of the text to replace, in Unicode code points.
    pub cursor_start: usize,
    /// End of the text to replace, in Unicode code points.
    pub cursor_end: usize,
    /// Kinds of the matches, under the key `JupyterLab` reads.
    pub metadata: CompleteMetadata,
}

/// Metadata of a [`CompleteReply`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CompleteMetadata {
    /// One entry a match.
    #[serde(rename = "_jupyter_types_experimental", default)]
    pub types: Vec<TypedMatch>,
    /// Fields of others.
    #[serde(flatten)]
    pub other: Object,
}

/// A match with its kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TypedMatch {
    /// Start of the text to replace, in Unicode code points.
    pub start: usize,
    /// End of the text to replace, in Unicode code points.
    pub end: usize,
    /// Text to insert.
    pub text: String,
    /// Kind of thing: `function`, `field`, `keyword` and the like.
    #[serde(rename = "type")]
    pub kind: String,
}
