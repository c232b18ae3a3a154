//! What crosses Lua, Python, JSON and pipes; keeps bytes, NaN, and integer and float apart.

mod decode;
mod encode;
mod json;

use std::fmt;

use bytes::Bytes;
use indexmap::IndexMap;

/// Keys and values in the order they were written.
pub type Map = IndexMap<String, Value>;

/// A piece of data in no particular language.
///
/// Unlike JSON it has bytes, not-a-number and infinities, and tells `1` from `1.0`.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing: `nil`, `None`, `null`.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double, not-a-number and infinities included.
    Float(f64),
    /// Unicode text.
    String(String),
    /// Bytes that are not text; cheap to clone.
    Bytes(Bytes),
    /// An ordered list.
    List(Vec<Self>),
    /// Named values in the order they were written.
    Map(Map),
}

impl Value {
    /// Builds a map from pairs.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// Bytes of memory that it takes, about; those of texts, lists and maps included.
    pub fn footprint(&self) -> usize {
        let mut bytes = 0;
        let mut left = vec![self];
        while let Some(value) = left.pop() {
            bytes += size_of::<Self>();
            match value {
                Self::String(text) => bytes += text.len(),
                Self::Bytes(data) => bytes += data.len(),
                Self::List(items) => left.extend(items),
                Self::Map(map) => {
                    // The key, its hash and its place.
                    let key =
                        |key: &String| size_of::<String>() + key.len() + 2 * size_of::<usize>();
                    bytes += map.keys().map(key).sum::<usize>();
                    left.extend(map.values());
                }
                Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => {}
            }
        }
        bytes
    }

    /// Name of the type for error messages.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "number",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// Whether this is [`Value::Null`].
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The member `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer; a float without fraction counts as one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Float(value) => exact_integer(*value),
            _ => None,
        }
    }

    /// The number as a double; an integer beyond 2^53 loses its last digits.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "documented on this method")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members of a map.
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }
}

/// The integer a double stands for, when it stands for one exactly.
pub fn exact_integer(value: f64) -> Option<i64> {
    // 2^63 itself is a double, and one more than `i64::MAX`.
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (in_range && value.fract() == 0.0).then_some(value as i64)
}

/// Equal as data: NaN equals NaN, `1` differs from `1.0`, the order of keys does not count.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

/// As compact JSON, see [`Value::to_readable_json`].
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_readable_json())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

/// Counts and sizes; a number beyond 2^63 becomes a float.
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

/// A number beyond 2^63 becomes a float.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "documented on this impl")]
        i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(f64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Self::Bytes(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(value: Vec<T>) -> Self {
        Self::List(value.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::List(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Dot,
        Circle(f64),
        Box { width: u32, label: Option<String> },
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Record {
        shapes: Vec<Shape>,
        pair: (i64, bool),
        data: Bytes,
        missing: Option<i64>,
        count: usize,
    }

    #[test]
    fn a_record_survives_the_way_through_a_value() {
        let record = Record {
            shapes: vec![
                Shape::Dot,
                Shape::Circle(0.5),
                Shape::Box {
                    width: 3,
                    label: None,
                },
            ],
            pair: (i64::MIN, true),
            data: Bytes::from_static(b"\xff\x00"),
            missing: None,
            count: 7,
        };
        let value = Value::from_serialize(&record).unwrap();
        assert_eq!(
            value.get("data"),
            Some(&Value::Bytes(Bytes::from_static(b"\xff\x00")))
        );
        assert_eq!(value.get("missing"), Some(&Value::Null));
        assert_eq!(value.deserialize::<Record>().unwrap(), record);
    }

    #[test]
    fn json_keeps_bytes_nan_and_the_kind_of_numbers() {
        let value = Value::map([
            ("bytes", Value::Bytes(Bytes::from_static(b"\x00\xff"))),
            ("nan", Value::Float(f64::NAN)),
            ("negative", Value::Float(f64::NEG_INFINITY)),
            ("int", Value::Int(i64::MAX)),
            ("float", Value::Float(1.0)),
            (
                "escaped",
                Value::map([("$bytes", Value::from("not base64!"))]),
            ),
        ]);
        assert_eq!(Value::from_escaped_json(value.to_escaped_json()), value);
    }

    #[test]
    fn plain_json_says_nothing_but_itself() {
        for text in [
            r#"{"$bytes":"aGk="}"#,
            r#"{"$float":"nan"}"#,
            r#"[{"$value":{"$bytes":"aGk="}},1,1.0,null]"#,
        ] {
            let value = Value::from_json(serde_json::from_str(text).unwrap());
            assert_eq!(value.to_json().unwrap().to_string(), text);
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn what_plain_json_lacks_is_an_error_with_a_hint() {
        let cases = [
            (Value::Float(f64::NAN), "JSON has no number `NaN`"),
            (Value::Float(f64::NEG_INFINITY), "JSON has no number `-inf`"),
            (
                Value::Bytes(Bytes::from_static(b"\xff\x00")),
                "JSON has no bytes, but there are 2 of them",
            ),
        ];
        for (value, expected) in cases {
            let error = Value::map([("a", Value::List(vec![value]))])
                .to_json()
                .unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgs);
            assert_eq!(error.message(), expected);
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_mistyped_field_is_named() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its parsing is tested")]
        struct Wide {
            width: u32,
        }
        let value = Value::map([("width", Value::from("wide"))]);
        let error = value.deserialize::<Wide>().unwrap_err();
        assert!(error.message().contains("width"), "{error}");
        for no_record in [
            Value::Int(5),
            Value::from("x"),
            Value::List(vec![Value::Int(1)]),
        ] {
            let message = no_record.deserialize::<Wide>().unwrap_err().to_string();
            assert!(
                message.contains("mapping") && !message.contains("Wide"),
                "{message}"
            );
        }
    }

    #[test]
    fn integers_and_floats_are_told_apart() {
        assert_ne!(Value::Int(1), Value::Float(1.0));
        assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
        assert_eq!(Value::Float(3.0).as_i64(), Some(3));
        assert_eq!(Value::Float(9.3e18).as_i64(), None);
    }
}
