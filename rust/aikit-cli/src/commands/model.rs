//! `aikit model list|check`: which models can be used here.

use aikit_components::registry::Components;
use aikit_core::{ErrorKind, Result, Value, io};
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

/// Runs the command; answers 1 when a server refuses the key, or the one provider that was asked
/// about is not usable.
///
/// # Errors
///
/// `not_found` for an unknown provider, those of the configuration.
pub(super) fn run(args: ModelArgs) -> Result<u8> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let (models, cx) = (
        components.services.models()?.clone(),
        components.context.clone(),
    );
    match args.command {
        ModelCommand::List { json } => {
            let list = async move { models.list(&cx).await };
            show(&io::wait(list, || Ok(()))?, json)?;
            Ok(0)
        }
        ModelCommand::Check { provider, json } => {
            let is_one = provider.is_some();
            let check = async move { models.check(&cx, provider.as_deref()).await };
            let rows = io::wait(check, || Ok(())).flatten()?;
            show(&rows, json)?;
            let is_bad = |row: &Value| is_refused(row) || is_one && !is_usable(row);
            Ok(u8::from(rows.iter().any(is_bad)))
        }
    }
}

fn is_usable(row: &Value) -> bool {
    row.get("usable").and_then(Value::as_bool) == Some(true)
}

/// Whether the server is there, but does not take the key.
fn is_refused(row: &Value) -> bool {
    row.get("kind").and_then(Value::as_str) == Some(ErrorKind::ModelAuth.code())
}

fn show(rows: &[Value], json: bool) -> Result<()> {
    if json {
        return terminal::line(&rows.iter().cloned().collect::<Value>().to_string());
    }
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let names = rows.iter().filter_map(|row| text(row, "name"));
    let width = names.map(|it| it.len()).max().unwrap_or(0);
    for row in rows {
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
    if is_refused(row) {
        return format!("refused: {}; {}", text("error"), text("hint"));
    }
    if row.get("error").is_some() {
        // Only servers of the user's own are asked, and only when nothing else is lacking.
        let (error, hint) = (text("error"), text("hint"));
        let state = match text("kind") {
            "bad_response" => "answers otherwise than expected",
            _ => "is down",
        };
        return format!("needs no key, but its server {state}: {error}; {hint}");
    }
    if !is_usable(row) {
        return format!("lacks {}", texts("lacks").join(" and "));
    }
    match row.get("models") {
        None => format!("usable: {}", text("summary")),
        Some(_) if texts("models").is_empty() => "usable, but has no model".to_owned(),
        Some(_) => format!("usable: {}", texts("models").join(", ")),
    }
}
