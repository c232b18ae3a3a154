//! Arguments of a tool that do not fit its schema, told with the arguments it takes.

use aikit_core::{Error, Result, Value, schema, tool::ToolSpec};

/// The compiled schema of one tool's arguments.
#[derive(Debug)]
pub(crate) struct Schema(schema::Schema);

impl Schema {
    /// The schema of `spec`, compiled at the first call.
    pub(crate) fn of(spec: &ToolSpec) -> Self {
        Self(schema::Schema::lazy(spec.input_schema.clone()))
    }

    /// A schema that is compiled now.
    ///
    /// # Errors
    ///
    /// `invalid_args` when it is none.
    pub(super) fn compiled(source: Value) -> Result<Self> {
        schema::Schema::new(source).map(Self)
    }

    /// Holds arguments against the schema of `spec`, whose own this is.
    ///
    /// # Errors
    ///
    /// `invalid_args` when they do not fit, or the schema is none.
    pub(crate) fn check(&self, spec: &ToolSpec, args: &Value) -> Result<()> {
        let misfit = self.0.misfit(args).map_err(|error| {
            let message = format!("`{}`: {}", spec.name, error.message());
            Error::invalid_args(message).with_hint("give a JSON Schema (2020-12) of type `object`")
        })?;
        let Some(misfit) = misfit else {
            return Ok(());
        };
        let message = format!("`{}`: {}", spec.name, misfit.describe("argument"));
        Err(Error::invalid_args(message).with_hint(spec.usage()))
    }
}
