//! The process guard: the only code that runs programs a user or an agent names.

mod family;
mod program;
mod starter;

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::{Caller, Overrides},
    services::{Ask, Files, Permission, Policy, ProcessOutput, ProcessRequest, Processes, Target},
};
use futures::future::{BoxFuture, Either, join3, select};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use self::family::Family;
use super::enforce;
use crate::config::Variables;

/// Variables of this process that a program of an agent inherits; the others may hold keys.
const INHERITED: [&str; 14] = [
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TEMP",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
];

/// How long the outputs of a program that has ended may still be open: what it left running is
/// killed, so they close at once, but for what cannot be found.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Runs programs in folders of the session.
#[derive(Clone)]
pub struct ProcessGuard {
    policy: Arc<dyn Policy>,
    ask: Option<Arc<dyn Ask>>,
    files: Arc<dyn Files>,
    working_directory: PathBuf,
    variables: Variables,
}

impl std::fmt::Debug for ProcessGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessGuard")
            .field("working_directory", &self.working_directory)
            .finish_non_exhaustive()
    }
}

impl ProcessGuard {
    /// Guards the programs of a session; `files` decides in which folders they run, `variables`
    /// is the environment of this process.
    pub fn new(
        policy: Arc<dyn Policy>,
        ask: Option<Arc<dyn Ask>>,
        files: Arc<dyn Files>,
        (working_directory, variables): (PathBuf, Variables),
    ) -> Self {
        Self {
            policy,
            ask,
            files,
            working_directory,
            variables,
        }
    }

