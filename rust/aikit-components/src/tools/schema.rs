//! The compiled schema of a tool's arguments.

use std::sync::OnceLock;

use aikit_core::{Error, Result, Value, tool::ToolSpec};
use jsonschema::Validator;

/// A schema that is compiled once, at the first call at the latest.
#[derive(Debug, Default)]
pub(crate) struct Schema(OnceLock<Validator>);

impl Schema {
    /// A schema that is compiled already.
    pub(super) fn compiled(validator: Validator) -> Self {
        Self(OnceLock::from(validator))
    }

    /// Holds arguments against the schema of `spec`, whose own this is.
    ///
    /// # Errors
    ///
    /// `invalid_args` when they do not fit, or the schema is none.
    pub(crate) fn check(&self, spec: &ToolSpec, args: &Value) -> Result<()> {
        let args = args.to_readable_json();
        let Some(error) = self.validator(spec)?.iter_errors(&args).next() else {
            return Ok(());
        };
        let place = error.instance_path().to_string();
        let place = place.trim_start_matches('/');
        let message = if place.is_empty() {
            format!("`{}`: {error}", spec.name)
        } else {
            format!("`{}`: argument `{place}`: {error}", spec.name)
        };
        Err(Error::invalid_args(message).with_hint(spec.usage()))
    }

    fn validator(&self, spec: &ToolSpec) -> Result<&Validator> {
        if let Some(validator) = self.0.get() {
            return Ok(validator);
        }
        // Compiled outside of the lock, which a fork could find held.
        let compiled = jsonschema::validator_for(&spec.input_schema.to_readable_json());
        let compiled = compiled.map_err(|error| {
            let message = format!("the schema of `{}` is not valid: {error}", spec.name);
            Error::invalid_args(message).with_hint("give a JSON Schema (2020-12) of type `object`")
        })?;
        Ok(self.0.get_or_init(|| compiled))
    }
}
