//! `aikit run FILE.lua`: runs a script and ends with the status of its error, if it fails.

use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Error, ErrorKind, Result, Value, broadcast,
    context::Overrides,
    engine::{Cell, ScriptEngine, run_cell},
    io,
    value::Map,
};
use aikit_kernel::boot::{self, Boot};
use clap::Args;
use futures::future::{Either, select};

use super::tape::{self, TapeArgs};
use crate::{
    session::{ProfileName, setup},
    terminal::{self, TerminalSink},
};

/// Largest script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// File to run; `-` reads standard input
    #[arg(value_name = "FILE", required_unless_present = "code")]
    file: Option<PathBuf>,
    /// Code to run instead of a file; the value of its last expression is shown
    #[arg(short = 'e', value_name = "CODE", conflicts_with = "file")]
    code: Option<String>,
    /// What the script may touch
    #[arg(long, value_enum, default_value_t = ProfileName::Notebook)]
    profile: ProfileName,
    #[command(flatten)]
    tape: TapeArgs,
    /// Arguments of the script, in its globals `arg` and `ARGS`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Runs the command; answers the status with which the script ends the program, that of a task
/// which failed and was not awaited, or 0.
///
/// # Errors
///
/// The script's own, `interrupted` after Ctrl-C, or why the file cannot be read.
pub(super) fn run(args: RunArgs) -> Result<u8> {
    let shows_value = args.code.is_some();
    let (name, code) = source(args.file.as_deref(), args.code)?;
    let boot = boot::open(setup(args.profile)?)?;
    let sink = Arc::new(TerminalSink::default());
    let prelude = Cell {
        code: arguments(&name, &args.args),
        name: "arguments".to_owned(),
        shell: None,
    };
    execute(&boot, &sink, prelude)?;
    let run = || {
        let cell = Cell {
            code,
            name,
            shell: None,
        };
        let outcome = execute(&boot, &sink, cell);
        // While the engine is there, whose functions they are.
        give_last_events();
        outcome
    };
    // How the program ends says more than how its script was stopped for that.
    let succeeds = |outcome: &Result<_>| {
        let is_well = || outcome.is_ok() && sink.failed_task().is_none();
        sink.ends_well().unwrap_or_else(is_well)
    };
    let outcome = tape::within(&boot.components, &args.tape, run, succeeds)?;
    if let Some(status) = sink.take_ending()? {
        return Ok(status);
    }
    let value = outcome?;
    let text = value.as_ref().and_then(|it| it.get("text/plain"));
    if let Some(text) = text.and_then(Value::as_str)
        && shows_value
    {
        terminal::line(text)?;
    }
    // Its error is on standard error already.
    Ok(sink.failed_task().map_or(0, ErrorKind::exit_status))
}

/// The name and the code of what is to be run.
fn source(file: Option<&Path>, code: Option<String>) -> Result<(String, String)> {
    let file = match (code, file) {
        (Some(code), _) => return Ok(("command line".to_owned(), code)),
        (None, Some(file)) => file,
        (None, None) => return Err(Error::invalid_args("there is nothing to run")),
    };
    let (name, bytes) = read(file)?;
    if bytes.len() as u64 > SCRIPT_BYTES_MAX {
        let message = format!("`{name}` is larger than {SCRIPT_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    let code = String::from_utf8(bytes).map_err(|_| {
        Error::invalid_args(format!("`{name}` is not UTF-8")).with_hint("give a Lua source file")
    })?;
    Ok((name, code))
}

/// The name and up to one byte more than the largest script of a file or standard input.
fn read(file: &Path) -> Result<(String, Vec<u8>)> {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin {
        "stdin".to_owned()
    } else {
        file.display().to_string()
    };
    let unreadable = |error: std::io::Error| {
        let error = Error::from(error);
        let message = format!("cannot read `{name}`: {}", error.message());
        Error::new(error.kind(), message)
            .with_hint("give the path of a Lua file, or `-` for standard input")
    };
    let mut bytes = Vec::new();
    if is_stdin {
        let input = std::io::stdin().lock();
        input
            .take(SCRIPT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let input = std::fs::File::open(file).map_err(unreadable)?;
        input
            .take(SCRIPT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    // A mark that some editors put before a text; it is no part of it.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok((name, bytes))
}

/// Lua code that sets `arg` and `ARGS`.
fn arguments(name: &str, args: &[String]) -> String {
    let mut code = format!("arg = {{[0] = {}", quote(name));
    for arg in args {
        code.push_str(", ");
        code.push_str(&quote(arg));
    }
    code.push_str("}\nARGS = arg;");
    code
}

/// A Lua string that stands for any text.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'"' && byte != b'\\' => quoted.push(char::from(byte)),
            _ => drop(write!(quoted, "\\{byte:03}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Runs one cell as a procedure and a request of its own, as a kernel does; Ctrl-C interrupts it, as
/// often as it is pressed, and an end of the program stops it.
pub(super) fn execute(boot: &Boot, sink: &Arc<TerminalSink>, cell: Cell) -> Result<Option<Map>> {
    let engine: Arc<dyn ScriptEngine> = Arc::clone(&boot.engine);
    let context = boot.components.tool_context().context;
    let cx = context.request_child(Overrides::default());
    let (output, sink) = (Arc::clone(sink), Arc::clone(sink));
    let work = async move {
        let mut running = {
            let (engine, cx) = (Arc::clone(&engine), cx.clone());
            let output = Arc::clone(&output);
            Box::pin(async move { run_cell(&*engine, &cx, cell, output, |_| ()).await })
        };
        let mut ending = Box::pin(sink.ending());
        loop {
            let pressed = Box::pin(tokio::signal::ctrl_c());
            let stopped = select(ending, pressed);
            match select(running, stopped).await {
                // Both may be there at once: the end stops the script, which then fails.
                Either::Left(_) if output.is_ending() => return Ok(None),
                Either::Left((result, _)) => return result,
                Either::Right((Either::Left(_), _)) => return Ok(None),
                Either::Right((Either::Right((_, goes_on)), rest)) => {
                    engine.interrupt();
                    (running, ending) = (rest, goes_on);
                }
            }
        }
    };
    io::wait(work, || Ok(())).flatten()
}

/// Lets functions have the events that were published last, and says what they did not get.
pub(super) fn give_last_events() {
    let left = broadcast::settle(|| Ok(()));
    if left > 0 {
        terminal::note(&format!("warning: {} (left={left})", broadcast::LEFT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_lua_strings_whatever_they_hold() {
        let args = ["a b".to_owned(), "\"\\\n".to_owned(), "ä1".to_owned()];
        assert_eq!(
            arguments("x.lua", &args),
            "arg = {[0] = \"x.lua\", \"a b\", \"\\034\\092\\010\", \"\\195\\1641\"}\nARGS = arg;"
        );
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_do() {
        let error = source(Some(Path::new("/nowhere/x.lua")), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("`/nowhere/x.lua`"), "{error}");
        assert!(error.hint().is_some());
    }
}