    fn command(&self, cx: &Context, request: &ProcessRequest) -> Command {
        let folder = self.working_directory.join(&request.folder);
        let mut command = Command::new(&request.path);
        #[cfg(unix)]
        command.arg0(&request.program);
        command
            .args(&request.args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        if cx.caller() == Caller::Agent {
            command.env_clear();
            let inherited = INHERITED
                .iter()
                .filter_map(|name| Some((*name, self.variables.get(name)?)));
            command.envs(inherited);
        }
        command.envs(request.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The file of the program, looked for as it will be: where it runs, with its own `PATH`.
    fn find(&self, request: &ProcessRequest) -> Result<PathBuf> {
        // A path starts where paths start, not where the program will run.
        let folder = if request.program.contains('/') {
            self.working_directory.clone()
        } else {
            self.working_directory.join(&request.folder)
        };
        let mut own = request.variables.iter().filter(|(name, _)| name == "PATH");
        let search = match own.next_back() {
            Some((_, value)) => Some(value.clone()),
            None => self.variables.get("PATH"),
        };
        program::find(&request.program, &folder, search.as_deref())
            .ok_or_else(|| cannot_run(request, std::io::ErrorKind::NotFound.into()))
    }
}

impl Processes for ProcessGuard {
    fn run<'a>(
        &'a self,
        cx: &'a Context,
        mut request: ProcessRequest,
    ) -> BoxFuture<'a, Result<ProcessOutput>> {
        Box::pin(async move {
            check(&request)?;
            // What is approved and what is run is the same folder, whatever it was called.
            let folder = self.files.resolve(cx, &request.folder).await?;
            request.folder = self
                .working_directory
                .join(folder)
                .to_string_lossy()
                .into_owned();
            request.path = self.find(&request)?;
            let (policy, ask) = (&*self.policy, self.ask.as_deref());
            enforce(
                cx,
                policy,
                ask,
                Permission::Process,
                Target::Process(&request),
            )
            .await?;
            let limited = cx.part(Overrides {
                timeout: Some(request.timeout),
                ..Overrides::default()
            });
            let begun = cx.clock().monotonic();
            let mark = family::mark();
            let mut command = self.command(cx, &request);
            command.env(&mark, "1");
            let running = async {
                let started = starter::start(command, mark).await;
                let started = started.map_err(|error| cannot_run(&request, error))?;
                wait(cx, started, &request).await
            };
            let outcome = limited.within(running).await;
            match outcome {
                Ok(output) => {
                    let mut output = output?;
                    output.elapsed = cx.clock().monotonic().saturating_sub(begun);
                    Ok(output)
                }
                Err(error) if error.kind() == ErrorKind::Timeout && cx.check().is_ok() => {
                    let message = format!(
                        "`{}` ran longer than {:?} and was ended",
                        request.program, request.timeout
                    );
                    Err(Error::new(ErrorKind::Timeout, message)
                        .with_hint("give it less to do, or a longer `timeout_s`"))
                }
                Err(error) => Err(error),
            }
        })
    }
}

fn check(request: &ProcessRequest) -> Result<()> {
    let has_zero = std::iter::once(&request.program)
        .chain(&request.args)
        .chain(request.variables.iter().map(|(_, value)| value))
        .any(|it| it.contains('\0'));
    if request.program.trim().is_empty() || has_zero {
        return Err(
            Error::invalid_args("`program` or an argument is no text for a program")
                .with_hint("give the name or the path of a program; a zero byte is in no argument"),
        );
    }
    let is_name = |it: &str| !it.is_empty() && !it.contains(['=', '\0']);
    if let Some((name, _)) = request.variables.iter().find(|(name, _)| !is_name(name)) {
        let shown = super::approval::visible(name, 40);
        return Err(
            Error::invalid_args(format!("`{shown}` is no name of a variable"))
                .with_hint("a name is not empty and has no `=`"),
        );
    }
    Ok(())
}

fn cannot_run(request: &ProcessRequest, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Kind;
    let program = &request.program;
    let (kind, message, hint) = match error.kind() {
        Kind::NotFound => (
            ErrorKind::NotFound,
            format!("there is no program `{program}`"),
            if program.contains(' ') {
                "give the arguments one by one in `args`: there is no shell that takes them apart"
            } else {
                "install it, or give its path"
            },
        ),
        Kind::PermissionDenied => (
            ErrorKind::Denied,
            format!("the operating system does not let `{program}` be run"),
            "make the file executable, or name the program that reads it",
        ),
        _ => (
            ErrorKind::Io,
            format!("`{program}` cannot be run: {error}"),
            "look at the program and its arguments",
        ),
    };
    Error::new(kind, message).with_hint(hint).with_source(error)
}

/// Waits for the program while it reads and writes.
async fn wait(
    cx: &Context,
    (mut child, family): (Child, Family),
    request: &ProcessRequest,
) -> Result<ProcessOutput> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = request.stdin.clone();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input is no error.
            drop(stdin.write_all(&input).await);
        }
    };
    let most = request.max_bytes;
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let reading = join3(
        feed,
        read(stdout, most, &mut out),
        read(stderr, most, &mut err),
    );
    // In a box, so that it can be dropped before its end.
    let mut reading = Box::pin(reading);
    // Read on after its end, but not for what it left running in the background.
    let mut is_read = false;
    let status = loop {
        tokio::select! {
            _ = &mut reading, if !is_read => is_read = true,
            status = child.wait() => break status,
        }
    };
    family.end().await;
    let status = status.map_err(|error| {
        Error::new(
            ErrorKind::Io,
            format!("`{}` was lost: {error}", request.program),
        )
        .with_source(error)
    })?;
    if !is_read {
        let closed = select(&mut reading, cx.clock().sleep(CLOSE_LIMIT)).await;
        is_read = matches!(closed, Either::Left(_));
    }
    drop(reading);
    Ok(ProcessOutput {
        exit_code: status.code(),
        signal: signal(status),
        stdout: out.bytes.into(),
        stderr: err.bytes.into(),
        limited: !is_read || out.is_cut || err.is_cut,
        elapsed: Duration::ZERO,
    })
}

#[cfg(unix)]
fn signal(status: std::process::ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;

    status.signal()
}

#[cfg(not(unix))]
fn signal(_: std::process::ExitStatus) -> Option<i32> {
    None
}

/// What was read of an output.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// Reads to the end and keeps the first `most` bytes, so that a program never waits for a reader.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: usize, kept: &mut Kept) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let room = most - kept.bytes.len();
                kept.bytes.extend_from_slice(&buffer[..count.min(room)]);
                kept.is_cut |= count > room;
            }
        }
    }
}
