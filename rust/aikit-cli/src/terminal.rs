//! The terminal: the only place of the command line that prints.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    engine::{Output, OutputSink, StreamName},
    io as runtime,
    services::{Ask, Question},
};
use futures::future::BoxFuture;

/// Prints a line on standard output. A reader that went away is not an error of the command.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints an error with its traceback and hint on standard error; answers the exit status.
pub(crate) fn show_error(error: &Error) -> u8 {
    let mut out = io::stderr().lock();
    drop(writeln!(out, "error: {}", error.message()));
    for frame in error.traceback() {
        drop(writeln!(out, "  {frame}"));
    }
    if let Some(hint) = error.hint() {
        drop(writeln!(out, "hint: {hint}"));
    }
    error.kind().exit_status()
}

/// Prints what clap has to say: help on standard output, a wrong command line on standard error.
pub(crate) fn show_usage(error: &clap::Error) -> u8 {
    drop(error.print());
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Where a script's output goes when there is no notebook.
#[derive(Debug, Default)]
pub(crate) struct TerminalSink(Mutex<()>);

impl OutputSink for TerminalSink {
    fn emit(&self, output: Output) {
        // One piece at a time, so that two streams do not mix within a line.
        let _turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match output {
            Output::Stream {
                name: StreamName::Stdout,
                text,
            } => write(&mut io::stdout().lock(), &text),
            Output::Stream {
                name: StreamName::Stderr,
                text,
            } => write(&mut io::stderr().lock(), &text),
            Output::Display { bundle, .. } => {
                if let Some(text) = bundle.get("text/plain").and_then(|it| it.as_str()) {
                    write(&mut io::stdout().lock(), &format!("{text}\n"));
                }
            }
            Output::Clear { .. } => {}
        }
    }
}

fn write(out: &mut impl io::Write, text: &str) {
    // As in `line`: a closed pipe ends the reading, not the script.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Asks on the terminal.
#[derive(Debug)]
pub(crate) struct TerminalAsk;

impl Ask for TerminalAsk {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(runtime::spawn_blocking(move || answer(&question)))
    }
}

fn answer(question: &Question) -> Result<String> {
    if question.secret {
        let message = "a terminal cannot hide what is typed here";
        return Err(Error::new(ErrorKind::Unavailable, message)
            .with_hint("set the secret in the environment"));
    }
    let choices = match &question.choices[..] {
        [] => String::new(),
        choices => format!(" [{}]", choices.join("/")),
    };
    write(
        &mut io::stderr().lock(),
        &format!("{}{choices} ", question.prompt),
    );
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(Error::new(
            ErrorKind::Cancelled,
            "nobody answered the question",
        ));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
