//! What a cell shows: streams, results, display data.

use aikit_core::{Value, value::Map};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::Object;

/// Text printed by a cell.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stream {
    /// `stdout` or `stderr`.
    pub name: String,
    /// What was printed, several prints joined.
    pub text: String,
}

/// The value of a cell's last expression.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExecuteResult {
    /// Number in `Out [n]`.
    pub execution_count: u32,
    /// MIME type → value.
    pub data: Object,
    /// Per MIME type.
    pub metadata: Object,
}

/// Something a cell displays.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DisplayData {
    /// MIME type → value.
    pub data: Object,
    /// Per MIME type.
    pub metadata: Object,
    /// Not stored in the notebook: `display_id`.
    #[serde(default)]
    pub transient: Object,
}

/// Replaces what an earlier [`DisplayData`] of the same `display_id` shows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UpdateDisplayData(pub DisplayData);

/// Empties the output of a cell.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClearOutput {
    /// Whether to wait for the next output, so that nothing flickers.
    pub wait: bool,
}

/// A MIME bundle as JSON; bytes become base64, as Jupyter wants images.
pub fn bundle(map: &Map) -> Object {
    map.iter()
        .map(|(mime, value)| {
            let json = match value {
                Value::Bytes(bytes) => serde_json::Value::String(STANDARD.encode(bytes)),
                other => other.to_readable_json(),
            };
            (mime.clone(), json)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_bundle_are_base64() {
        let map = Map::from_iter([
            ("text/plain".to_owned(), Value::from("x")),
            ("image/png".to_owned(), Value::Bytes(vec![1, 2, 3].into())),
        ]);
        let expected = r#"{"text/plain":"x","image/png":"AQID"}"#;
        let expected: Object = serde_json::from_str(expected).unwrap();
        assert_eq!(bundle(&map), expected);
    }
}
