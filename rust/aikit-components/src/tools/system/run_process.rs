//! `run_process`: runs a program, without a shell.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use aikit_core::{
    Error, Result,
    services::{Permission, ProcessRequest},
    tool::{Tool, ToolContext},
};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools;

const TIMEOUT_S: f64 = 60.0;

/// Bytes of each output that are kept when `max_bytes` is left out, and at most: the answer must
/// stay below the limit of all answers.
const OUTPUT_BYTES: usize = 64 << 10;
const OUTPUT_BYTES_MAX: usize = 256 << 10;

/// Most bytes of each output as text: what is replaced or escaped takes more than it did.
const TEXT_BYTES_MAX: usize = 480 << 10;

/// Most arguments and variables, and most bytes of all of them: systems refuse more.
const WORDS_MAX: usize = 1000;
const WORDS_BYTES_MAX: usize = 128 << 10;

#[derive(Debug, Default)]
pub(super) struct RunProcess;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the words of the argument vector are `args`"
)]
pub(super) struct Args {
    /// Program: its name, or its path.
    program: String,
    /// Its arguments, one by one; nothing in them is expanded, because there is no shell.
    #[serde(default)]
    args: Vec<String>,
    /// What it reads from standard input.
    stdin: Option<String>,
    /// Folder it runs in; the working directory when left out.
    #[serde(default = "here")]
    cwd: String,
    /// Environment variables to set, by name.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Longest time in seconds, up to 60, which it is when left out.
    #[schemars(range(min = 0.001, max = 60.0))]
    timeout_s: Option<f64>,
    /// Most bytes to keep of each output, up to 262144; 65536 when left out.
    #[schemars(range(min = 1, max = 262_144))]
    max_bytes: Option<usize>,
}

// By hand: all but a few fields may hold secrets.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args")
            .field("program", &self.program)
            .field("cwd", &self.cwd)
            .field("timeout_s", &self.timeout_s)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

fn here() -> String {
    ".".to_owned()
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// Exit status; null when a signal ended it.
    exit_code: Option<i32>,
    /// Number of the signal that ended it.
    signal: Option<i32>,
    /// Standard output, what is not UTF-8 replaced.
    stdout: String,
    /// Standard error, in the same way.
    stderr: String,
    /// Whether one of them is cut: at `max_bytes`, at 480 KiB of its text, or because a program
    /// left running kept it open.
    limited: bool,
    /// How long it ran, in milliseconds.
    elapsed_ms: f64,
}

impl Tool for RunProcess {
    const NAME: &'static str = "run_process";
    const SUMMARY: &'static str = "Runs a program with arguments, without a shell, to its end, with all it started; gives its \
         outputs and exit status.";
    const PERMISSIONS: &'static [Permission] = &[Permission::Process];
    // Beyond the longest run: a person may have to approve it.
    const TIMEOUT: Duration = Duration::from_mins(11);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let request = build(args)?;
        let output = cx.services.processes()?.run(&cx.context, request).await?;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            tools::fit(text, TEXT_BYTES_MAX)
        };
        let (stdout, is_out_cut) = text(&output.stdout);
        let (stderr, is_err_cut) = text(&output.stderr);
        Ok(Output {
            exit_code: output.exit_code,
            signal: output.signal,
            stdout,
            stderr,
            limited: output.limited || is_out_cut || is_err_cut,
            elapsed_ms: output.elapsed.as_secs_f64() * 1000.0,
        })
    }
}

fn build(args: Args) -> Result<ProcessRequest> {
    let timeout_s = args.timeout_s.unwrap_or(TIMEOUT_S);
    let timeout = Duration::try_from_secs_f64(timeout_s)
        .ok()
        .filter(|it| !it.is_zero() && timeout_s <= TIMEOUT_S)
        .ok_or_else(|| {
            Error::invalid_args(format!("`timeout_s` is {timeout_s}"))
                .with_hint(format!("give more than 0 and up to {TIMEOUT_S}"))
        })?;
    let max_bytes = args.max_bytes.unwrap_or(OUTPUT_BYTES);
    if !(1..=OUTPUT_BYTES_MAX).contains(&max_bytes) {
        return Err(Error::invalid_args(format!("`max_bytes` is {max_bytes}"))
            .with_hint(format!("give 1 to {OUTPUT_BYTES_MAX}")));
    }
    let words = args.args.len() + args.env.len();
    let bytes: usize = args.args.iter().map(String::len).sum::<usize>()
        + args
            .env
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    if words > WORDS_MAX || bytes > WORDS_BYTES_MAX {
        let message = format!("{words} arguments and variables of {bytes} bytes are too many");
        return Err(Error::invalid_args(message).with_hint(format!(
            "give up to {WORDS_MAX} of {WORDS_BYTES_MAX} bytes; larger data goes to `stdin`"
        )));
    }
    Ok(ProcessRequest {
        program: args.program,
        path: PathBuf::new(),
        args: args.args,
        stdin: Bytes::from(args.stdin.unwrap_or_default()),
        folder: args.cwd,
        variables: args.env.into_iter().collect(),
        timeout,
        max_bytes,
    })
}
