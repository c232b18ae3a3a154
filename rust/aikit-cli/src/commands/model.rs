//! `aikit model list|check`: which models can be used here.

use aikit_components::registry::Components;
use aikit_core::{Result, Value, io};
use clap::{Args, Subcommand};

use crate::{
    session::{ProfileName, setup},
    terminal,
};

#[derive(Args, Debug)]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Lists the providers: what is usable here, and what each lacks
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Asks your own servers, such as Ollama, which models they have
    Check {
        /// The only one to look at
        provider: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` for an unknown provider, those of the configuration.
pub(super) fn run(args: ModelArgs) -> Result<()> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let models = components.services.models()?;
    match args.command {
        ModelCommand::List { json } => show(models.list(), json),
        ModelCommand::Check { provider, json } => {
            let (models, cx) = (models.clone(), components.context.clone());
            let check = async move { models.check(&cx, provider.as_deref()).await };
            show(io::wait(check, || Ok(())).flatten()?, json)
        }
    }
}

fn show(rows: Vec<Value>, json: bool) -> Result<()> {
    if json {
        return terminal::line(&Value::List(rows).to_string());
    }
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let names = rows.iter().filter_map(|row| text(row, "name"));
    let width = names.map(|it| it.len()).max().unwrap_or(0);
    for row in &rows {
        let name = text(row, "name").unwrap_or_default();
        terminal::line(&format!("{name:width$}  {}", state(row)))?;
    }
    Ok(())
}

/// What a person wants to know of a provider.
pub(super) fn state(row: &Value) -> String {
    let texts = |key: &str| -> Vec<String> {
        let items = row.get(key).and_then(Value::as_list).unwrap_or_default();
        items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    if row.get("error").is_some() {
        return format!("down: {}; {}", text("error"), text("hint"));
    }
    if row.get("usable").and_then(Value::as_bool) != Some(true) {
        return format!("lacks {}", texts("lacks").join(" and "));
    }
    match row.get("models") {
        None => format!("usable: {}", text("summary")),
        Some(_) if texts("models").is_empty() => "usable, but has no model".to_owned(),
        Some(_) => format!("usable: {}", texts("models").join(", ")),
    }
}
