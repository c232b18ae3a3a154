//! `aikit agent run PROMPT`: one run of an agent, its text on standard output as it arrives.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use aikit_components::{
    agents::{Agent, AgentOptions, AgentSpec},
    registry::Components,
};
use aikit_core::{
    Error, ErrorKind, Result, Value,
    event::{Event, EventKind},
    procedure::Handle,
    services::ModelOptions,
};
use clap::{Args, Subcommand};

use super::tape::{self, TapeArgs};
use crate::{
    session::{ProfileName, setup, wait},
    terminal,
};

/// Largest prompt and file, in bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Longest description of a tool call, in characters.
const CALL_CHARS_MAX: usize = 200;

#[derive(Args, Debug)]
pub(super) struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Asks an agent; its text goes to standard output, its tool calls to standard error
    Run(Box<RunArgs>),
}

#[derive(Args, Debug)]
struct RunArgs {
    /// What to do; `-` reads standard input
    prompt: String,
    /// Model, as `provider:model`; the configured one when left out
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Address of the model's provider
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// What the agent is told before the prompt
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// Tools and groups of tools it may use, with commas between them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tools: Vec<String>,
    /// File that describes the agent, TOML with the names of these options and `limits`;
    /// the options above go over it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What its tools may touch
    #[arg(long, value_enum, default_value_t = ProfileName::Notebook)]
    profile: ProfileName,
    /// The whole run as JSON instead of its text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tape: TapeArgs,
}

/// Runs the command.
///
/// # Errors
///
/// `unavailable` without a model, `not_found` for an unknown tool, `config` for a wrong file, those
/// of the run.
pub(super) fn run(args: AgentArgs) -> Result<()> {
    let AgentCommand::Run(args) = args.command;
    let prompt = match args.prompt.as_str() {
        "-" => read("standard input", std::io::stdin().lock())?,
        text => text.to_owned(),
    };
    let components = Components::assemble(setup(args.profile)?)?;
    let run = || {
        let agent = agent(&components, &args)?;
        let (cx, is_json) = (components.tool_context(), args.json);
        wait(&cx.context.clone(), move |context| {
            let handle = agent.start(&cx.with_context(context), prompt);
            async move { tell(handle, is_json).await }
        })
    };
    tape::within(&components, &args.tape, run, Result::is_ok).flatten()
}

/// The agent that the file and the options describe.
fn agent(components: &Components, args: &RunArgs) -> Result<Agent> {
    let mut spec = match &args.file {
        Some(file) => AgentSpec::parse(&read_file(file)?)
            .map_err(|error| located(&file.display().to_string(), &error))?,
        None => AgentSpec::default(),
    };
    spec.model = args.model.clone().or(spec.model);
    spec.base_url = args.base_url.clone().or(spec.base_url);
    spec.instructions = args.instructions.clone().unwrap_or(spec.instructions);
    if !args.tools.is_empty() {
        spec.tools.clone_from(&args.tools);
    }
    let place = ModelOptions {
        base_url: spec.base_url,
        ..ModelOptions::default()
    };
    let models = components.services.models()?;
    let mut options = AgentOptions::new(models.chat(spec.model.as_deref(), place)?);
    options.name = spec.name.unwrap_or(options.name);
    options.instructions = spec.instructions;
    options.tools = components.tools.resolve(&spec.tools)?;
    options.limits = spec.limits;
    Agent::new(options)
}

/// Prints what happens until the run ends.
async fn tell(handle: Handle, is_json: bool) -> Result<()> {
    let mut after = 0;
    let mut ends_line = true;
    while let Some(event) = handle.event(after).await {
        after = event.sequence;
        if event.kind == EventKind::AgentTextDelta && !is_json {
            let text = event.data.get("text").and_then(Value::as_str);
            let text = text.unwrap_or_default();
            terminal::text(&terminal::foreign(text))?;
            ends_line = text.ends_with('\n') || (text.is_empty() && ends_line);
        } else if let Some(line) = describe(&event) {
            terminal::note(&line);
        }
    }
    let ended = handle.result().await;
    if !ends_line {
        terminal::text("\n")?;
    }
    let run = ended?;
    if is_json {
        terminal::line(&run.to_string())?;
    }
    Ok(())
}

/// A tool call, or that it failed, in one line.
fn describe(event: &Event) -> Option<String> {
    let text = |key: &str| event.data.get(key).and_then(Value::as_str);
    let name = text("name")?;
    let said = match event.kind {
        EventKind::AgentToolCall => format!("{name}({})", event.data.get("arguments")?),
        EventKind::AgentToolResult => {
            let failed = event.data.get("is_error").and_then(Value::as_bool)?;
            let error = event.data.get("result")?.get("error")?;
            let message = error.get("message").and_then(Value::as_str)?;
            failed.then(|| format!("{name} failed: {message}"))?
        }
        _ => return None,
    };
    let short: String = said.chars().take(CALL_CHARS_MAX).collect();
    let cut = if short.len() < said.len() { "…" } else { "" };
    Some(format!("[tool] {short}{cut}"))
}

fn read_file(file: &Path) -> Result<String> {
    let name = file.display().to_string();
    let opened = std::fs::File::open(file);
    read(
        &name,
        opened.map_err(|error| located(&name, &error.into()))?,
    )
}

fn read(name: &str, input: impl std::io::Read) -> Result<String> {
    let mut text = String::new();
    let mut limited = input.take(TEXT_BYTES_MAX + 1);
    let read = limited.read_to_string(&mut text);
    read.map_err(|error| located(name, &error.into()))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        let message = format!("{name} is larger than {TEXT_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(text)
}

fn located(name: &str, error: &Error) -> Error {
    let located = Error::new(error.kind(), format!("`{name}`: {}", error.message()));
    match error.hint() {
        Some(hint) => located.with_hint(hint),
        None => located,
    }
}
