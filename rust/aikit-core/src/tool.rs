//! What a tool is: a named function with a schema, permissions and one call.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, ErrorKind, Result, Value,
    context::Context,
    model::ToolDefinition,
    schema,
    services::{Permission, Services},
};

/// What a tool is given beside its arguments.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// What flows with the call.
    pub context: Context,
    /// What it may touch.
    pub services: Arc<Services>,
}

impl ToolContext {
    /// The same services in another Context.
    #[must_use]
    pub fn with_context(&self, context: Context) -> Self {
        Self {
            context,
            services: Arc::clone(&self.services),
        }
    }
}

/// What is known about a tool without calling it.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    /// Name, verb first, `snake_case`.
    pub name: String,
    /// What it does; models choose by it.
    pub summary: String,
    /// What it touches.
    pub permissions: Vec<Permission>,
    /// Whether it asks a person. What they answer differs from run to run, so it is recorded like
    /// what is read outside, without a permission for it.
    pub asks: bool,
    /// JSON Schema (2020-12) of its arguments; an object.
    pub input_schema: Value,
    /// JSON Schema of its result, where it is known.
    pub output_schema: Option<Value>,
    /// Longest time for one call; `None` for the caller's default.
    pub timeout: Option<Duration>,
    /// Where it comes from: `built-in`, `lua`, `python`, `agent`.
    pub origin: &'static str,
}

/// Most characters of a tool's name; model providers refuse longer ones.
const NAME_CHARACTERS_MAX: usize = 64;

/// Checks the name of a tool: providers take letters, digits, `_` and `-`, and no more than 64.
///
/// # Errors
///
/// `invalid_args` for any other name.
pub fn check_name(name: &str) -> Result<()> {
    let is_usable = name
        .chars()
        .all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-')
        && name
            .chars()
            .next()
            .is_some_and(|it| it.is_ascii_alphabetic() || it == '_')
        && name.len() <= NAME_CHARACTERS_MAX;
    if is_usable {
        return Ok(());
    }
    Err(
        Error::invalid_args(format!("`{name}` is not a name for a tool")).with_hint(format!(
            "use up to {NAME_CHARACTERS_MAX} letters, digits, `_` and `-`, beginning with a letter"
        )),
    )
}

impl ToolSpec {
    /// The tool as a model sees it.
    pub fn definition(&self) -> ToolDefinition {
        ToolDefinition {
            name: self.name.clone(),
            description: self.summary.clone(),
            parameters: self.input_schema.clone(),
        }
    }
}

/// A built-in tool. One file implements this once.
pub trait Tool: Default + fmt::Debug + Send + Sync + 'static {
    /// Name, verb first, `snake_case`; the name of its file.
    const NAME: &'static str;
    /// What it does, one sentence.
    const SUMMARY: &'static str;
    /// What it touches.
    const PERMISSIONS: &'static [Permission];
    /// Whether it asks a person.
    const ASKS: bool = false;
    /// Longest time for one call.
    const TIMEOUT: Duration = Duration::from_mins(1);
    /// Arguments; unknown ones are refused by `deny_unknown_fields`.
    type Args: DeserializeOwned + JsonSchema + Send;
    /// Result.
    type Output: JsonSchema + Serialize;

    /// Computes. Validation, policy, deadline, span and events are the caller's work.
    fn call(
        &self,
        cx: &ToolContext,
        args: Self::Args,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// Any tool: built-in, of a script, of a Python program, an agent or an index.
pub trait DynTool: fmt::Debug + Send + Sync {
    /// What is known about it.
    fn spec(&self) -> &ToolSpec;

    /// Holds arguments against its schema, before anything else looks at them.
    ///
    /// # Errors
    ///
    /// `invalid_args` when they do not fit.
    fn check(&self, args: &Value) -> Result<()>;

    /// As [`DynTool::check`], where hooks stand around the call: no argument that only the call
    /// would refuse gets to a hook, or comes from one.
    ///
    /// # Errors
    ///
    /// `invalid_args` when they do not fit.
    fn check_whole(&self, args: &Value) -> Result<()> {
        self.check(args)
    }

    /// Calls it. Only `tools::invoke` does so.
    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>>;
}

/// A row of the table of built-in tools.
pub type ToolConstructor = fn() -> Arc<dyn DynTool>;

/// Makes the object-safe form of a built-in tool.
pub fn built_in<T: Tool>() -> Arc<dyn DynTool> {
    Arc::new(BuiltIn {
        tool: T::default(),
        spec: spec_of::<T>(),
    })
}

#[derive(Debug)]
struct BuiltIn<T> {
    tool: T,
    spec: ToolSpec,
}

impl<T: Tool> BuiltIn<T> {
    fn read(&self, args: Value) -> Result<T::Args> {
        args.deserialize()
            .map_err(|error| invalid(&self.spec, &error))
    }
}

impl<T: Tool> DynTool for BuiltIn<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// They are read into their type by the call, which says the same.
    fn check(&self, _: &Value) -> Result<()> {
        Ok(())
    }

    fn check_whole(&self, args: &Value) -> Result<()> {
        self.read(args.clone()).map(drop)
    }

    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let args = self.read(args)?;
            let output = self.tool.call(cx, args).await?;
            Value::from_serialize(&output)
        })
    }
}

