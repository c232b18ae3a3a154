//! `search_files`: finds lines in the files of a folder.

use std::time::Duration;

use aikit_core::{
    Error, ErrorKind, Result, io,
    services::{ListOptions, Permission},
    tool::{Tool, ToolContext},
};
use bytes::Bytes;
use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most files one call looks into.
const FILES_MAX: usize = 50_000;

/// Most bytes of one file that are looked at.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Largest file that is searched in place; it takes a millisecond.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Most characters of a line that are shown.
const LINE_CHARACTERS_MAX: usize = 500;

/// Matches that are given when `max_matches` is left out.
const MATCHES: usize = 100;
const MATCHES_MAX: usize = 2000;
const CONTEXT_LINES_MAX: usize = 10;

/// Largest compiled regular expression in bytes.
const REGEX_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct SearchFiles;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Text to find, or a regular expression when `regex` is true.
    pattern: String,
    /// Folder or file to search, relative to the working directory; the working directory itself
    /// when left out.
    #[serde(default = "here")]
    path: String,
    /// Whether `pattern` is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
    /// Lines to show before and after each match, 0 to 10.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    context_lines: usize,
    /// Globs of files to search, such as `*.md` or `docs/**/*.rst`; all files when left out.
    #[serde(default)]
    include: Vec<String>,
    /// Globs of files and folders to leave out.
    #[serde(default)]
    exclude: Vec<String>,
    /// Most matches to give, 1 to 2000; 100 when left out.
    #[schemars(range(min = 1, max = 2000))]
    max_matches: Option<usize>,
}

fn here() -> String {
    ".".to_owned()
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The matching lines, by path and line number.
    matches: Vec<Match>,
    /// Number of files that were searched.
    files_searched: usize,
    /// Whether there may be more: a limit ended the search.
    limited: bool,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
struct Match {
    /// Path of the file, as `read_file` takes it.
    path: String,
    /// Number of the line, from 1.
    line: u64,
    /// The line without its end; a long one is cut and ends with `…`.
    text: String,
    /// Lines before it.
    before: Vec<String>,
    /// Lines after it.
    after: Vec<String>,
}

impl Tool for SearchFiles {
    const NAME: &'static str = "search_files";
    const SUMMARY: &'static str = "Finds lines that contain a text or match a regular expression \
                                   in the files of a folder.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileRead];
    const TIMEOUT: Duration = Duration::from_mins(2);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let matcher = compile(&args)?;
        let most = bounded(
            "max_matches",
            args.max_matches.unwrap_or(MATCHES),
            1,
            MATCHES_MAX,
        )?;
        let context = bounded("context_lines", args.context_lines, 0, CONTEXT_LINES_MAX)?;
        let files = cx.services.files()?;
        let options = ListOptions {
            hidden: false,
            honour_ignore: true,
            include: args.include,
            exclude: args.exclude,
            max_entries: FILES_MAX,
        };
        let paths = files.list(&cx.context, &args.path, options).await?;
        let mut search = Search::new(matcher, context, most);
        search.limited = paths.len() == FILES_MAX;
        for path in paths {
            let path = path.to_string_lossy().into_owned();
            let part = match files.read(&cx.context, &path, 0, FILE_BYTES_MAX).await {
                Ok(part) => part,
                Err(error) if is_skippable(&error) => continue,
                Err(error) => return Err(error),
            };
            search.limited |= part.total_bytes > FILE_BYTES_MAX;
            search = search.file(path, part.bytes).await?;
            if search.matches.len() > most {
                break;
            }
        }
        Ok(search.finish())
    }
}

/// A file that went away or that the system does not let be read does not end the search.
fn is_skippable(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Io | ErrorKind::InvalidArgs
    )
}

fn compile(args: &Args) -> Result<RegexMatcher> {
    if args.pattern.is_empty() {
        return Err(Error::invalid_args("`pattern` is empty").with_hint("give a text to find"));
    }
    RegexMatcherBuilder::new()
        .case_insensitive(args.ignore_case)
        .fixed_strings(!args.regex)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .multi_line(true)
        .crlf(true)
        .build(&args.pattern)
        .map_err(|error| {
            Error::invalid_args(format!("`pattern` cannot be searched for: {error}"))
                .with_hint("a pattern matches within one line; leave `regex` out for plain text")
        })
}

fn bounded(name: &str, value: usize, least: usize, most: usize) -> Result<usize> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid_args(format!("`{name}` is {value}"))
        .with_hint(format!("give {least} to {most}")))
}

/// A search over many files.
struct Search {
    matcher: RegexMatcher,
    searcher: Searcher,
    most: usize,
    matches: Vec<Match>,
    files: usize,
    limited: bool,
}

impl Search {
    fn new(matcher: RegexMatcher, context: usize, most: usize) -> Self {
        let searcher = SearcherBuilder::new()
            .binary_detection(BinaryDetection::quit(0))
            .line_terminator(LineTerminator::crlf())
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .build();
        Self {
            matcher,
            searcher,
            most,
            matches: Vec::new(),
            files: 0,
            limited: false,
        }
    }

    /// Searches one file; a large one on a thread that others do not wait for.
    async fn file(mut self, path: String, bytes: Bytes) -> Result<Self> {
        if bytes.len() <= INLINE_BYTES_MAX {
            self.slice(path, &bytes)?;
            return Ok(self);
        }
        io::spawn_blocking(move || {
            self.slice(path, &bytes)?;
            Ok(self)
        })
        .await
    }

    fn slice(&mut self, path: String, bytes: &[u8]) -> Result<()> {
        self.files += 1;
        let room = self.most + 1 - self.matches.len();
        let mut lines = Lines {
            path,
            room,
            found: Vec::new(),
            before: Vec::new(),
        };
        self.searcher
            .search_slice(&self.matcher, bytes, &mut lines)
            .map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    format!("`{}` cannot be searched: {error}", lines.path),
                )
            })?;
        self.matches.append(&mut lines.found);
        Ok(())
    }

    fn finish(mut self) -> Output {
        self.limited |= self.matches.len() > self.most;
        self.matches.truncate(self.most);
        Output {
            matches: self.matches,
            files_searched: self.files,
            limited: self.limited,
        }
    }
}

/// Takes the lines of one file as the searcher finds them.
struct Lines {
    path: String,
    /// Matches that may still be taken.
    room: usize,
    found: Vec<Match>,
    /// Context lines that belong to the next match.
    before: Vec<String>,
}

impl Sink for Lines {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> std::io::Result<bool> {
        if self.found.len() == self.room {
            return Ok(false);
        }
        self.found.push(Match {
            path: self.path.clone(),
            line: line.line_number().unwrap_or_default(),
            text: shown(line.bytes()),
            before: std::mem::take(&mut self.before),
            after: Vec::new(),
        });
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> std::io::Result<bool> {
        match (line.kind(), self.found.last_mut()) {
            (SinkContextKind::After, Some(found)) => found.after.push(shown(line.bytes())),
            (SinkContextKind::Before, _) => self.before.push(shown(line.bytes())),
            _ => {}
        }
        Ok(true)
    }
}

fn shown(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    match line.char_indices().nth(LINE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
