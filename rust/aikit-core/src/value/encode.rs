//! Any serialisable Rust value → [`Value`], without a detour through JSON.

use std::fmt::Display;

use bytes::Bytes;
use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Map, Value};
use crate::{Error, ErrorKind, Result};

impl Value {
    /// Turns any serialisable value into data.
    ///
    /// # Errors
    ///
    /// `internal` when a map's key is not a string or a number, or `T` refuses to be serialised.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        value
            .serialize(Encoder)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot encode: {error}")))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => serializer.collect_map(map),
        }
    }
}

struct Encoder;

type EncodeResult<T> = std::result::Result<T, EncodeError>;

#[derive(Debug)]
struct EncodeError(String);

impl Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EncodeError {}

impl ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

macro_rules! encode_as {
    ($($method:ident: $from:ty => $make:expr;)+) => {
        $(fn $method(self, value: $from) -> EncodeResult<Value> { Ok($make(value)) })+
    };
}

impl Serializer for Encoder {
    type Ok = Value;
    type Error = EncodeError;
    type SerializeSeq = ListEncoder;
    type SerializeTuple = ListEncoder;
    type SerializeTupleStruct = ListEncoder;
    type SerializeTupleVariant = ListEncoder;
    type SerializeMap = MapEncoder;
    type SerializeStruct = MapEncoder;
    type SerializeStructVariant = MapEncoder;

    encode_as! {
        serialize_bool: bool => Value::Bool;
        serialize_i8: i8 => |value| Value::Int(i64::from(value));
        serialize_i16: i16 => |value| Value::Int(i64::from(value));
        serialize_i32: i32 => |value| Value::Int(i64::from(value));
        serialize_i64: i64 => Value::Int;
        serialize_u8: u8 => |value| Value::Int(i64::from(value));
        serialize_u16: u16 => |value| Value::Int(i64::from(value));
        serialize_u32: u32 => |value| Value::Int(i64::from(value));
        serialize_u64: u64 => Value::from;
        serialize_f32: f32 => |value| Value::Float(f64::from(value));
        serialize_f64: f64 => Value::Float;
        serialize_char: char => |value: char| Value::String(value.to_string());
        serialize_str: &str => Value::from;
        serialize_bytes: &[u8] => |value| Value::Bytes(Bytes::copy_from_slice(value));
    }

    fn serialize_none(self) -> EncodeResult<Value> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> EncodeResult<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> EncodeResult<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> EncodeResult<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> EncodeResult<Value> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> EncodeResult<Value> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> EncodeResult<Value> {
        Ok(Value::map([(variant, value.serialize(Self)?)]))
    }

    fn serialize_seq(self, _: Option<usize>) -> EncodeResult<ListEncoder> {
        Ok(ListEncoder::default())
    }

    fn serialize_tuple(self, _: usize) -> EncodeResult<ListEncoder> {
        Ok(ListEncoder::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> EncodeResult<ListEncoder> {
        Ok(ListEncoder::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> EncodeResult<ListEncoder> {
        Ok(ListEncoder {
            variant: Some(variant),
            items: Vec::new(),
        })
    }

    fn serialize_map(self, _: Option<usize>) -> EncodeResult<MapEncoder> {
        Ok(MapEncoder::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> EncodeResult<MapEncoder> {
        Ok(MapEncoder::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> EncodeResult<MapEncoder> {
        Ok(MapEncoder {
            variant: Some(variant),
            ..MapEncoder::default()
        })
    }
}

fn wrap(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::map([(variant, value)]),
        None => value,
    }
}

#[derive(Default)]
struct ListEncoder {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

impl ListEncoder {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> EncodeResult<()> {
        self.items.push(value.serialize(Encoder)?);
        Ok(())
    }

    fn finish(self) -> Value {
        wrap(self.variant, Value::List(self.items))
    }
}

macro_rules! encode_list {
    ($($part:ident::$method:ident,)+) => {
        $(impl $part for ListEncoder {
            type Ok = Value;
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> EncodeResult<()> {
                self.push(value)
            }

            fn end(self) -> EncodeResult<Value> {
                Ok(self.finish())
            }
        })+
    };
}

encode_list! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

#[derive(Default)]
struct MapEncoder {
    variant: Option<&'static str>,
    key: String,
    map: Map,
}

impl SerializeMap for MapEncoder {
    type Ok = Value;
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> EncodeResult<()> {
        self.key = match key.serialize(Encoder)? {
            Value::String(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            other => {
                return Err(EncodeError(format!("a key of type {}", other.type_name())));
            }
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> EncodeResult<()> {
        self.map
            .insert(std::mem::take(&mut self.key), value.serialize(Encoder)?);
        Ok(())
    }

    fn end(self) -> EncodeResult<Value> {
        Ok(wrap(self.variant, Value::Map(self.map)))
    }
}

macro_rules! encode_struct {
    ($($part:ident,)+) => {
        $(impl $part for MapEncoder {
            type Ok = Value;
            type Error = EncodeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> EncodeResult<()> {
                self.map.insert(key.to_owned(), value.serialize(Encoder)?);
                Ok(())
            }

            fn end(self) -> EncodeResult<Value> {
                Ok(wrap(self.variant, Value::Map(self.map)))
            }
        })+
    };
}

encode_struct! { SerializeStruct, SerializeStructVariant, }
