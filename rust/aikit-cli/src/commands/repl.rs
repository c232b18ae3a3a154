//! `aikit repl`: cells typed in a terminal, one after the other, in one session.

use std::{io as std_io, sync::Arc};

use aikit_core::{
    Error, Result, Value,
    engine::{Cell, Completeness},
    services::Reading,
};
use aikit_kernel::boot::{self, Boot};
use clap::Args;

use super::run::{execute, give_last_events};
use crate::{
    editor::{self, Editor, Typed},
    session::{ProfileName, setup},
    stdin,
    terminal::{self, TerminalSink},
};

#[derive(Args, Debug)]
pub(super) struct ReplArgs {
    /// What cells may touch
    #[arg(long, value_enum, default_value_t = ProfileName::Notebook)]
    profile: ProfileName,
}

/// Runs the command; answers the status with which a cell ends the program. Without a terminal it
/// is the one of the last cell.
///
/// # Errors
///
/// Those of the session; those of the cells are shown.
pub(super) fn run(args: &ReplArgs) -> Result<u8> {
    let mut setup = setup(args.profile)?;
    let is_terminal = terminal::is_interactive() && editor::is_capable();
    if is_terminal {
        setup.ask = Some(Arc::new(terminal::EditedAsk));
    }
    let boot = boot::open(setup)?;
    let sink = if is_terminal {
        TerminalSink::for_reader()
    } else {
        TerminalSink::default()
    };
    let mut repl = Repl {
        sink: Arc::new(sink),
        count: 0,
        boot,
    };
    let status = if is_terminal {
        repl.edit()
    } else {
        repl.read()
    };
    // While the engine is there, whose functions they are.
    give_last_events();
    status
}

struct Repl {
    boot: Boot,
    sink: Arc<TerminalSink>,
    /// Number of the last cell.
    count: usize,
}

impl Repl {
    /// Cells from the editor, until Ctrl-D.
    fn edit(&mut self) -> Result<u8> {
        let mut editor = self.editor()?;
        terminal::line("aikit: Lua cells; Tab completes, Ctrl-C stops, Ctrl-D leaves")?;
        loop {
            let typed = match editor.read() {
                Ok(typed) => typed,
                Err(error) => {
                    // A terminal that does not say where its cursor is; lines can still be read.
                    let message = format!("lines cannot be edited here: {}", error.message());
                    let hint = "set `TERM=dumb` to go on without editing from the beginning";
                    terminal::show_error(&Error::new(error.kind(), message).with_hint(hint));
                    return self.read();
                }
            };
            match typed {
                Typed::End => return Ok(0),
                Typed::Interrupt => {}
                Typed::Text(code) => {
                    self.run(code)?;
                    if let Some(status) = self.sink.take_ending()? {
                        return Ok(status);
                    }
                }
            }
        }
    }

    /// The editor; without a history where it cannot be kept, which is told.
    fn editor(&self) -> Result<Editor> {
        let engine = &self.boot.engine;
        let settings = &self.boot.components.config.shell;
        let file = settings.history_file();
        let history = file.as_deref().map(|path| (path, settings.history_lines));
        match Editor::new(engine, history) {
            Err(error) if history.is_some() => {
                let place = file.unwrap_or_default();
                let message = format!("the history is not kept in `{}`", place.display());
                terminal::show_error(&Error::new(error.kind(), message).with_hint(
                    "name another file as `history` in the section `[shell]` of `aikit.toml`",
                ));
                Editor::new(engine, None)
            }
            made => made,
        }
    }

    /// Cells from standard input, each as soon as its lines are whole.
    fn read(&mut self) -> Result<u8> {
        let (mut code, mut status) = (String::new(), 0);
        loop {
            let line = stdin::read(&mut std_io::stdin().lock(), Reading::WholeLine)?;
            let is_end = line.is_none();
            let line = String::from_utf8(line.unwrap_or_default())
                .map_err(|_| Error::invalid_args("standard input is not UTF-8"))?;
            code.push_str(&line);
            let is_whole = !matches!(
                self.boot.engine.is_complete(&code),
                Completeness::Incomplete { .. }
            );
            if !code.trim().is_empty() && (is_whole || is_end) {
                status = self.run(std::mem::take(&mut code))?;
                if let Some(status) = self.sink.take_ending()? {
                    return Ok(status);
                }
            }
            if is_end {
                return Ok(status);
            }
        }
    }

    /// Runs a cell and shows what it gives, or its error; answers the status of that.
    fn run(&mut self, code: String) -> Result<u8> {
        if code.trim().is_empty() {
            return Ok(0);
        }
        self.count += 1;
        let name = format!("cell [{}]", self.count);
        let cell = Cell {
            code,
            name,
            shell: None,
        };
        match execute(&self.boot, &self.sink, cell) {
            Ok(value) => {
                let text = value.as_ref().and_then(|it| it.get("text/plain"));
                if let Some(text) = text.and_then(Value::as_str) {
                    terminal::line(text)?;
                }
                Ok(0)
            }
            // How a cell ends the program says more than how it was stopped for that.
            Err(_) if self.sink.is_ending() => Ok(0),
            Err(error) => Ok(terminal::show_error(&error)),
        }
    }
}
