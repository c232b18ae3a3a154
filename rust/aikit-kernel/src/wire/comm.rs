//! `comm_*` messages.

use aikit_core::{Error, Result, Value};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use super::Object;

/// A client asks which comms are open.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CommInfoRequest {
    /// Only comms of this target.
    #[serde(default)]
    pub target_name: Option<String>,
}

/// Which comms are open.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct CommInfoReply {
    /// Comm id → its target.
    pub comms: Object,
}

/// One side opens a comm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommOpen {
    /// Identity of the comm.
    pub comm_id: String,
    /// Who should answer on the other side.
    pub target_name: String,
    /// First data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
    /// Binary data behind it.
    #[serde(skip)]
    pub buffers: Vec<Bytes>,
}

/// One side says something on an open comm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommMsg {
    /// Identity of the comm.
    pub comm_id: String,
    /// The data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
    /// Binary data behind it.
    #[serde(skip)]
    pub buffers: Vec<Bytes>,
}

/// One side closes a comm, or refuses one that was just opened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommClose {
    /// Identity of the comm.
    pub comm_id: String,
    /// Last data.
    #[serde(default, deserialize_with = "object")]
    pub data: Object,
    /// Binary data behind it.
    #[serde(skip)]
    pub buffers: Vec<Bytes>,
}

/// Data that is no object is empty, so that its message is answered as one that says nothing and
/// not thrown away as one that cannot be read.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Object, D::Error> {
    let data = serde_json::Value::deserialize(deserializer)?;
    Ok(match data {
        serde_json::Value::Object(data) => data,
        _ => Object::new(),
    })
}

/// The data of a comm message for a table, and the buffers that travel behind it; nothing for any
/// other value. Bytes become buffers: `null` stands in their place, and `buffer_paths` says where
/// each belongs, as in the messages of Jupyter widgets. Numbers that JSON lacks are written as
/// escaped JSON.
pub fn data(value: &Value) -> (Object, Vec<Bytes>) {
    let (mut value, mut taken) = (value.clone(), Taken::default());
    taken.take_from(&mut value, &mut Vec::new());
    let serde_json::Value::Object(mut data) = value.to_readable_json() else {
        return (Object::new(), Vec::new());
    };
    if !taken.buffers.is_empty() {
        data.insert(BUFFER_PATHS.to_owned(), taken.paths.into());
    }
    (data, taken.buffers)
}

/// Where the data of a comm message says which of its values are buffers.
const BUFFER_PATHS: &str = "buffer_paths";

/// Bytes that were taken out of a value.
#[derive(Default)]
struct Taken {
    paths: Vec<serde_json::Value>,
    buffers: Vec<Bytes>,
}

impl Taken {
    fn take_from(&mut self, value: &mut Value, path: &mut Vec<serde_json::Value>) {
        match value {
            Value::Bytes(bytes) => {
                self.paths.push(path.clone().into());
                self.buffers.push(std::mem::take(bytes));
                *value = Value::Null;
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.into());
                    self.take_from(item, path);
                    path.pop();
                }
            }
            Value::Map(map) => {
                for (key, item) in map.iter_mut() {
                    path.push(key.as_str().into());
                    self.take_from(item, path);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// The table that the data of a comm message is, with its buffers where `buffer_paths` says.
///
/// # Errors
///
/// `invalid_args` when there are not as many paths as buffers, or one leads nowhere.
pub fn table(data: &Object, buffers: &[Bytes]) -> Result<Value> {
    let mut data = data.clone();
    let paths = data.remove(BUFFER_PATHS);
    let mut value = Value::from_json(serde_json::Value::Object(data));
    let paths = match paths {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(serde_json::Value::Array(paths)) => paths,
        Some(other) => return Err(wrong_paths(&format!("`{BUFFER_PATHS}` is `{other}`"))),
    };
    if paths.len() != buffers.len() {
        let counts = format!("{} paths and {} buffers came", paths.len(), buffers.len());
        return Err(wrong_paths(&counts));
    }
    for (path, buffer) in paths.iter().zip(buffers) {
        let place = path.as_array().and_then(|steps| find(&mut value, steps));
        let place = place.ok_or_else(|| wrong_paths(&format!("`{path}` leads nowhere")))?;
        *place = Value::Bytes(buffer.clone());
    }
    Ok(value)
}

/// Whether the data say where their buffers belong.
pub fn has_places(data: &Object) -> bool {
    data.get(BUFFER_PATHS).is_some_and(|paths| !paths.is_null())
}

/// Why buffers are refused that have no place, and could be given none.
pub fn no_places() -> Error {
    wrong_paths("no path leads to them, and the payload is no object without `buffers`")
}

/// The value at the end of a path. The last step may name a key that a map lacks: some clients
/// leave it out in place of `null`.
fn find<'a>(value: &'a mut Value, steps: &[serde_json::Value]) -> Option<&'a mut Value> {
    let (last, before) = steps.split_last()?;
    let mut place = value;
    for step in before {
        place = match (place, step) {
            (Value::Map(map), serde_json::Value::String(key)) => map.get_mut(key)?,
            (Value::List(items), step) => items.get_mut(index(step)?)?,
            _ => return None,
        };
    }
    match (place, last) {
        (Value::Map(map), serde_json::Value::String(key)) => {
            Some(map.entry(key.clone()).or_insert(Value::Null))
        }
        (Value::List(items), step) => items.get_mut(index(step)?),
        _ => None,
    }
}

fn index(step: &serde_json::Value) -> Option<usize> {
    step.as_u64()?.try_into().ok()
}

fn wrong_paths(reason: &str) -> Error {
    Error::invalid_args(format!("the buffers have no place in the data: {reason}")).with_hint(
        "give `buffer_paths` in the data: for each buffer the list of keys and indices, from 0, \
         that leads to its place",
    )
}

#[cfg(test)]
mod tests {
    use aikit_core::value::Map;

