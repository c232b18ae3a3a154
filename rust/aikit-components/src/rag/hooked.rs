//! Ingest and search as hooks see them.

use std::borrow::Cow;

use aikit_core::{Context, Error, Result, Value, hook::Hooked, tool::ToolContext, value::Map};

use super::{Hit, IngestOptions, IngestReport, Rag, Record, SearchOptions, Source, ingest, search};

/// An ingest with hooks around it.
pub(super) struct Ingest<'a> {
    pub(super) rag: &'a Rag,
    pub(super) cx: &'a ToolContext,
}

impl Hooked for Ingest<'_> {
    type Input = (Vec<Source>, IngestOptions);
    type Output = IngestReport;

    fn show(&self, (sources, options): &Self::Input) -> Result<Map> {
        let sources: Result<Value> = sources.iter().map(show_source).collect();
        Ok(Map::from_iter([
            ("index".to_owned(), Value::from(self.rag.source())),
            ("sources".to_owned(), sources?),
            ("metadata".to_owned(), Value::Map(options.metadata.clone())),
        ]))
    }

    fn change(&self, (sources, options): &mut Self::Input, mut changes: Map) -> Result<()> {
        if let Some(given) = changes.shift_remove("sources") {
            let Value::List(given) = given else {
                return Err(Error::invalid_args("`sources` is no list")
                    .with_hint("give a list of paths, addresses and records"));
            };
            *sources = given.into_iter().map(read_source).collect::<Result<_>>()?;
        }
        if let Some(metadata) = changes.shift_remove("metadata") {
            options.metadata = read_map("metadata", metadata)?;
        }
        Ok(())
    }

    async fn call(&mut self, (sources, options): Self::Input) -> Result<IngestReport> {
        ingest::run(&self.rag.0, self.cx, sources, options).await
    }

    fn result(&self, report: &IngestReport) -> Result<Value> {
        Value::from_serialize(report)
    }

    fn replace(
        &self,
        _: &Self::Input,
        value: Value,
        _: Option<&IngestReport>,
    ) -> Result<IngestReport> {
        match value {
            Value::Null => Ok(IngestReport::default()),
            value => value.deserialize(),
        }
    }
}

/// A search with hooks around it.
pub(super) struct Search<'a> {
    pub(super) rag: &'a Rag,
    pub(super) cx: &'a Context,
}

impl<'a> Hooked for Search<'a> {
    type Input = (Cow<'a, str>, SearchOptions);
    type Output = Vec<Hit>;

    fn show(&self, (query, options): &Self::Input) -> Result<Map> {
        Ok(Map::from_iter([
            ("index".to_owned(), Value::from(self.rag.source())),
            ("query".to_owned(), Value::from(&**query)),
            ("options".to_owned(), Value::from_serialize(options)?),
        ]))
    }

    fn change(&self, (query, options): &mut Self::Input, mut changes: Map) -> Result<()> {
        match changes.shift_remove("query") {
            None => {}
            Some(Value::String(text)) => *query = Cow::Owned(text),
            Some(other) => {
                let message = format!("`query` is a value of type {}", other.type_name());
                return Err(Error::invalid_args(message).with_hint("give a text"));
            }
        }
        if let Some(given) = changes.shift_remove("options") {
            *options = SearchOptions::from_value(given)?;
        }
        Ok(())
    }

    async fn call(&mut self, (query, options): Self::Input) -> Result<Vec<Hit>> {
        search::run(&self.rag.0, self.cx, &query, options).await
    }

    fn result(&self, hits: &Vec<Hit>) -> Result<Value> {
        Value::from_serialize(hits)
    }

    fn replace(&self, _: &Self::Input, value: Value, _: Option<&Vec<Hit>>) -> Result<Vec<Hit>> {
        match value {
            Value::Null => Ok(Vec::new()),
            // Scripts write an empty list like an empty table.
            Value::Map(map) if map.is_empty() => Ok(Vec::new()),
            value => value.deserialize(),
        }
    }
}

fn show_source(source: &Source) -> Result<Value> {
    match source {
        Source::Path(path) => Ok(Value::from(path.as_str())),
        Source::Record(record) => Value::from_serialize(record),
    }
}

fn read_source(value: Value) -> Result<Source> {
    match value {
        Value::String(path) => Ok(Source::Path(path)),
        record => record.deserialize::<Record>().map(Source::Record),
    }
}

fn read_map(field: &str, value: Value) -> Result<Map> {
    match value {
        Value::Map(map) => Ok(map),
        Value::List(items) if items.is_empty() => Ok(Map::new()),
        other => {
            let message = format!("`{field}` is a value of type {}", other.type_name());
            Err(Error::invalid_args(message).with_hint("give a table"))
        }
    }
}
