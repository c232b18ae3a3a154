//! `inspect_*` messages.

use serde::{Deserialize, Serialize};

use super::Object;

/// A client asks what stands at the cursor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct InspectRequest {
    /// Source text of the cell.
    pub code: String,
    /// Cursor in Unicode code points; the end of the code when absent.
    #[serde(default)]
    pub cursor_pos: Option<usize>,
    /// 0 for the signature and summary, 1 for everything.
    #[serde(default)]
    pub detail_level: u8,
}

/// What stands at the cursor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct InspectReply {
    /// Whether there is something to say.
    pub found: bool,
    /// MIME type → value.
    pub data: Object,
    /// Per MIME type.
    pub metadata: Object,
}
