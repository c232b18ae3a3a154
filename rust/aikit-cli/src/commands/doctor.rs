//! `aikit doctor`: looks at everything that a first use needs, and says what to do.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use aikit_components::{
    config::{self, Ignored},
    project::{Place, Project},
    registry::Components,
    security::policy::Profile,
};
use aikit_core::{Error, Result, Value, io, storage::Batch};
use clap::Args;

use super::model;
use crate::{
    interpreter::Interpreter,
    session::{ProfileName, setup},
    terminal,
};

/// Sockets of a kernel.
const PORTS: usize = 5;

/// Name of the folder of the kernel spec.
const KERNEL: &str = "aikit";

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How a check went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Ok,
    /// It works, but something that most people want is missing.
    Warning,
    Failed,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One check: what was looked at, how it went, what to do.
#[derive(Debug)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    says: String,
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, says: impl Into<String>) -> Self {
        let (says, verdict, hint) = (says.into(), Verdict::Ok, None);
        Self {
            name,
            verdict,
            says,
            hint,
        }
    }

    fn warning(name: &'static str, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            hint: Some(hint.into()),
            ..Self::ok(name, says)
        }
    }

    fn failed(name: &'static str, error: &Error) -> Self {
        Self {
            verdict: Verdict::Failed,
            hint: error.hint().map(str::to_owned),
            ..Self::ok(name, error.message())
        }
    }

    fn to_value(&self) -> Value {
        Value::map([
            ("name", Value::from(self.name)),
            ("verdict", Value::from(self.verdict.name())),
            ("says", Value::from(self.says.as_str())),
            ("hint", Value::from(self.hint.clone())),
        ])
    }
}

/// Runs the command; answers 0 when nothing failed, else 1.
///
/// # Errors
///
/// `io` when the answer cannot be written.
pub(super) fn run(args: &DoctorArgs, interpreter: Option<&Interpreter>) -> Result<u8> {
    let assembled = setup(ProfileName::Notebook).and_then(Components::assemble);
    let mut checks = vec![extension(), self::interpreter(interpreter)];
    checks.extend(interpreter.map(kernel_spec));
    checks.push(ports());
    match &assembled {
        Ok(components) => {
            checks.push(configuration(components));
            checks.push(store(components.project.clone()));
            checks.push(models(components));
        }
        Err(error) => {
            checks.push(Check::failed("configuration", error));
            let folder = std::env::current_dir()?;
            checks.push(store(Project::new(folder, Profile::Notebook)));
        }
    }
    let failed = checks.iter().any(|it| it.verdict == Verdict::Failed);
    if args.json {
        let rows: Value = checks.iter().map(Check::to_value).collect();
        let ok = Value::Bool(!failed);
        terminal::line(&Value::map([("ok", ok), ("checks", rows)]).to_string())?;
    } else {
        for check in &checks {
            let verdict = check.verdict.name();
            terminal::line(&format!("{verdict:7}  {:13}  {}", check.name, check.says))?;
            if let Some(hint) = &check.hint {
                terminal::line(&format!("{:24}→ {hint}", ""))?;
            }
        }
    }
    Ok(u8::from(failed))
}

fn extension() -> Check {
    let (version, os, arch) = (
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    Check::ok("extension", format!("aikit {version} for {os} on {arch}"))
}

fn interpreter(interpreter: Option<&Interpreter>) -> Check {
    match interpreter {
        Some(it) => Check::ok(
            "interpreter",
            format!("Python {} at {}", it.version, it.executable.display()),
        ),
        None => Check::warning(
            "interpreter",
            "this command runs without Python, so the kernel spec was not looked at",
            "use the command that `pip install` puts into the environment, or `python -m aikit`",
        ),
    }
}

/// Whether Jupyter finds the kernel, and the interpreter that it would start.
fn kernel_spec(interpreter: &Interpreter) -> Check {
    const NAME: &str = "kernel spec";
    let install = "run `python -m aikit install --sys-prefix`, or `--user` for all environments";
    let folders = interpreter.kernel_folders.iter();
    let Some(file) = folders
        .map(|it| it.join(KERNEL).join("kernel.json"))
        .find(|it| it.is_file())
    else {
        return Check::warning(NAME, "Jupyter finds no kernel `aikit`", install);
    };
    let place = file.display();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let spec: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let program = spec
        .as_ref()
        .and_then(|it| it.get("argv")?.get(0)?.as_str())
        .map(PathBuf::from);
    let Some(program) = program else {
        let says = format!("{place} names no program");
        return Check::warning(NAME, says, install);
    };
    // A spec without a path takes the program of the environment in which Jupyter runs.
    if program.is_absolute() && !program.exists() {
        let says = format!("{place} starts {}, which is gone", program.display());
        return Check::warning(NAME, says, install);
    }
    if program.is_absolute() && !is_same(&program, &interpreter.executable) {
        let program = program.display();
        let says = format!("{place} starts another interpreter, {program}");
        let hint = format!("{install}, if notebooks should use this one");
        return Check::warning(NAME, says, hint);
    }
    Check::ok(NAME, place.to_string())
}

/// The same name, whatever links it goes through: two environments link to one program.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| {
        let folder = path.parent().and_then(|it| it.canonicalize().ok());
        folder.map(|it| it.join(path.file_name().unwrap_or_default()))
    };
    let folder = |path: &Path| whole(path).and_then(|it| it.parent().map(Path::to_owned));
    whole(one).is_some() && folder(one) == folder(other)
}

