//! A JSON Schema that data is held against.

use std::{collections::HashSet, fmt, sync::OnceLock};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};

use crate::{Error, Result, Value, value::Map};

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

    /// Makes empty lists of empty maps in `value`, and the other way round, where that fits and it
    /// did not: where a language writes both alike, the schema says which of them was meant.
    ///
    /// # Errors
    ///
    /// `invalid_args` when this is no schema.
    pub fn settle_empty(&self, value: &mut Value) -> Result<()> {
        if !has_empty(value) {
            return Ok(());
        }
        let mut changed = Vec::new();
        for place in self.misfit_places(value)? {
            let Some(found) = at(value, &place) else {
                continue;
            };
            let other = match found {
                Value::Map(map) if map.is_empty() => Value::List(Vec::new()),
                Value::List(list) if list.is_empty() => Value::Map(Map::new()),
                _ => continue,
            };
            changed.push((place, std::mem::replace(found, other)));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let wrong = self.misfit_places(value)?;
        // Neither fits: then the message names what was given.
        for (place, first) in changed.into_iter().filter(|(it, _)| wrong.contains(it)) {
            if let Some(found) = at(value, &place) {
                *found = first;
            }
        }
        Ok(())
    }

    fn misfit_places(&self, value: &Value) -> Result<HashSet<String>> {
        let json = value.to_readable_json();
        let misfits = self.validator()?.iter_errors(&json);
        Ok(misfits.map(|it| it.instance_path().to_string()).collect())
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

fn has_empty(value: &Value) -> bool {
    match value {
        Value::Map(map) => map.is_empty() || map.values().any(has_empty),
        Value::List(list) => list.is_empty() || list.iter().any(has_empty),
        _ => false,
    }
}

/// The value at a JSON pointer.
fn at<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    pointer.split('/').skip(1).try_fold(value, |value, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Map(map) => map.get_mut(&part),
            Value::List(list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        }
    })
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
    fn what_is_empty_becomes_what_the_schema_asks_for() {
        let kinds = schema(
            r#"{"type": "object", "properties": {
                "list": {"type": "array"}, "map": {"type": "object"}, "a/b": {"type": "array"},
                "number": {"type": "number"}, "rows": {"items": {"type": "array"}}}}"#,
        );
        let kinds = Schema::new(kinds).unwrap();
        let cases = [
            (r#"{"list": {}, "map": {}}"#, r#"{"list": [], "map": {}}"#),
            (r#"{"list": [], "map": []}"#, r#"{"list": [], "map": {}}"#),
            (r#"{"a/b": {}}"#, r#"{"a/b": []}"#),
            (r#"{"rows": [{}, [1], {}]}"#, r#"{"rows": [[], [1], []]}"#),
            (r#"{"number": {}}"#, r#"{"number": {}}"#),
            ("[]", "{}"),
            (r#"{"list": {"a": 1}}"#, r#"{"list": {"a": 1}}"#),
        ];
        for (given, expected) in cases {
            let mut value = schema(given);
            kinds.settle_empty(&mut value).unwrap();
            assert_eq!(value, schema(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let error = Schema::new(schema(r#"{"type": "strange"}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.hint().is_some());
    }
}
