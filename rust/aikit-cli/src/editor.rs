//! Editing lines on a terminal: colours, completion, several lines, history, hidden answers.

use std::{
    borrow::Cow,
    fs,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use aikit_core::{
    Error, ErrorKind, Result,
    engine::{Completeness, ScriptEngine, SpanKind},
    io,
};
use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, Emacs, FileBackedHistory, Highlighter, KeyCode,
    KeyModifiers, MenuBuilder as _, Prompt, PromptEditMode, PromptHistorySearch,
    PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu, Signal, Span, StyledText,
    Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

/// Name of the menu of completions.
const MENU: &str = "completions";

/// What the user did at a prompt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Typed {
    /// Entered a text.
    Text(String),
    /// Pressed Ctrl-C.
    Interrupt,
    /// Pressed Ctrl-D on an empty line.
    End,
}

/// Whether the terminal shows colours: not when `NO_COLOR` says so.
pub(crate) fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the terminal can be edited on: one that is called `dumb` cannot.
pub(crate) fn is_capable() -> bool {
    std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Held by whoever reads the terminal: two readers would share the keys between them.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Edits the cells of a session.
pub(crate) struct Editor {
    reedline: Reedline,
    prompt: Label,
}

impl Editor {
    /// An editor for the language of `engine`; typed lines are kept in `history`, at most so many.
    ///
    /// # Errors
    ///
    /// `io` when the history cannot be kept there.
    pub(crate) fn new(
        engine: &Arc<dyn ScriptEngine>,
        history: Option<(&Path, usize)>,
    ) -> Result<Self> {
        let mut keys = default_emacs_keybindings();
        let complete = ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
        let menu = Box::new(ColumnarMenu::default().with_name(MENU));
        let mut reedline = Reedline::create()
            .use_bracketed_paste(true)
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_menu(ReedlineMenu::EngineCompleter(menu))
            .with_partial_completions(true)
            .with_quick_completions(true)
            .with_completer(Box::new(Words(Arc::clone(engine))))
            .with_validator(Box::new(Whole(Arc::clone(engine))))
            .with_highlighter(Box::new(Colours(Arc::clone(engine))))
            // A line that begins with a space is not kept, as in other shells.
            .with_history_exclusion_prefix(Some(" ".to_owned()))
            .with_ansi_colors(has_colours());
        if let Some((path, lines)) = history {
            reedline = reedline.with_history(Box::new(open_history(path, lines)?));
        }
        Ok(Self {
            reedline,
            prompt: Label {
                text: "aikit> ".to_owned(),
                more: "  ...> ",
            },
        })
    }

    /// Waits for a cell.
    ///
    /// # Errors
    ///
    /// `io` when the terminal cannot be edited on.
    pub(crate) fn read(&mut self) -> Result<Typed> {
        let _turn = turn();
        let typed = read(&mut self.reedline, &self.prompt)?;
        // What was typed outlives a crash; where it cannot be kept, the cells still run.
        drop(self.reedline.sync_history());
        Ok(typed)
    }
}

fn read(reedline: &mut Reedline, prompt: &Label) -> Result<Typed> {
    Ok(match reedline.read_line(prompt)? {
        Signal::Success(text) => Typed::Text(text),
        Signal::CtrlD => Typed::End,
        // Whatever else ends a line means that it is not wanted.
        _ => Typed::Interrupt,
    })
}

/// Opens the file of typed lines, which only the user can read.
fn open_history(path: &Path, lines: usize) -> Result<FileBackedHistory> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        options.mode(0o600);
        let file = options.open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    drop(options.open(path)?);
    FileBackedHistory::with_file(lines, path.to_owned()).map_err(|error| {
        let message = format!("the history `{}` cannot be read: {error}", path.display());
        Error::new(ErrorKind::Io, message)
    })
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    Ok(builder.create(folder)?)
}

/// Asks on the terminal and waits for a line. When `stop` is set, it waits no more. What is typed
/// is hidden where it is `secret`.
///
/// # Errors
///
/// `interrupted` after Ctrl-C, `unavailable` after Ctrl-D, `io` when the terminal cannot be edited
/// on.
pub(crate) fn ask(prompt: String, secret: bool, stop: Arc<AtomicBool>) -> Result<String> {
    let _turn = turn();
    if stop.load(Ordering::SeqCst) {
        return Err(interrupted());
    }
    let mut reedline = Reedline::create()
        .use_bracketed_paste(true)
        .with_break_signal(stop)
        .with_ansi_colors(false);
    if secret {
        reedline = reedline.with_highlighter(Box::new(Hidden));
    }
    let more = "";
    match read(&mut reedline, &Label { text: prompt, more })? {
        Typed::Text(text) => Ok(text),
        Typed::Interrupt => Err(interrupted()),
        Typed::End => Err(unanswered()),
    }
}

fn interrupted() -> Error {
    Error::interrupted("the question was interrupted")
}

/// The error of a question that nobody answers.
pub(crate) fn unanswered() -> Error {
    Error::new(ErrorKind::Unavailable, "nobody answered the question")
        .with_hint("answer on the terminal, or write the answer to standard input")
}

/// What stands before the lines.
struct Label {
    text: String,
    more: &'static str,
}

impl Prompt for Label {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.more)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing found, ",
        };
        Cow::Owned(format!("({found}search: {}) ", search.term))
    }
}

/// Colours what the language says its pieces are.
struct Colours(Arc<dyn ScriptEngine>);

impl Highlighter for Colours {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        for span in self.0.spans(line) {
            let style = match span.kind {
                SpanKind::Keyword => Style::new().fg(Color::Purple),
                SpanKind::Number => Style::new().fg(Color::Cyan),
                SpanKind::Text => Style::new().fg(Color::Green),
                SpanKind::Comment => Style::new().fg(Color::DarkGray),
                SpanKind::Call => Style::new().fg(Color::Blue),
                SpanKind::Plain => Style::new(),
            };
            styled.push((style, line[span.start..span.end].to_owned()));
        }
        styled
    }
}

/// Shows nothing of what is typed but its length.
struct Hidden;

impl Highlighter for Hidden {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        // As many bytes as the text has, so that the cursor finds its place.
        styled.push((Style::new(), "*".repeat(line.len())));
        styled
    }
}

/// Completes words as a notebook does.
struct Words(Arc<dyn ScriptEngine>);

impl Completer for Words {
    fn complete(&mut self, line: &str, cursor: usize) -> CompletionResult {
        let (engine, code) = (Arc::clone(&self.0), line.to_owned());
        let completing = async move { engine.complete(&code, cursor).await };
        let found = io::wait(completing, || Ok(())).flatten();
        // Without an answer there is nothing to offer.
        let found = found.unwrap_or_default();
        let span = Span::new(found.start, found.end);
        let suggestions = found.matches.into_iter().map(|it| Suggestion {
            value: it.text,
            span,
            ..Suggestion::default()
        });
        CompletionResult::fresh(suggestions.collect::<Vec<_>>())
    }
}

/// Enter begins a new line while the code is not whole.
struct Whole(Arc<dyn ScriptEngine>);

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        match self.0.is_complete(line) {
            Completeness::Incomplete { .. } => ValidationResult::Incomplete,
            Completeness::Complete | Completeness::Invalid => ValidationResult::Complete,
        }
    }
}