fn ports() -> Check {
    let bound: std::io::Result<Vec<TcpListener>> = (0..PORTS)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect();
    match bound {
        Ok(ports) => Check::ok(
            "ports",
            format!("{} ports of 127.0.0.1 can be bound", ports.len()),
        ),
        Err(error) => {
            let error = Error::from(error);
            let message = format!("no port of 127.0.0.1 can be bound: {}", error.message());
            let hint = "allow this program to listen on the loopback address; a kernel needs it";
            Check::failed("ports", &Error::new(error.kind(), message).with_hint(hint))
        }
    }
}

fn configuration(components: &Components) -> Check {
    let folder = &components.working_directory;
    if let Some(Ignored { file, reason }) = config::ignored(folder, &config::environment()).first()
    {
        return Check::warning(
            "configuration",
            format!("{} is ignored: {reason}", file.display()),
            "make it a file that only its owner can write, or delete it",
        );
    }
    let says = match &components.config.file {
        Some(file) => format!("read from {}", file.display()),
        None => "no aikit.toml, which is fine".to_owned(),
    };
    Check::ok("configuration", says)
}

/// Whether the store of the project can be made, written and read: where it is, because another
/// folder may have other rights.
fn store(project: Project) -> Check {
    const NAME: &str = "store";
    let path = project.path();
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let had_folder = folder.exists();
    let own = folder.join(".gitignore");
    let had_own = own.exists();
    // A store that is not there yet is not made for a test.
    let probe = (!path.exists()).then(|| folder.join(format!("doctor-{}.db", std::process::id())));
    let place = probe.clone().map_or(Place::Project, Place::File);
    let tried = io::wait(try_store(project, place), || Ok(())).flatten();
    for file in probe.iter().flat_map(|it| files_of(it)) {
        drop(std::fs::remove_file(file));
    }
    if !had_folder && !had_own && !path.exists() {
        drop(std::fs::remove_file(own));
        // It stays when somebody else has put something into it meanwhile.
        drop(std::fs::remove_dir(&folder));
    }
    match tried {
        Ok(()) => Check::ok(NAME, format!("{} can be written and read", path.display())),
        Err(error) => Check::failed(NAME, &error),
    }
}

/// A store and the files that SQLite keeps beside it.
fn files_of(store: &Path) -> impl Iterator<Item = PathBuf> {
    let name = store.as_os_str().to_owned();
    ["", "-wal", "-shm", "-journal"]
        .into_iter()
        .map(move |end| {
            let mut name = name.clone();
            name.push(end);
            PathBuf::from(name)
        })
}

/// Writes a key that nobody else has, reads it and takes it out again.
async fn try_store(project: Project, place: Place) -> Result<()> {
    let keys = project.open(&place).await?;
    let key = format!("doctor/{}", std::process::id());
    let write = Batch {
        puts: vec![(key.clone(), b"well".to_vec().into())],
        ..Batch::default()
    };
    keys.apply(write).await?;
    let found = keys.get(&key).await?;
    let delete = Batch {
        deletes: vec![key],
        ..Batch::default()
    };
    keys.apply(delete).await?;
    match found {
        Some(record) if &*record.value == b"well" => Ok(()),
        _ => Err(Error::internal("a store does not keep what is written")),
    }
}

/// Whether any model answers here.
fn models(components: &Components) -> Check {
    const NAME: &str = "models";
    let cx = components.context.clone();
    let checked = components.services.models().cloned().and_then(|models| {
        let check = async move { models.check(&cx, None).await };
        io::wait(check, || Ok(())).flatten()
    });
    let rows = match checked {
        Ok(rows) => rows,
        Err(error) => return Check::failed(NAME, &error),
    };
    let name = |row: &Value| row.get("name").and_then(Value::as_str).map(str::to_owned);
    let is_real = |row: &&Value| name(row).as_deref() != Some("scripted");
    let usable = |row: &&Value| row.get("usable").and_then(Value::as_bool) == Some(true);
    let found = rows.iter().filter(is_real).filter(usable);
    let found: Vec<String> = found
        .map(|row| match row.get("models") {
            Some(_) => format!("{} ({})", name(row).unwrap_or_default(), model::state(row)),
            None => name(row).unwrap_or_default(),
        })
        .collect();
    if found.is_empty() {
        return Check::warning(
            NAME,
            "no model answers here but `scripted`",
            "set a key such as OPENAI_API_KEY or ANTHROPIC_API_KEY, or start `ollama serve`, or \
             replay a cassette; `aikit model check` says what each provider lacks",
        );
    }
    Check::ok(NAME, found.join(", "))
}
