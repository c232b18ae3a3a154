//! `JSON`: text to data and back.

use aikit_core::{Error, Result, Value};

use super::{ApiFunction, ApiModule, Args, Call, Kind, Return, optional, ready, required};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    has_null: true,
    ..ApiModule::new("JSON", "Reads and writes JSON.")
};

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "parse",
        summary: "Reads JSON; `null` inside arrays and objects becomes `JSON.null`.",
        params: &[required("text", Kind::String, "JSON text.")],
        returns: "the data",
        example: r#"JSON.parse('{"a": [1, 2]}').a[2]"#,
        call: Call::Host(|_, args| ready(parse(args))),
    },
    ApiFunction {
        name: "stringify",
        summary: "Writes data as JSON.",
        params: &[
            required(
                "value",
                Kind::Any,
                "What to write: finite numbers, texts, booleans and tables.",
            ),
            optional(
                "options",
                Kind::Options(&[optional(
                    "pretty",
                    Kind::Boolean,
                    "Whether to write one member a line, indented by two spaces.",
                )]),
                "How to write it.",
            ),
        ],
        returns: "the text",
        example: "JSON.stringify({1, 2, 3})",
        call: Call::Host(|_, args| ready(stringify(args))),
    },
];

fn parse(mut args: Args) -> Result<Return> {
    let text = args.required_string("text")?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Error::invalid_args(format!("`JSON.parse`: the text is not JSON: {error}"))
            .with_hint("look at the line and column that the message names")
    })?;
    Ok(Return::Value(Value::from_json(json)))
}

fn stringify(mut args: Args) -> Result<Return> {
    let pretty = args.options("options").value("pretty").as_bool();
    let json = args.value("value").to_json();
    let json = json.map_err(|error| {
        let message = format!("`JSON.stringify`: {}", error.message());
        let hint = error.hint().unwrap_or_default().to_owned();
        Error::new(error.kind(), message).with_hint(hint)
    })?;
    let text = if pretty == Some(true) {
        serde_json::to_string_pretty(&json)
    } else {
        serde_json::to_string(&json)
    };
    let text = text.map_err(|error| Error::internal(error.to_string()))?;
    Ok(Return::Value(Value::String(text)))
}
