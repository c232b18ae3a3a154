//! `query_json`: selects and transforms data with a jq filter or a JSONPath.

mod filter;

use aikit_core::{
    Error, Result, Value,
    services::Permission,
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json_path::JsonPath;

use crate::tools::computation;

/// Most descents (`..`) of one JSONPath.
const DESCENTS_MAX: usize = 3;
/// Most steps of one filter: a few for each item of some hundred thousand.
const STEPS_MAX: u64 = 3_000_000;

#[derive(Debug, Default)]
pub(super) struct QueryJson;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Data to query: any value. JSON in a text is read with the filter `fromjson | …`.
    #[schemars(with = "serde_json::Value")]
    data: Value,
    /// Filter in the jq language, such as `.items[] | select(.price > 10) | .name`.
    query: Option<String>,
    /// JSONPath (RFC 9535), such as `$.items[?@.price > 10].name`; instead of `query`.
    path: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// What was selected, in order; empty when nothing was.
    #[schemars(with = "Vec<serde_json::Value>")]
    values: Vec<Value>,
}

impl Tool for QueryJson {
    const NAME: &'static str = "query_json";
    const SUMMARY: &'static str =
        "Selects and transforms structured data with a jq filter or a JSONPath.";
    const PERMISSIONS: &'static [Permission] = &[];
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let Args { data, query, path } = args;
        let values = match (query, path) {
            (Some(query), None) => {
                computation::run(&cx.context, STEPS_MAX, move |budget| {
                    filter::run(&query, &data, budget)
                })
                .await?
            }
            (None, Some(path)) => {
                computation::run(&cx.context, STEPS_MAX, move |_| select(&path, &data)).await?
            }
            _ => {
                return Err(Error::invalid_args("one of `query` and `path` is needed")
                    .with_hint("give a jq filter as `query`, or a JSONPath as `path`"));
            }
        };
        Ok(Output { values })
    }
}

fn select(path: &str, data: &Value) -> Result<Vec<Value>> {
    // Each descent multiplies the work, and nothing can interrupt it.
    if path.matches("..").count() > DESCENTS_MAX {
        let message = format!("`{path}` descends (`..`) more than {DESCENTS_MAX} times");
        return Err(
            Error::invalid_args(message).with_hint("name more of the members, or use `query`")
        );
    }
    let parsed = JsonPath::parse(path).map_err(|error| {
        Error::invalid_args(format!("`{path}` is not a JSONPath: {error}"))
            .with_hint("begin with `$`, such as `$.items[*].name`")
    })?;
    let data = data.to_json()?;
    let found = parsed.query(&data).all();
    Ok(found
        .into_iter()
        .map(|it| Value::from_json(it.clone()))
        .collect())
}
