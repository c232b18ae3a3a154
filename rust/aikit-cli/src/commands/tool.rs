//! `aikit tool list|info|invoke`: the tools without a notebook.

use aikit_components::{registry::Components, tools};
use aikit_core::{Error, Result, Value, services::Reading, tool::ToolSpec};
use clap::{Args, Subcommand};

use crate::{
    session::{ProfileName, setup, wait},
    stdin, terminal,
};

#[derive(Args, Debug)]
pub(super) struct ToolArgs {
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Debug, Subcommand)]
enum ToolCommand {
    /// Lists the tools
    List {
        /// As JSON, with the schemas
        #[arg(long)]
        json: bool,
    },
    /// Says what one tool does and what it takes
    Info {
        /// Name of the tool
        name: String,
        /// As JSON, with the schemas
        #[arg(long)]
        json: bool,
    },
    /// Calls one tool and prints its result as JSON
    Invoke {
        /// Name of the tool
        name: String,
        /// Arguments as a JSON object; `-` reads it from standard input
        #[arg(value_name = "JSON")]
        args: Option<String>,
        /// One argument; may be given several times
        #[arg(long = "arg", value_name = "NAME=VALUE")]
        arg: Vec<String>,
        /// On one line, for programs
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` for an unknown tool, `invalid_args` for arguments that do not fit, the tool's own.
pub(super) fn run(args: ToolArgs) -> Result<()> {
    // No script runs here, so no engine is made.
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    match args.command {
        ToolCommand::List { json } => list(&components.tools.list(), json),
        ToolCommand::Info { name, json } => info(components.tools.find(&name)?.spec(), json),
        ToolCommand::Invoke {
            name,
            args,
            arg,
            json,
        } => {
            let tool = components.tools.find(&name)?;
            let args = match args.as_deref() {
                Some("-") => Some(read_stdin()?),
                _ => args,
            };
            let args = arguments(tool.spec(), args.as_deref(), &arg)?;
            let cx = components.tool_context();
            let result = wait(&cx.context.clone(), move |context| async move {
                tools::invoke(&cx.with_context(context), &tool, args).await
            })?;
            show(&result, json)
        }
    }
}

fn list(tools: &[ToolSpec], json: bool) -> Result<()> {
    if json {
        let tools: Value = tools.iter().map(describe).collect();
        return terminal::line(&tools.to_string());
    }
    let width = tools.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for tool in tools {
        terminal::line(&format!("{:width$}  {}", tool.name, tool.summary))?;
    }
    Ok(())
}

fn info(tool: &ToolSpec, json: bool) -> Result<()> {
    if json {
        return terminal::line(&describe(tool).to_string());
    }
    let permissions: Vec<&str> = tool.permissions.iter().map(|it| it.name()).collect();
    let touches = match permissions.join(", ") {
        none if none.is_empty() => "nothing".to_owned(),
        names => names,
    };
    terminal::line(&format!("{}: {}", tool.name, tool.summary))?;
    terminal::line(&format!("touches: {touches}"))?;
    for line in members("takes", &tool.input_schema) {
        terminal::line(&line)?;
    }
    let output = tool.output_schema.as_ref();
    for line in output.iter().flat_map(|schema| members("gives", schema)) {
        terminal::line(&line)?;
    }
    Ok(())
}

/// A line for each member of an object that a schema describes.
fn members(title: &str, schema: &Value) -> Vec<String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_map) else {
        return Vec::new();
    };
    let required = schema.get("required").and_then(Value::as_list);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)));
    let width = properties.keys().map(|it| it.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut lines = vec![format!("{title}:")];
    for (name, property) in properties {
        let text = property.get("description").and_then(Value::as_str);
        // The first line says what it is; some go on.
        let text = text
            .unwrap_or_default()
            .split('\n')
            .next()
            .unwrap_or_default();
        let mark = if title == "takes" && is_required(name) {
            " (required)"
        } else {
            ""
        };
        let line = format!("  {name:width$}  {text}{mark}");
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn describe(tool: &ToolSpec) -> Value {
    let permissions = tool.permissions.iter().map(|it| Value::from(it.name()));
    Value::map([
        ("name", Value::from(tool.name.as_str())),
        ("summary", Value::from(tool.summary.as_str())),
        ("permissions", permissions.collect()),
        ("input_schema", tool.input_schema.clone()),
        ("output_schema", Value::from(tool.output_schema.clone())),
    ])
}

fn show(value: &Value, json: bool) -> Result<()> {
    let text = if json {
        value.to_string()
    } else {
        format!("{:#}", value.to_readable_json())
    };
    terminal::line(&text)
}

/// The whole standard input.
fn read_stdin() -> Result<String> {
    let bytes = stdin::read(&mut std::io::stdin().lock(), Reading::All)?;
    String::from_utf8(bytes.unwrap_or_default()).map_err(|_| {
        Error::invalid_args("standard input is not UTF-8").with_hint("give a JSON object")
    })
}

/// The arguments, in one of their two forms.
fn arguments(tool: &ToolSpec, json: Option<&str>, pairs: &[String]) -> Result<Value> {
    if json.is_some() && !pairs.is_empty() {
        // Which of two values of one name counts would be a guess.
        let message = "the arguments are given as JSON and with `--arg`";
        return Err(Error::invalid_args(message).with_hint("give them in one of the two forms"));
    }
    let mut args = match json {
        None => Value::map::<String>([]),
        Some(text) => {
            let parsed: serde_json::Value = serde_json::from_str(text).map_err(|error| {
                Error::invalid_args(format!("the arguments are not JSON: {error}"))
                    .with_hint("write {\"name\": value}, or use `--arg name=value`")
            })?;
            Value::from_json(parsed)
        }
    };
    let Value::Map(map) = &mut args else {
        let message = format!("the arguments are {}, not an object", args.type_name());
        return Err(Error::invalid_args(message).with_hint(tool.usage()));
    };
    for pair in pairs {
        let Some((name, text)) = pair.split_once('=') else {
            let message = format!("`{pair}` is not `NAME=VALUE`");
            return Err(Error::invalid_args(message).with_hint(tool.usage()));
        };
        map.insert(name.to_owned(), read(tool, name, text));
    }
    Ok(args)
}

/// Text where the schema asks for text, JSON where the value is JSON, else text.
fn read(tool: &ToolSpec, name: &str, text: &str) -> Value {
    let properties = tool.input_schema.get("properties");
    let schema = properties.and_then(|it| it.get(name));
    let kind = schema.and_then(|it| it.get("type")).and_then(Value::as_str);
    if kind == Some("string") {
        return Value::from(text);
    }
    serde_json::from_str(text).map_or_else(|_| Value::from(text), Value::from_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> ToolSpec {
        let kind = |name: &str| Value::map([("type", Value::from(name))]);
        let properties = [("text", kind("string")), ("count", kind("integer"))];
        ToolSpec {
            name: "t".to_owned(),
            summary: String::new(),
            permissions: Vec::new(),
            asks: false,
            input_schema: Value::map([("properties", Value::map(properties))]),
            output_schema: None,
            timeout: None,
            origin: "test",
        }
    }

    #[test]
    fn the_schema_decides_what_a_value_is() {
        let pairs = ["text=12".to_owned(), "count=12".to_owned()];
        let args = arguments(&tool(), None, &pairs).unwrap();
        let expected = [("count", Value::Int(12)), ("text", Value::from("12"))];
        assert_eq!(args, Value::map(expected));
    }

    #[test]
    fn two_forms_of_arguments_are_not_mixed() {
        let pairs = ["count=12".to_owned()];
        let error = arguments(&tool(), Some(r#"{"count": 1}"#), &pairs).unwrap_err();
        assert!(error.message().contains("`--arg`"), "{error}");
        let args = arguments(&tool(), Some(r#"{"count": 1, "more": null}"#), &[]).unwrap();
        let expected = [("count", Value::Int(1)), ("more", Value::Null)];
        assert_eq!(args, Value::map(expected));
    }

    #[test]
    fn what_is_no_object_is_refused_with_the_usage() {
        for (json, pair) in [(Some("[1]"), None), (Some("{"), None), (None, Some("x"))] {
            let pairs: Vec<String> = pair.into_iter().map(str::to_owned).collect();
            assert!(
                arguments(&tool(), json, &pairs)
                    .unwrap_err()
                    .hint()
                    .is_some()
            );
        }
    }
}
