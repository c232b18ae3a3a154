//! A JSON Schema that data is held against.

use std::{fmt, sync::OnceLock};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};

use crate::{Error, Result, Value};

/// A JSON Schema (draft 2020-12), compiled once, at the first check at the latest.
pub struct Schema {
    source: Value,
    compiled: OnceLock<Validator>,
}

/// What does not fit, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misfit {
    /// Path of the value, such as `address/city`; empty for the whole.
    pub place: String,
    /// The rule and the value that breaks it.
    pub rule: String,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

impl Clone for Schema {
    /// A copy that is compiled again when it is used.
    fn clone(&self) -> Self {
        Self::lazy(self.source.clone())
    }
}

impl Schema {
    /// Compiles a schema now.
    ///
    /// # Errors
    ///
    /// `invalid_args` when `source` is no schema.
    pub fn new(source: Value) -> Result<Self> {
        let schema = Self::lazy(source);
        schema.validator()?;
        Ok(schema)
    }

    /// A schema that is compiled when it is first needed: tools have many, and few are called.
    pub const fn lazy(source: Value) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }

    /// The schema as data.
    pub const fn source(&self) -> &Value {
        &self.source
    }

    /// The first thing in `value` that does not fit; `None` when all does.
    ///
    /// # Errors
    ///
    /// `invalid_args` when this is no schema.
    pub fn misfit(&self, value: &Value) -> Result<Option<Misfit>> {
        let value = value.to_readable_json();
        let first = self.validator()?.iter_errors(&value).next();
        Ok(first.map(|error| Misfit {
            place: error
                .instance_path()
                .to_string()
                .trim_start_matches('/')
                .to_owned(),
            rule: error.to_string(),
        }))
    }

    fn validator(&self) -> Result<&Validator> {
        if let Some(validator) = self.compiled.get() {
            return Ok(validator);
        }
        // Compiled outside of the lock, which a fork could find held.
        let compiled = jsonschema::validator_for(&self.source.to_readable_json());
        let compiled = compiled.map_err(|error| {
            Error::invalid_args(format!("the schema is not valid: {error}"))
                .with_hint("give a JSON Schema (2020-12)")
        })?;
        Ok(self.compiled.get_or_init(|| compiled))
    }
}

/// The JSON Schema of a Rust type, without references, as models want it.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = Value::from_json(settings.into_generator().into_root_schema_for::<T>().into());
    if let Value::Map(map) = &mut schema {
        // The title is the Rust type's name, which means nothing to a model.
        map.shift_remove("title");
    }
    schema
}

impl Misfit {
    /// The place and the rule in one sentence; `what` names the data, such as `argument`.
    pub fn describe(&self, what: &str) -> String {
        if self.place.is_empty() {
            self.rule.clone()
        } else {
            format!("{what} `{}`: {}", self.place, self.rule)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn schema(text: &str) -> Value {
        serde_json::from_str(text).map(Value::from_json).unwrap()
    }

    #[test]
    fn a_misfit_names_its_place_and_its_rule() {
        let person = schema(
            r#"{"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}}}}}"#,
        );
        let person = Schema::new(person).unwrap();
        let check = |text| person.misfit(&schema(text)).unwrap();
        assert_eq!(check(r#"{"name": "a"}"#), None);
        let city = check(r#"{"name": "a", "address": {"city": 1}}"#).unwrap();
        assert_eq!(city.place, "address/city");
        assert_eq!(
            city.describe("argument"),
            r#"argument `address/city`: 1 is not of type "string""#
        );
        let lacking = check("{}").unwrap();
        assert_eq!(
            lacking.describe("argument"),
            r#""name" is a required property"#
        );
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let error = Schema::new(schema(r#"{"type": "strange"}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.hint().is_some());
    }
}
