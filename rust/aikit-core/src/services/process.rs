//! Running other programs.

use std::{fmt, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{Result, context::Context};

/// A program to run, without a shell.
#[derive(Clone)]
pub struct ProcessRequest {
    /// The program: a name that is looked up, or a path.
    pub program: String,
    /// The file of it, which the guard finds before it asks or runs; what is given is not looked
    /// at.
    pub path: PathBuf,
    /// Its arguments, each as it is.
    pub args: Vec<String>,
    /// What it reads; nothing when empty.
    pub stdin: Bytes,
    /// Folder it runs in.
    pub folder: String,
    /// Variables set beside those it inherits.
    pub variables: Vec<(String, String)>,
    /// Longest time.
    pub timeout: Duration,
    /// Most bytes that are kept of each of its outputs.
    pub max_bytes: usize,
}

// By hand: arguments, input and variables may hold secrets.
impl fmt::Debug for ProcessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessRequest")
            .field("program", &self.program)
            .field("path", &self.path)
            .field("args", &self.args.len())
            .field("stdin_bytes", &self.stdin.len())
            .field("folder", &self.folder)
            .field("timeout", &self.timeout)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// What a program left behind.
#[derive(Clone)]
pub struct ProcessOutput {
    /// Its exit status; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The beginning of its standard output.
    pub stdout: Bytes,
    /// The beginning of its standard error.
    pub stderr: Bytes,
    /// Whether one of them is cut.
    pub limited: bool,
    /// How long it ran.
    pub elapsed: Duration,
}

// By hand: what a program prints may hold secrets.
impl fmt::Debug for ProcessOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessOutput")
            .field("exit_code", &self.exit_code)
            .field("signal", &self.signal)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr.len())
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

/// The only way to other programs.
pub trait Processes: fmt::Debug + Send + Sync {
    /// Runs one to its end; it and all it started are killed when the wait ends early.
    fn run<'a>(
        &'a self,
        cx: &'a Context,
        request: ProcessRequest,
    ) -> BoxFuture<'a, Result<ProcessOutput>>;
}
