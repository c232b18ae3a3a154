//! Value ↔ JSON, in two forms. Plain JSON is that of others and lacks bytes, NaN and infinities;
//! escaped JSON is our own and writes them as an object with one `$` key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map as JsonMap, Number, Value as Json, json};

use super::{Map, Value};
use crate::{Error, Result};

const BYTES_KEY: &str = "$bytes";
const FLOAT_KEY: &str = "$float";
const ESCAPE_KEY: &str = "$value";

impl Value {
    /// As plain JSON, for whoever knows nothing of ours; a key such as `$bytes` is a key.
    ///
    /// # Errors
    ///
    /// `invalid_args` for bytes, NaN and infinities, which JSON does not have.
    pub fn to_json(&self) -> Result<Json> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Number::from_f64(*value).map(Json::Number).ok_or_else(|| {
                Error::invalid_args(format!("JSON has no number `{value}`"))
                    .with_hint("leave it out, or write a text or null instead")
            })?,
            Self::String(text) => Json::String(text.clone()),
            Self::Bytes(bytes) => {
                let message = format!("JSON has no bytes, but there are {} of them", bytes.len());
                return Err(Error::invalid_args(message)
                    .with_hint("write them as a text, such as base64 or UTF-8"));
            }
            Self::List(items) => {
                Json::Array(items.iter().map(Self::to_json).collect::<Result<_>>()?)
            }
            Self::Map(map) => {
                let members = map.iter();
                let members = members.map(|(key, value)| Ok((key.clone(), value.to_json()?)));
                Json::Object(members.collect::<Result<_>>()?)
            }
        })
    }

    /// Reads plain JSON: whatever its keys are, it says nothing but itself.
    pub fn from_json(json: Json) -> Self {
        read(json, &members)
    }

    /// As escaped JSON. Bytes become `{"$bytes": base64}`, NaN and infinities `{"$float": "nan"}`;
    /// a map that already looks like one of these is wrapped as `{"$value": map}`.
    pub fn to_escaped_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => float_to_json(*value),
            Self::String(text) => Json::String(text.clone()),
            Self::Bytes(bytes) => json!({ BYTES_KEY: STANDARD.encode(bytes) }),
            Self::List(items) => Json::Array(items.iter().map(Self::to_escaped_json).collect()),
            Self::Map(map) => map_to_json(map),
        }
    }

    /// Reads what [`Value::to_escaped_json`] wrote.
    pub fn from_escaped_json(json: Json) -> Self {
        read(json, &unescaped)
    }

    /// As plain JSON; with what that lacks, as escaped JSON. For readers that must get something:
    /// people and models.
    pub fn to_readable_json(&self) -> Json {
        self.to_json().unwrap_or_else(|_| self.to_escaped_json())
    }
}

/// Reads objects.
type ReadObject = dyn Fn(JsonMap<String, Json>) -> Value;

fn read(json: Json, object: &ReadObject) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => number_from_json(&number),
        Json::String(text) => Value::String(text),
        Json::Array(items) => items.into_iter().map(|item| read(item, object)).collect(),
        Json::Object(members) => object(members),
    }
}

fn members(object: JsonMap<String, Json>) -> Value {
    let members = object.into_iter();
    Value::Map(
        members
            .map(|(key, value)| (key, Value::from_json(value)))
            .collect(),
    )
}

fn float_to_json(value: f64) -> Json {
    Number::from_f64(value).map_or_else(
        || {
            let name = if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            };
            json!({ FLOAT_KEY: name })
        },
        Json::Number,
    )
}

fn map_to_json(map: &Map) -> Json {
    let object: JsonMap<String, Json> = map
        .iter()
        .map(|(key, value)| (key.clone(), value.to_escaped_json()))
        .collect();
    let is_special = [BYTES_KEY, FLOAT_KEY, ESCAPE_KEY]
        .iter()
        .any(|key| map.contains_key(*key));
    if map.len() == 1 && is_special {
        json!({ ESCAPE_KEY: object })
    } else {
        Json::Object(object)
    }
}

fn number_from_json(number: &Number) -> Value {
    number.as_i64().map_or_else(
        || Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Value::Int,
    )
}

fn unescaped(object: JsonMap<String, Json>) -> Value {
    if object.len() == 1 {
        if let Some(bytes) = object.get(BYTES_KEY).and_then(Json::as_str)
            && let Ok(bytes) = STANDARD.decode(bytes)
        {
            return Value::Bytes(bytes.into());
        }
        match object.get(FLOAT_KEY).and_then(Json::as_str) {
            Some("nan") => return Value::Float(f64::NAN),
            Some("inf") => return Value::Float(f64::INFINITY),
            Some("-inf") => return Value::Float(f64::NEG_INFINITY),
            _ => {}
        }
        if let Some(Json::Object(inner)) = object.get(ESCAPE_KEY) {
            return unescaped_members(inner.clone());
        }
    }
    unescaped_members(object)
}

fn unescaped_members(object: JsonMap<String, Json>) -> Value {
    let members = object.into_iter();
    Value::Map(
        members
            .map(|(key, value)| (key, Value::from_escaped_json(value)))
            .collect(),
    )
}
