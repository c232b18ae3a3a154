//! `aikit rag ingest SOURCE…`: takes documents in.

use std::io::{self as std_io, IsTerminal as _, Write as _};

use aikit_components::{
    rag::{IngestOptions, IngestReport, Rag, Source},
    registry::Components,
};
use aikit_core::{
    Error, ErrorKind, Result, Value, event::Subscription, tool::ToolContext, value::Map,
};
use clap::Args;

use super::index::{IndexArgs, columns, one_line, shorten};
use crate::{
    session::{ProfileName, setup, wait_and},
    terminal,
};

/// Exit status when some sources could not be ingested.
const SOME_FAILED: u8 = 1;

/// Most files that were left out and are named.
const SKIPPED_SHOWN_MAX: usize = 10;

#[derive(Args, Debug)]
pub(super) struct IngestArgs {
    #[command(flatten)]
    index: IndexArgs,
    /// Files, folders, globs or addresses of pages
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// `tokens`, `markdown` or `whole`
    #[arg(long, default_value = "tokens")]
    chunker: String,
    /// Most tokens of a chunk
    #[arg(long, value_name = "N")]
    chunk_size_tokens: Option<usize>,
    /// Tokens that two chunks of one section share; an eighth of the size, at most 64, when left out
    #[arg(long, value_name = "N")]
    chunk_overlap_tokens: Option<usize>,
    /// What happens to documents whose file is gone: `delete` or `keep`
    #[arg(long, default_value = "delete")]
    gone: String,
    /// What is known about every document of this call; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
}

/// Runs the command; answers the exit status.
///
/// # Errors
///
/// `invalid_args` for options that do not fit, those of the index, and the first source's own when
/// nothing at all was found.
pub(super) fn run(args: IngestArgs) -> Result<u8> {
    // No script runs here, so no engine is made.
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let mut options = args.index.options(&components)?;
    options.chunker = args.chunker;
    if let Some(size) = args.chunk_size_tokens {
        options.chunk_size_tokens = size;
    }
    options.chunk_overlap_tokens = args.chunk_overlap_tokens;
    let given = Value::map([
        ("gone", Value::from(args.gone)),
        ("metadata", Value::Map(metadata(&args.metadata)?)),
    ]);
    let ingest_options = IngestOptions::from_value(given)?;
    let sources = args.sources.into_iter().map(Source::Path).collect();
    let cx = components.tool_context();
    let mut progress = Progress::of(&cx);
    let work = |context| async move {
        let cx = cx.with_context(context);
        let rag = Rag::open(&cx.context, options).await?;
        rag.ingest(&cx, sources, ingest_options).await
    };
    let report = wait_and(&components.context, work, || progress.draw());
    progress.clear();
    let report = report.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => {
            error.with_hint("what is stored stays: the same command again goes on from there")
        }
        _ => error,
    })?;
    show_report(&report, args.index.json)?;
    Ok(if report.failed.is_empty() {
        0
    } else {
        SOME_FAILED
    })
}

/// `NAME=VALUE` pairs; a value that is JSON is taken as such, so that years are numbers.
fn metadata(pairs: &[String]) -> Result<Map> {
    let read = |pair: &String| {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(Error::invalid_args(format!("`{pair}` is not `NAME=VALUE`"))
                .with_hint("write `--metadata year=2024`"));
        };
        let value = serde_json::from_str(text).map_or_else(|_| Value::from(text), Value::from_json);
        Ok((name.to_owned(), value))
    };
    pairs.iter().map(read).collect()
}

fn show_report(report: &IngestReport, as_json: bool) -> Result<()> {
    if as_json {
        return terminal::line(&Value::from_serialize(report)?.to_string());
    }
    for failure in &report.failed {
        let line = format!("{}: {} ({})", failure.source, failure.reason, failure.kind);
        terminal::note(&terminal::escape(&line));
    }
    for skipped in report.skipped.iter().take(SKIPPED_SHOWN_MAX) {
        let line = format!("{}: skipped, {}", skipped.source, skipped.reason);
        terminal::note(&terminal::escape(&line));
    }
    let skipped = report.skipped.len();
    if skipped > SKIPPED_SHOWN_MAX {
        let more = skipped - SKIPPED_SHOWN_MAX;
        terminal::note(&format!("… {more} more were skipped; `--json` names all"));
    }
    let skipped = match skipped {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    terminal::line(&format!(
        "{} added, {} updated, {} unchanged, {} deleted, {} failed{skipped}; {} chunks written, {} \
         embedded",
        report.added,
        report.updated,
        report.unchanged,
        report.deleted,
        report.failed.len(),
        report.chunks,
        report.embedded,
    ))
}

/// How far an ingest is, on one line of standard error, where that is a terminal.
struct Progress {
    events: Option<Subscription>,
    is_drawn: bool,
}

impl Progress {
    fn of(cx: &ToolContext) -> Self {
        let is_seen = std_io::stderr().is_terminal();
        let events = is_seen.then(|| cx.context.events().subscribe("rag.ingest.progress"));
        Self {
            events,
            is_drawn: false,
        }
    }

    /// Draws the last of what happened since.
    fn draw(&mut self) {
        let mut last = None;
        while let Some(event) = self.events.as_mut().and_then(Subscription::try_next) {
            last = Some(event);
        }
        let Some(event) = last else {
            return;
        };
        let number = |name: &str| event.data.get(name).and_then(Value::as_i64).unwrap_or(0);
        let source = event.data.get("source").and_then(Value::as_str);
        let text = format!(
            "{}/{} documents, {} chunks, {} failed: {}",
            number("done"),
            number("total"),
            number("chunks"),
            number("failed"),
            one_line(source.unwrap_or_default()),
        );
        let columns = columns();
        draw_over(&shorten(&text, columns.saturating_sub(1)));
        self.is_drawn = true;
    }

    fn clear(&mut self) {
        if self.is_drawn {
            draw_over("");
        }
    }
}

/// Replaces the line of the progress.
fn draw_over(text: &str) {
    // Who cannot see it misses nothing that matters.
    drop(write!(std_io::stderr().lock(), "\r\x1b[2K{text}"));
    drop(std_io::stderr().lock().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_json_where_it_can_be() {
        let pairs = ["year=2024", "lang=en", "tags=[\"a\"]", "empty="].map(str::to_owned);
        let map = metadata(&pairs).unwrap();
        assert_eq!(map["year"], Value::Int(2024));
        assert_eq!(map["lang"], Value::from("en"));
        assert_eq!(map["tags"].as_list().unwrap().len(), 1);
        assert_eq!(map["empty"], Value::from(""));
        assert!(metadata(&["x".to_owned()]).unwrap_err().hint().is_some());
    }
}
