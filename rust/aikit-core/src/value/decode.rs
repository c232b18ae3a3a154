//! [`Value`] → any deserialisable Rust value, without a detour through JSON.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess,
        SeqAccess, VariantAccess, Visitor, value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{Map, Value, exact_integer};
use crate::{Error, Result};

impl Value {
    /// Reads a typed value; the message names the field that does not fit.
    ///
    /// # Errors
    ///
    /// `invalid_args` when the data does not fit `T`.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T> {
        T::deserialize(self).map_err(|error| Error::invalid_args(error.0))
    }
}

/// A message that grows the path of the field on its way up.
#[derive(Debug)]
pub struct DecodeError(String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type DecodeResult<T> = std::result::Result<T, DecodeError>;

impl IntoDeserializer<'_, DecodeError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Int(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::String(text) => visitor.visit_string(text),
            Self::Bytes(bytes) => visitor.visit_byte_buf(bytes.to_vec()),
            Self::List(items) => visit_list(items, visitor),
            Self::Map(map) => visit_map(map, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        match self {
            Self::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> DecodeResult<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> DecodeResult<V::Value> {
        match self {
            Self::String(variant) => visitor.visit_enum(Variant {
                name: variant,
                content: None,
            }),
            Self::Map(map) if map.len() == 1 => match map.into_iter().next() {
                Some((name, content)) => visitor.visit_enum(Variant {
                    name,
                    content: Some(content),
                }),
                None => Err(de::Error::custom("an empty object is no variant")),
            },
            other => Err(de::Error::custom(format!(
                "expected a variant name or an object with one key, found {}",
                other.type_name()
            ))),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> DecodeResult<V::Value> {
        self.deserialize_unit(visitor)
    }

    // A script has one kind of number in mind: `3.0` is welcome where a count is wanted.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        integral(self).deserialize_any(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        integral(self).deserialize_any(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        integral(self).deserialize_any(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        integral(self).deserialize_any(visitor)
    }

    // An empty Lua table is an empty map until something says otherwise.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        match self {
            Self::Map(map) if map.is_empty() => visit_list(Vec::new(), visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> DecodeResult<V::Value> {
        match self {
            Self::List(items) if items.is_empty() => visit_map(Map::new(), visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> DecodeResult<V::Value> {
        // Otherwise the message would say what the struct is called here.
        match self {
            Self::Map(_) => self.deserialize_any(visitor),
            Self::List(items) if items.is_empty() => visit_map(Map::new(), visitor),
            other => Err(de::Error::custom(format!(
                "it is of the type {}, and has to be a mapping of names to values",
                other.type_name()
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 u8 u16 f32 f64 char str string bytes byte_buf unit tuple tuple_struct
        identifier ignored_any
    }
}

fn integral(value: Value) -> Value {
    match value {
        Value::Float(float) => exact_integer(float).map_or(Value::Float(float), Value::Int),
        other => other,
    }
}

fn visit_list<'de, V: Visitor<'de>>(items: Vec<Value>, visitor: V) -> DecodeResult<V::Value> {
    let mut items = SeqDeserializer::new(items.into_iter());
    let value = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(value)
}

fn visit_map<'de, V: Visitor<'de>>(map: Map, visitor: V) -> DecodeResult<V::Value> {
    visitor.visit_map(Fields {
        rest: map.into_iter(),
        current: None,
    })
}

/// Puts the field's name before the message of what does not fit.
struct Fields {
    rest: indexmap::map::IntoIter<String, Value>,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> DecodeResult<Option<K::Value>> {
        self.current = self.rest.next();
        self.current
            .as_ref()
            .map(|(key, _)| seed.deserialize(key.as_str().into_deserializer()))
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> DecodeResult<S::Value> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was read before its key"));
        };
        seed.deserialize(value)
            .map_err(|error| DecodeError(format!("`{key}`: {error}")))
    }
}

struct Variant {
    name: String,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = DecodeError;
    type Variant = Content;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> DecodeResult<(S::Value, Content)> {
        let name = seed.deserialize(self.name.into_deserializer())?;
        Ok((name, Content(self.content)))
    }
}

struct Content(Option<Value>);

impl<'de> VariantAccess<'de> for Content {
    type Error = DecodeError;

    fn unit_variant(self) -> DecodeResult<()> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(de::Error::custom("this variant has no content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> DecodeResult<S::Value> {
        seed.deserialize(self.0.unwrap_or_default())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> DecodeResult<V::Value> {
        self.0.unwrap_or_default().deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> DecodeResult<V::Value> {
        self.0.unwrap_or_default().deserialize_map(visitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

macro_rules! visit_as {
    ($($method:ident: $from:ty => $make:expr;)+) => {
        $(fn $method<E: de::Error>(self, value: $from) -> Result<Value, E> { Ok($make(value)) })+
    };
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    visit_as! {
        visit_bool: bool => Value::Bool;
        visit_i64: i64 => Value::Int;
        visit_u64: u64 => Value::from;
        visit_f64: f64 => Value::Float;
        visit_str: &str => Value::from;
        visit_string: String => Value::String;
        visit_bytes: &[u8] => |value| Value::Bytes(Bytes::copy_from_slice(value));
        visit_byte_buf: Vec<u8> => |value: Vec<u8>| Value::Bytes(Bytes::from(value));
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}
