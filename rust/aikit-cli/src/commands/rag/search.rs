//! `aikit rag search QUESTION`: finds chunks.

use std::io::{self as std_io, IsTerminal as _};

use aikit_components::{
    rag::{self, Hit, Rag, SearchOptions},
    registry::Components,
};
use aikit_core::{Error, Result, Value, io, value::Map};
use clap::Args;

use super::index::{IndexArgs, columns, one_line, shorten};
use crate::{
    session::{ProfileName, setup},
    terminal,
};

/// Longest beginning of a text on a line for other programs; `--json` gives the whole.
const TEXT_CHARS_MAX: usize = 200;

#[derive(Args, Debug)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    index: IndexArgs,
    /// The question
    #[arg(value_name = "QUESTION")]
    query: String,
    #[command(flatten)]
    how: HowArgs,
}

/// How chunks are searched.
#[derive(Args, Debug)]
pub(super) struct HowArgs {
    /// Number of chunks, 1 to 1000
    #[arg(short, long, default_value_t = rag::K_DEFAULT)]
    k: usize,
    /// `hybrid` (vectors and words), `dense` (vectors) or `keyword` (words)
    #[arg(long, default_value = "hybrid")]
    mode: String,
    /// How a hybrid search makes one order of two: `convex` (scores) or `rrf` (ranks)
    #[arg(long, default_value = "convex")]
    fusion: String,
    /// Share of the vectors in a hybrid score, 0 to 1
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    dense_weight: Option<f64>,
    /// Leaves hits with a lower score out
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    min_score: Option<f64>,
    /// Which documents are searched: {"year": {"gte": 2024}, "lang": "en"}
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
}

impl HowArgs {
    /// The options of the search.
    ///
    /// # Errors
    ///
    /// `invalid_args` for options that do not fit.
    pub(super) fn read(self) -> Result<SearchOptions> {
        let filter = self.filter.as_deref().map(json_object).transpose()?;
        let given = Value::map([
            ("mode", Value::from(self.mode)),
            ("fusion", Value::from(self.fusion)),
            ("dense_weight", Value::from(self.dense_weight)),
            ("min_score", Value::from(self.min_score)),
            ("filter", Value::Map(filter.unwrap_or_default())),
        ]);
        Ok(SearchOptions {
            k: self.k,
            ..SearchOptions::from_value(given)?
        })
    }
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` for an index that is not there, `invalid_args` for options that do not fit, those
/// of the index.
pub(super) fn run(args: SearchArgs) -> Result<()> {
    // No script runs here, so no engine is made.
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let options = args.index.existing(&components)?;
    let search_options = args.how.read()?;
    let cx = components.tool_context();
    let query = args.query;
    let work = async move {
        let rag = Rag::open(&cx.context, options).await?;
        rag.search(&cx, &query, search_options).await
    };
    let hits = io::wait(work, || Ok(())).flatten()?;
    show_hits(&hits, args.index.json)
}

fn json_object(text: &str) -> Result<Map> {
    let hint = "write `--filter '{\"year\": {\"gte\": 2024}}'`";
    let parsed: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        Error::invalid_args(format!("the filter is not JSON: {error}")).with_hint(hint)
    })?;
    match Value::from_json(parsed) {
        Value::Map(map) => Ok(map),
        other => {
            let message = format!("the filter is {}, not an object", other.type_name());
            Err(Error::invalid_args(message).with_hint(hint))
        }
    }
}

/// A table in a terminal; a line a hit, its fields separated by tabs, for other programs.
fn show_hits(hits: &[Hit], as_json: bool) -> Result<()> {
    if as_json {
        return terminal::line(&Value::from_serialize(hits)?.to_string());
    }
    if !std_io::stdout().is_terminal() {
        return hits.iter().try_for_each(|hit| {
            terminal::line(&format!(
                "{:.4}\t{}\t{}",
                hit.score,
                hit.id,
                shorten(&one_line(&hit.text), TEXT_CHARS_MAX)
            ))
        });
    }
    if hits.is_empty() {
        return terminal::line("nothing was found");
    }
    for row in rows(hits, columns()) {
        terminal::line(&row)?;
    }
    Ok(())
}

/// The rows of a table that is `columns` wide: score, place and the beginning of the text.
fn rows(hits: &[Hit], columns: usize) -> Vec<String> {
    let places: Vec<String> = hits.iter().map(|hit| one_line(&place(hit))).collect();
    let widest = places
        .iter()
        .map(|it| it.chars().count())
        .max()
        .unwrap_or(0);
    let width = widest.clamp("source".len(), (columns / 2).max("source".len()));
    let left = columns.saturating_sub(width + "score".len() + 5).max(10);
    let mut rows = vec![format!("score  {:width$}  text", "source")];
    for (hit, place) in hits.iter().zip(places) {
        let place = shorten(&place, width);
        let text = shorten(&one_line(&hit.text), left);
        rows.push(format!("{:5.2}  {place:width$}  {text}", hit.score));
    }
    rows
}

fn place(hit: &Hit) -> String {
    let headings = hit.headings.iter().map(String::as_str);
    let parts: Vec<&str> = std::iter::once(hit.source.as_str())
        .chain(headings)
        .collect();
    parts.join(" > ")
}

#[cfg(test)]
mod tests {
    use aikit_components::rag::StageScores;

    use super::*;

    fn hit(source: &str, text: &str) -> Hit {
        Hit {
            id: format!("{source}#0"),
            text: text.to_owned(),
            score: 0.5,
            scores: StageScores::default(),
            source: source.to_owned(),
            title: None,
            headings: vec!["Top".to_owned()],
            start: 0,
            end: text.len(),
            metadata: Map::new(),
        }
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_and_does_nothing_to_it() {
        let long = "word ".repeat(100);
        let hits = [hit("a.md", &long), hit("b\x1b[2J.md", "two\nlines")];
        let rows = rows(&hits, 60);
        assert_eq!(rows.len(), 3);
        assert!(
            rows.iter().all(|row| row.chars().count() <= 60),
            "{rows:#?}"
        );
        assert!(rows[1].contains("a.md > Top") && rows[1].ends_with('…'));
        assert!(rows[2].contains("two lines") && !rows[2].contains('\x1b'));
    }

    #[test]
    fn a_filter_that_is_no_object_is_refused() {
        for text in ["[1]", "{", "1"] {
            assert!(json_object(text).unwrap_err().hint().is_some(), "{text}");
        }
    }
}
