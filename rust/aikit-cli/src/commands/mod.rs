//! The commands, one file each.

mod agent;
mod doctor;
mod kernel;
mod model;
mod rag;
mod repl;
mod run;
mod session;
mod state;
mod tape;
mod tool;

use std::time::Duration;

use aikit_core::{Error, ErrorKind, Result};
use clap::{Args, Parser, Subcommand};

use crate::interpreter::Interpreter;

/// A kernel for AI scripting: tools, agents and retrieval in Lua.
#[derive(Debug, Parser)]
#[command(name = "aikit", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a Lua file
    Run(run::RunArgs),
    /// Runs Lua cells typed in a terminal
    Repl(repl::ReplArgs),
    /// Serves one Jupyter connection; front ends call this
    Kernel(kernel::KernelArgs),
    /// Ingests documents into an index, or searches it
    Rag(rag::RagArgs),
    /// Lists tools, or calls one
    Tool(tool::ToolArgs),
    /// Reads and writes values that outlive a session
    State(state::StateArgs),
    /// Lists, shows or deletes sessions
    Session(session::SessionArgs),
    /// Runs an agent
    Agent(agent::AgentArgs),
    /// Lists the providers of models, or asks your own servers what they have
    Model(model::ModelArgs),
    /// Looks at what a first use needs, and says what to do
    Doctor(doctor::DoctorArgs),
    /// Registers the kernel in Jupyter
    Install(PythonArgs),
    /// Removes the kernel from Jupyter
    Uninstall(PythonArgs),
    /// Lists the kernel specs that start Aikit
    List(PythonArgs),
}

/// Arguments of a command that the Python package handles before this one sees them.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
struct PythonArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// How a command ended.
pub(crate) struct Ended {
    /// The exit status.
    pub(crate) status: u8,
    /// How long the process may wait for what is still on its way, where somebody waits for its end.
    pub(crate) time_left: Option<Duration>,
}

impl From<u8> for Ended {
    fn from(status: u8) -> Self {
        Self {
            status,
            time_left: None,
        }
    }
}

/// Runs one command.
///
/// # Errors
///
/// The command's own.
pub(crate) fn run(cli: Cli, interpreter: Option<&Interpreter>) -> Result<Ended> {
    let status = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Repl(args) => repl::run(&args),
        Command::Kernel(args) => {
            let time_left = Some(kernel::run(args)?);
            let status = 0;
            return Ok(Ended { status, time_left });
        }
        Command::Rag(args) => rag::run(args),
        Command::Tool(args) => tool::run(args).map(|()| 0),
        Command::State(args) => state::run(args).map(|()| 0),
        Command::Session(args) => session::run(args).map(|()| 0),
        Command::Agent(args) => agent::run(args).map(|()| 0),
        Command::Model(args) => model::run(args),
        Command::Doctor(args) => doctor::run(&args, interpreter),
        Command::Install(args) | Command::Uninstall(args) | Command::List(args) => {
            let message = "this command needs Jupyter's Python packages";
            let hint = format!(
                "use `python -m aikit {}` with the command's name first",
                args.rest.join(" ")
            );
            Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint))
        }
    };
    status.map(Ended::from)
}