    use super::*;

    fn bytes(text: &'static str) -> Value {
        Value::Bytes(text.as_bytes().into())
    }

    #[test]
    fn bytes_travel_as_buffers_and_come_back_to_their_places() {
        let list = Value::List(vec![
            Value::from(true),
            bytes("b"),
            Value::map([("c", bytes("c"))]),
        ]);
        let value = Value::map([
            ("a", bytes("a")),
            ("list", list),
            ("text", Value::from("t")),
        ]);
        let (data, buffers) = data(&value);
        let expected = serde_json::json!({
            "a": null, "list": [true, null, {"c": null}], "text": "t",
            "buffer_paths": [["a"], ["list", 1], ["list", 2, "c"]],
        });
        assert_eq!(serde_json::Value::Object(data.clone()), expected);
        assert_eq!(buffers, ["a", "b", "c"]);
        assert_eq!(table(&data, &buffers).unwrap(), value);
    }

    #[test]
    fn data_without_bytes_names_no_paths() {
        let value = Value::map([("type", Value::from("x"))]);
        let (data, buffers) = data(&value);
        assert_eq!(data.len(), 1);
        assert_eq!(buffers.len(), 0);
        assert_eq!(self::data(&Value::from(true)).0.len(), 0);
    }

    #[test]
    fn buffers_without_a_place_are_refused() {
        let cases = [
            (serde_json::json!({}), 1, "0 paths and 1 buffers"),
            (
                serde_json::json!({"buffer_paths": [["a"]]}),
                0,
                "1 paths and 0 buffers",
            ),
            (serde_json::json!({"buffer_paths": 5}), 1, "`5`"),
            (serde_json::json!({"buffer_paths": [5]}), 1, "leads nowhere"),
            (
                serde_json::json!({"buffer_paths": [[]]}),
                1,
                "leads nowhere",
            ),
            (
                serde_json::json!({"l": [1], "buffer_paths": [["l", 1]]}),
                1,
                "leads nowhere",
            ),
            (
                serde_json::json!({"l": [1], "buffer_paths": [["l", -1]]}),
                1,
                "leads nowhere",
            ),
            (
                serde_json::json!({"t": "x", "buffer_paths": [["t", "y"]]}),
                1,
                "leads nowhere",
            ),
        ];
        for (data, count, reason) in cases {
            let data = data.as_object().unwrap();
            let buffers = vec![Bytes::from_static(b"x"); count];
            let error = table(data, &buffers).unwrap_err();
            assert!(error.message().contains(reason), "{data:?}: {error}");
        }
        let absent = serde_json::json!({"buffer_paths": [["new"]]});
        let table = table(absent.as_object().unwrap(), &[Bytes::from_static(b"x")]).unwrap();
        assert_eq!(
            table,
            Value::Map(Map::from_iter([("new".to_owned(), bytes("x"))]))
        );
    }
}
