//! An index as a tool for agents: they call it with what they look for, and get hits with their
//! sources.

use std::time::Duration;

use aikit_core::{
    Result, Value, schema,
    tool::{self, DynTool, ToolContext, ToolSpec},
};
use futures::{FutureExt as _, future::BoxFuture};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{K_DEFAULT, Rag, SearchOptions, search::check_k};
use crate::tools::Schema;

/// Longest time for one search; a provider may have to embed the question.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How an index is offered to a model.
#[derive(Clone, Debug)]
pub struct ToolOptions {
    /// Name of the tool.
    pub name: String,
    /// What is to be found there; the model chooses by it.
    pub summary: String,
    /// Hits of a call that names no number, 1 to 1000.
    pub k: usize,
}

impl Default for ToolOptions {
    fn default() -> Self {
        Self {
            name: "search_documents".to_owned(),
            summary: "Searches the documents and returns the chunks that fit a question best."
                .to_owned(),
            k: K_DEFAULT,
        }
    }
}

#[derive(Debug)]
pub(super) struct SearchTool {
    rag: Rag,
    k: usize,
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
    pub(super) fn new(rag: Rag, options: ToolOptions) -> Result<Self> {
        tool::check_name(&options.name)?;
        check_k(options.k)?;
        let spec = ToolSpec {
            name: options.name,
            summary: options.summary,
            permissions: Vec::new(),
            asks: false,
            input_schema: schema(options.k),
            output_schema: None,
            timeout: Some(TIMEOUT),
            origin: "rag",
        };
        let schema = Schema::of(&spec);
        Ok(Self {
            rag,
            k: options.k,
            spec,
            schema,
        })
    }
}

/// The schema of the arguments, with the number of hits that this tool answers by itself.
fn schema(k: usize) -> Value {
    let mut schema = schema::of::<Args>();
    let mut place = Some(&mut schema);
    for name in ["properties", "k"] {
        place = match place {
            Some(Value::Map(map)) => map.get_mut(name),
            _ => None,
        };
    }
    if let Some(Value::Map(number)) = place {
        number.insert("default".to_owned(), Value::from(k));
    }
    schema
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
            let k = args.get("k").is_none().then_some(self.k);
            let args: Args = args
                .deserialize()
                .map_err(|error| error.with_hint(self.spec.usage()))?;
            let options = SearchOptions {
                k: k.unwrap_or(args.k),
                ..SearchOptions::default()
            };
            let hits = self.rag.search(cx, &args.query, options).await?;
            Value::from_serialize(&hits)
        }
        .boxed()
    }
}
