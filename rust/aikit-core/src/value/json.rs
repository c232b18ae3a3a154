//! Value ↔ JSON: what JSON lacks is written as an object with one `$` key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map as JsonMap, Number, Value as Json, json};

use super::{Map, Value};

const BYTES_KEY: &str = "$bytes";
const FLOAT_KEY: &str = "$float";
const ESCAPE_KEY: &str = "$value";

impl Value {
    /// As JSON. Bytes become `{"$bytes": base64}`, NaN and infinities `{"$float": "nan"}`; a map
    /// that already looks like one of these is wrapped as `{"$value": map}`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => float_to_json(*value),
            Self::String(text) => Json::String(text.clone()),
            Self::Bytes(bytes) => json!({ BYTES_KEY: STANDARD.encode(bytes) }),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => map_to_json(map),
        }
    }

    /// Reads JSON, the objects written by [`Value::to_json`] included.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => number_from_json(&number),
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(object) => object_from_json(object),
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        Self::from_json(json)
    }
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
        .map(|(key, value)| (key.clone(), value.to_json()))
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

fn object_from_json(object: JsonMap<String, Json>) -> Value {
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
            return members(inner.clone());
        }
    }
    members(object)
}

fn members(object: JsonMap<String, Json>) -> Value {
    Value::Map(
        object
            .into_iter()
            .map(|(key, value)| (key, Value::from_json(value)))
            .collect(),
    )
}
