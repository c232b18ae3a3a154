//! The terminal: the only place of the command line that prints.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    choice::{ATTEMPTS_MAX, choose},
    engine::{Output, OutputSink, StreamName},
    io as runtime,
    progress::Progress,
    services::{Ask, Question, Reading},
};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{editor, stdin};

/// Exit status of a program whose reader went away, as the shell shows one that SIGPIPE ended.
const CLOSED_PIPE_STATUS: u8 = 141;

/// Prints a line on standard output.
///
/// # Errors
///
/// `io` or `no_space` when it cannot be written.
pub(crate) fn line(text: &str) -> Result<()> {
    write(&mut io::stdout().lock(), &format!("{text}\n"))
}

/// How wide the terminal is, where the shell says so.
pub(crate) fn columns() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok()?.parse().ok()?;
    (columns > 0).then_some(columns)
}

/// Text of a model or of a document as standard output gets it: a terminal must do nothing that
/// only the program may tell it, such as hide the question that follows.
pub(crate) fn foreign(text: &str) -> String {
    if io::stdout().is_terminal() {
        escape(text)
    } else {
        text.to_owned()
    }
}

/// Prints a piece of text on standard output, at once.
///
/// # Errors
///
/// `io` or `no_space` when it cannot be written.
pub(crate) fn text(text: &str) -> Result<()> {
    write(&mut io::stdout().lock(), text)
}

/// Prints a line on standard error, beside the result: what control characters it holds is shown
/// escaped, because it may come from a model.
pub(crate) fn note(text: &str) {
    // Without standard error there is no place to complain.
    drop(write(
        &mut io::stderr().lock(),
        &format!("{}\n", escape(text)),
    ));
}

/// Prints an error with its traceback and hint on standard error; answers the exit status. A
/// reader that went away is no news, as for other programs.
pub(crate) fn show_error(error: &Error) -> u8 {
    if is_closed_pipe(error) {
        return CLOSED_PIPE_STATUS;
    }
    let mut out = io::stderr().lock();
    // What an error quotes may come from a model, a server or a document.
    drop(writeln!(out, "error: {}", escape(error.message())));
    for frame in error.traceback() {
        drop(writeln!(out, "  {}", escape(frame)));
    }
    if let Some(hint) = error.hint() {
        drop(writeln!(out, "hint: {}", escape(hint)));
    }
    error.kind().exit_status()
}

fn is_closed_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|it| it.downcast_ref::<io::Error>());
    source.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints what clap has to say: help on standard output, a wrong command line on standard error.
pub(crate) fn show_usage(error: &clap::Error) -> u8 {
    match error.print() {
        Ok(()) => u8::try_from(error.exit_code()).unwrap_or(2),
        Err(error) => show_error(&error.into()),
    }
}

/// Why a program ends before its script does.
#[derive(Debug)]
enum Ending {
    /// The script said so.
    Exit(u8),
    /// Its output cannot be written.
    Failed(Error),
}

/// Where a script's output goes when there is no notebook.
#[derive(Debug, Default)]
pub(crate) struct TerminalSink {
    ending: Mutex<Option<Ending>>,
    /// The first task that failed and that nobody awaited.
    failed_task: Mutex<Option<ErrorKind>>,
    is_ending: CancellationToken,
    shows_tables: bool,
}

impl TerminalSink {
    /// One whose reader is a person.
    pub(crate) fn for_reader() -> Self {
        Self {
            shows_tables: true,
            ..Self::default()
        }
    }

    /// Waits until the program must end.
    pub(crate) async fn ending(&self) {
        self.is_ending.cancelled().await;
    }

