//! `aikit state get|set|keys|delete`: the values of a scope without a notebook.

use aikit_components::{
    registry::Components,
    state::{Scope, State},
};
use aikit_core::{Error, Result, Value, io};
use clap::{Args, Subcommand};

use crate::{
    session::{ProfileName, setup},
    terminal,
};

#[derive(Args, Debug)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
    /// Who shares the values: `global`, or a kind and an identity such as `session:ID`
    #[arg(long, global = true, default_value = "global")]
    scope: String,
    /// On one line, as JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Prints a value
    Get {
        /// Name of the value
        key: String,
    },
    /// Keeps a value
    Set {
        /// Name of the value
        key: String,
        /// JSON, or a text that is none
        #[arg(allow_negative_numbers = true)]
        value: String,
    },
    /// Lists the keys
    Keys {
        /// What they begin with
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Deletes a value
    Delete {
        /// Name of the value
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` when there is no such value, those of the store.
pub(super) fn run(args: StateArgs) -> Result<()> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let scope: Scope = args.scope.parse()?;
    let (command, json) = (args.command, args.json);
    let shown = io::wait(
        async move { perform(&components, scope, command, json).await },
        || Ok(()),
    );
    match shown.flatten()? {
        Some(text) => terminal::line(&text),
        None => Ok(()),
    }
}

/// Does what is asked; answers what is to be shown.
async fn perform(
    components: &Components,
    scope: Scope,
    command: StateCommand,
    json: bool,
) -> Result<Option<String>> {
    let cx = &components.context;
    let state = State::open(cx, &components.project, scope).await?;
    match command {
        StateCommand::Get { key } => {
            let found = state.get(cx, &key).await?.ok_or_else(|| absent(&key))?;
            Ok(Some(shown(&found, json)))
        }
        StateCommand::Set { key, value } => {
            let parsed = serde_json::from_str(&value);
            let value = parsed.map_or_else(|_| Value::from(value), Value::from_json);
            state.set(cx, &key, &value).await?;
            Ok(None)
        }
        StateCommand::Keys { prefix } => {
            let keys = state.keys(cx, &prefix).await?;
            if json {
                return Ok(Some(Value::from(keys).to_string()));
            }
            Ok((!keys.is_empty()).then(|| keys.join("\n")))
        }
        StateCommand::Delete { key } => {
            if state.delete(cx, &key).await? {
                return Ok(None);
            }
            Err(absent(&key))
        }
    }
}

fn absent(key: &str) -> Error {
    Error::not_found(format!("there is no value `{key}`"))
        .with_hint("list the keys with `aikit state keys`; `--scope` names another scope")
}

/// A value as people read it: a text as it is.
fn shown(value: &Value, json: bool) -> String {
    match value {
        Value::String(text) if !json => text.clone(),
        other if json => other.to_string(),
        other => format!("{:#}", other.to_readable_json()),
    }
}