fn spec_of<T: Tool>() -> ToolSpec {
    ToolSpec {
        name: T::NAME.to_owned(),
        summary: T::SUMMARY.to_owned(),
        permissions: T::PERMISSIONS.to_vec(),
        asks: T::ASKS,
        input_schema: schema::of::<T::Args>(),
        output_schema: Some(schema::of::<T::Output>()),
        timeout: Some(T::TIMEOUT),
        origin: "built-in",
    }
}

/// Arguments that do not fit, with the arguments the tool takes as the hint.
fn invalid(spec: &ToolSpec, error: &Error) -> Error {
    let message = format!("`{}`: {}", spec.name, error.message());
    Error::new(ErrorKind::InvalidArgs, message).with_hint(spec.usage())
}

impl ToolSpec {
    /// The arguments in one line: `count_words takes text (string, required)`.
    pub fn usage(&self) -> String {
        let required: Vec<&str> = self
            .input_schema
            .get("required")
            .and_then(Value::as_list)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = self.input_schema.get("properties").and_then(Value::as_map);
        let args: Vec<String> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let kind = kind_of(schema);
                let needed = if required.contains(&name.as_str()) {
                    ", required"
                } else {
                    ""
                };
                format!("`{name}` ({kind}{needed})")
            })
            .collect();
        if args.is_empty() {
            format!("`{}` takes no arguments", self.name)
        } else {
            format!("`{}` takes {}", self.name, args.join(", "))
        }
    }
}

/// The type that a schema asks for, in one word; with a question mark where null may stand for it.
fn kind_of(schema: &Value) -> String {
    let kinds: Vec<String> = match schema.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::List(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        }
        _ => {
            let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"));
            let choices = choices.and_then(Value::as_list).unwrap_or_default();
            choices.iter().map(kind_of).collect()
        }
    };
    let is_null = |it: &String| it == "null";
    let mark = if kinds.iter().any(is_null) { "?" } else { "" };
    let mut named: Vec<String> = Vec::new();
    for kind in kinds.into_iter().filter(|it| !is_null(it)) {
        if !named.contains(&kind) {
            named.push(kind);
        }
    }
    match &named[..] {
        [] if !mark.is_empty() => "null".to_owned(),
        [] => "any".to_owned(),
        named if named.iter().any(|it| it == "any") => "any".to_owned(),
        [one] => format!("{one}{mark}"),
        many => format!("{}{mark}", many.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn an_argument_that_may_be_left_out_is_of_its_type_and_not_of_any() {
        for (schema, expected) in [
            (r#"{"type": "string"}"#, "string"),
            (r#"{"type": ["string", "null"]}"#, "string?"),
            (
                r#"{"anyOf": [{"type": "integer"}, {"type": "null"}]}"#,
                "integer?",
            ),
            (
                r#"{"anyOf": [{"type": "string"}, {"type": "object"}]}"#,
                "string or object",
            ),
            (
                r#"{"oneOf": [{"type": "string", "const": "a"}, {"type": "string"}]}"#,
                "string",
            ),
            (r#"{"anyOf": [{}, {"type": "null"}]}"#, "any"),
            (r#"{"description": "x"}"#, "any"),
        ] {
            let read = serde_json::from_str(schema).map(Value::from_json).unwrap();
            assert_eq!(kind_of(&read), expected, "{schema}");
        }
    }

    #[derive(Debug, Default)]
    struct Add;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Args {
        /// First number.
        left: i64,
        /// Second number.
        #[serde(default)]
        right: i64,
    }

    #[derive(Debug, JsonSchema, Serialize)]
    struct Output {
        sum: i64,
    }

    impl Tool for Add {
        const NAME: &'static str = "add";
        const SUMMARY: &'static str = "Adds two numbers.";
        const PERMISSIONS: &'static [Permission] = &[];
        type Args = Args;
        type Output = Output;

        async fn call(&self, _: &ToolContext, args: Args) -> Result<Output> {
            Ok(Output {
                sum: args.left + args.right,
            })
        }
    }

    fn call(args: Value) -> Result<Value> {
        let cx = ToolContext {
            context: Context::default(),
            services: Arc::default(),
        };
        built_in::<Add>().call(&cx, args).now_or_never().unwrap()
    }

    #[test]
    fn a_typed_tool_takes_and_gives_data() {
        let args = Value::map([("left", Value::Int(2)), ("right", Value::Float(3.0))]);
        assert_eq!(call(args).unwrap(), Value::map([("sum", Value::Int(5))]));
    }

    #[test]
    fn wrong_arguments_name_the_tool_the_field_and_the_way_out() {
        let error = call(Value::map([("left", Value::from("two"))])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.message().contains("`add`: `left`"), "{error}");
        assert_eq!(
            error.hint(),
            Some("`add` takes `left` (integer, required), `right` (integer)")
        );
    }

    #[test]
    fn the_schema_describes_every_argument() {
        let spec = built_in::<Add>().spec().clone();
        let left = spec
            .input_schema
            .get("properties")
            .unwrap()
            .get("left")
            .unwrap();
        assert_eq!(left.get("description"), Some(&Value::from("First number.")));
        assert_eq!(
            spec.input_schema.get("additionalProperties"),
            Some(&Value::Bool(false))
        );
    }
}