    /// Whether the program must end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.is_cancelled()
    }

    /// Whether the program ends well, where it must end before its script does.
    pub(crate) fn ends_well(&self) -> Option<bool> {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = ending.as_ref()?;
        Some(matches!(ending, Ending::Exit(0)))
    }

    /// The status with which the script ended the program, if it did.
    ///
    /// # Errors
    ///
    /// `io` or `no_space` when its output could not be written.
    pub(crate) fn take_ending(&self) -> Result<Option<u8>> {
        let ending = self
            .ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match ending {
            None => Ok(None),
            Some(Ending::Exit(status)) => Ok(Some(status)),
            Some(Ending::Failed(error)) => Err(error),
        }
    }

    /// The kind of error of the first task that failed and that nobody awaited.
    pub(crate) fn failed_task(&self) -> Option<ErrorKind> {
        *self
            .failed_task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reason stays.
    fn end(&self, reason: Ending) {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.get_or_insert(reason);
        self.is_ending.cancel();
    }
}

/// The bar that is drawn in the last line of standard error, if there is one. A process has one
/// standard error, whatever runs in it.
#[derive(Debug)]
struct Bar {
    /// Columns it takes; 0 when there is none.
    width: usize,
    /// Questions whose answers are typed now.
    questions: usize,
}

static BAR: Mutex<Bar> = Mutex::new(Bar {
    width: 0,
    questions: 0,
});

/// One piece at a time is written, so that two streams do not mix within a line.
fn bar() -> MutexGuard<'static, Bar> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The user is being asked, until this is dropped: the last line is the question's.
struct Asked;

impl Asked {
    fn begin() -> Self {
        let mut bar = bar();
        bar.end();
        bar.questions += 1;
        Self
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        bar().questions -= 1;
    }
}

impl Bar {
    /// Draws a bar over the one before. Where nobody looks, or somebody types, nothing is drawn.
    fn draw(&mut self, progress: &Progress) {
        let mut err = io::stderr().lock();
        if self.questions > 0 || !err.is_terminal() {
            return;
        }
        let line = escape(&progress.line()).replace('\n', " ");
        let width = line.chars().count();
        // What a longer one left behind is overwritten, which any terminal can.
        let padding = " ".repeat(self.width.saturating_sub(width));
        drop(write!(err, "\r{line}{padding}").and_then(|()| err.flush()));
        self.width = width;
        if progress.is_over {
            drop(writeln!(err));
            self.width = 0;
        }
    }

    /// Leaves the line, because something else is written.
    fn end(&mut self) {
        if self.width > 0 {
            drop(writeln!(io::stderr().lock()));
            self.width = 0;
        }
    }
}

impl OutputSink for TerminalSink {
    fn emit(&self, output: Output) {
        let mut bar = bar();
        // After an exit, or when nobody can read it, nothing is written any more.
        if self.is_ending.is_cancelled() {
            return;
        }
        if !matches!(output, Output::Progress(_)) {
            bar.end();
        }
        let written = match output {
            Output::Stream {
                name: StreamName::Stdout,
                text,
            } => write(&mut io::stdout().lock(), &text),
            Output::Stream {
                name: StreamName::Stderr,
                text,
            } => {
                // Without standard error there is no place to complain.
                drop(write(&mut io::stderr().lock(), &text));
                Ok(())
            }
            Output::Display { bundle, .. } => {
                match bundle.get("text/plain").and_then(|it| it.as_str()) {
                    Some(text) => line(text),
                    None => Ok(()),
                }
            }
            Output::Progress(progress) => {
                bar.draw(&progress);
                Ok(())
            }
            Output::Clear { .. } => Ok(()),
        };
        if let Err(error) = written {
            self.end(Ending::Failed(error));
        }
    }

    fn exit(&self, status: u8) -> Result<()> {
        self.end(Ending::Exit(status));
        Ok(())
    }

    fn shows_tables(&self) -> bool {
        self.shows_tables
    }

    fn task_failed(&self, error: &Error) {
        let failed = self.failed_task.lock();
        let mut failed = failed.unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert(error.kind());
    }
}

fn write(out: &mut impl io::Write, text: &str) -> Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        let kind = Error::from(io::Error::from(error.kind())).kind();
        let message = format!("the output cannot be written: {error}");
        Error::new(kind, message)
            .with_hint("free some space, or send the output somewhere else")
            .with_source(error)
    })
}

