//! An index as a tool for agents.

use std::time::Duration;

use aikit_core::{
    Result, Value,
    tool::{self, DynTool, ToolContext, ToolSpec, schema_of},
};
use futures::{FutureExt as _, future::BoxFuture};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{K_DEFAULT, Rag, SearchOptions};
use crate::tools::Schema;

/// Longest time for one search; a provider may have to embed the question.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct SearchTool {
    rag: Rag,
    spec: ToolSpec,
    schema: Schema,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// What to look for, in words that the documents would use.
    query: String,
    /// Number of chunks to answer, 1 to 1000.
    #[serde(default = "default_k")]
    k: usize,
}

fn default_k() -> usize {
    K_DEFAULT
}

impl SearchTool {
    pub(super) fn new(rag: Rag, name: &str, summary: &str) -> Result<Self> {
        tool::check_name(name)?;
        let spec = ToolSpec {
            name: name.to_owned(),
            summary: summary.to_owned(),
            permissions: Vec::new(),
            input_schema: schema_of::<Args>(),
            output_schema: None,
            timeout: Some(TIMEOUT),
            origin: "rag",
        };
        let schema = Schema::default();
        Ok(Self { rag, spec, schema })
    }
}

impl DynTool for SearchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, args: &Value) -> Result<()> {
        self.schema.check(&self.spec, args)
    }

    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        async move {
            let args: Args = args
                .deserialize()
                .map_err(|error| error.with_hint(self.spec.usage()))?;
            let options = SearchOptions {
                k: args.k,
                ..SearchOptions::default()
            };
            let hits = self.rag.search(cx, &args.query, options).await?;
            Value::from_serialize(&hits)
        }
        .boxed()
    }
}
