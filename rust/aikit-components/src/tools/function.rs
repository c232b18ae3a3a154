//! Tools made of a function of a script, of a Python program, or of Rust.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    script::Callable,
    tool::{self, DynTool, ToolContext, ToolSpec},
};
use futures::future::BoxFuture;

use super::Schema;

/// What to know about a function to make it a tool.
#[derive(Clone, Debug)]
pub struct FunctionToolOptions {
    /// Name; letters, digits, `_` and `-`.
    pub name: String,
    /// What it does; models choose by it.
    pub summary: String,
    /// JSON Schema of its arguments, an object; null for a function without arguments.
    pub schema: Value,
    /// Longest time for one call; `None` for the common default.
    pub timeout: Option<Duration>,
    /// Where it comes from: `lua`, `python`.
    pub origin: &'static str,
}

/// A tool that calls a function with one argument, the map of the tool's arguments.
#[derive(Debug)]
pub struct FunctionTool {
    spec: ToolSpec,
    schema: Schema,
    function: Arc<dyn Callable>,
}

impl FunctionTool {
    /// Makes a tool of `function`.
    ///
    /// # Errors
    ///
    /// `invalid_args` when the name is none a provider takes, the summary is empty or the schema is not a JSON Schema of an object.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a tool is used as `dyn DynTool` from the start"
    )]
    pub fn new(
        options: FunctionToolOptions,
        function: Arc<dyn Callable>,
    ) -> Result<Arc<dyn DynTool>> {
        let name = &options.name;
        tool::check_name(name)?;
        if options.summary.trim().is_empty() {
            return Err(
                Error::invalid_args(format!("the tool `{name}` says not what it does"))
                    .with_hint("give a description; a model chooses tools by it"),
            );
        }
        let (input_schema, schema) = object_schema(name, options.schema)?;
        let spec = ToolSpec {
            name: options.name,
            summary: options.summary,
            permissions: Vec::new(),
            asks: false,
            input_schema,
            output_schema: None,
            timeout: options.timeout,
            origin: options.origin,
        };
        Ok(Arc::new(Self {
            spec,
            schema,
            function,
        }))
    }
}

impl DynTool for FunctionTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, args: &Value) -> Result<()> {
        self.schema.check(&self.spec, args)
    }

    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let answer = self.function.call(&cx.context, vec![args]).await;
            answer.map_err(|error| failed(&self.spec.name, error))
        })
    }
}

/// An error of the script becomes one of the tool, so that an agent can tell it from its own.
fn failed(name: &str, error: Error) -> Error {
    if error.kind() != ErrorKind::Script {
        return error;
    }
    let message = format!("`{name}`: {}", error.message());
    let traceback = error.traceback().to_vec();
    Error::new(ErrorKind::ToolFailed, message)
        .with_traceback(traceback)
        .with_source(error)
}

fn object_schema(name: &str, schema: Value) -> Result<(Value, Schema)> {
    let wrong = |why: String| {
        Error::invalid_args(format!("the schema of the tool `{name}` {why}")).with_hint(
            "give a JSON Schema such as `{type = \"object\", properties = {city = {type = \
             \"string\"}}, required = {\"city\"}}`",
        )
    };
    let schema = match schema {
        Value::Null => Value::map([
            ("type", Value::from("object")),
            ("properties", Value::Map(aikit_core::value::Map::new())),
        ]),
        Value::Map(mut map) => {
            map.entry("type".to_owned())
                .or_insert_with(|| Value::from("object"));
            Value::Map(map)
        }
        other => return Err(wrong(format!("is a value of type {}", other.type_name()))),
    };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(wrong("does not describe an object".to_owned()));
    }
    let compiled = Schema::compiled(schema.clone()).map_err(|error| {
        let why = error.message();
        wrong(why.trim_start_matches("the schema ").to_owned())
    })?;
    Ok((schema, compiled))
}