/// Asks on the terminal, and reads standard input for scripts.
#[derive(Debug)]
pub(crate) struct TerminalAsk;

impl Ask for TerminalAsk {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let _asked = Asked::begin();
            if question.secret && is_interactive() {
                return edited(question).await;
            }
            runtime::spawn_blocking(move || answer(&question)).await
        })
    }

    fn read<'a>(
        &'a self,
        _: &'a Context,
        prompt: String,
        reading: Reading,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let _asked = Asked::begin();
            let read = move || {
                if !prompt.is_empty() {
                    drop(write(&mut io::stderr().lock(), &prompt));
                }
                stdin::read(&mut io::stdin().lock(), reading)
            };
            runtime::spawn_blocking(read).await
        })
    }
}

fn answer(question: &Question) -> Result<String> {
    let is_terminal = io::stdin().is_terminal();
    if !is_terminal && !question.choices.is_empty() {
        // What is piped to a script is its data and allows nothing.
        let message = "nobody can be asked: standard input is not a terminal";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    for _ in 0..ATTEMPTS_MAX {
        drop(write(&mut io::stderr().lock(), &prompt_of(question)));
        let line = stdin::read(&mut io::stdin().lock(), Reading::Line)?;
        let line = line.ok_or_else(editor::unanswered)?;
        let line =
            String::from_utf8(line).map_err(|_| Error::invalid_args("the answer is not UTF-8"))?;
        // A slip of the keyboard is no answer.
        if let Some(chosen) = choose(line.trim_end_matches('\r'), &question.choices) {
            return Ok(chosen);
        }
    }
    Err(undecided(question))
}

fn undecided(question: &Question) -> Error {
    let choices = question.choices.join("`, `");
    Error::invalid_args("the answer is none of the choices")
        .with_hint(format!("answer with one of `{choices}`"))
}

fn prompt_of(question: &Question) -> String {
    let choices = match &question.choices[..] {
        [] => String::new(),
        choices => format!(" [{}]", choices.join("/")),
    };
    escape(&format!("{}{choices} ", question.prompt))
}

/// Whether somebody sits at a terminal.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks through the line editor, which is the only reader of the terminal while cells are typed.
#[derive(Debug)]
pub(crate) struct EditedAsk;

impl Ask for EditedAsk {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let _asked = Asked::begin();
            edited(question).await
        })
    }
}

/// Stops the question when nobody waits for the answer any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn edited(question: Question) -> Result<String> {
    let stop = StopOnDrop(Arc::default());
    let prompt = prompt_of(&question);
    for _ in 0..ATTEMPTS_MAX {
        let (asked, prompt, secret) = (Arc::clone(&stop.0), prompt.clone(), question.secret);
        let asking = runtime::spawn_blocking(move || editor::ask(prompt, secret, asked));
        if let Some(chosen) = choose(&asking.await?, &question.choices) {
            return Ok(chosen);
        }
    }
    Err(undecided(&question))
}

/// A text as it is shown: what it quotes may come from a model or a document, and must neither move
/// the cursor nor turn the direction of the text, so that the user reads what is there.
pub(crate) fn escape(prompt: &str) -> String {
    let is_safe = |it: char| matches!(it, '\n' | '\t') || !(it.is_control() || is_format(it));
    let escaped = prompt.chars().map(|it| match it {
        it if is_safe(it) => it.to_string(),
        it => it.escape_unicode().to_string(),
    });
    escaped.collect()
}

/// Invisible characters, and those that change the direction of the text.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hide_a_part_of_a_question_is_escaped() {
        for (prompt, expected) in [
            ("Delete `ä.txt`?\n\tReally?", "Delete `ä.txt`?\n\tReally?"),
            ("a\x1b[2K\rb", r"a\u{1b}[2K\u{d}b"),
            ("a\u{202e}b\u{9b}c\u{200b}", r"a\u{202e}b\u{9b}c\u{200b}"),
        ] {
            assert_eq!(escape(prompt), expected);
        }
    }
}
