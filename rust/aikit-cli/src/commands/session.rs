//! `aikit session list|show|delete`: the sessions of a project without a notebook.

use aikit_components::{
    registry::Components,
    sessions::{SessionFilter, SessionInfo, Status},
};
use aikit_core::{Result, Value, io, model::Message};
use clap::{Args, Subcommand};

use crate::{
    session::{ProfileName, setup},
    terminal,
};

/// Longest text of a message that is shown on one line.
const SHOWN_CHARS_MAX: usize = 200;

#[derive(Args, Debug)]
pub(super) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
    /// As JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Lists the sessions, those written last first
    List {
        /// Those that have this tag
        #[arg(long)]
        tag: Option<String>,
        /// Those `active` or `completed`
        #[arg(long)]
        status: Option<String>,
    },
    /// Shows a session and its conversation
    Show {
        /// Its identity or its name
        session: String,
    },
    /// Deletes a session with its conversation, state, checkpoints and artifacts
    Delete {
        /// Its identity or its name
        session: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// `not_found` when there is no such session, those of the store.
pub(super) fn run(args: SessionArgs) -> Result<()> {
    let components = Components::assemble(setup(ProfileName::Notebook)?)?;
    let (command, json) = (args.command, args.json);
    let lines = io::wait(
        async move { perform(&components, command, json).await },
        || Ok(()),
    );
    for line in lines.flatten()? {
        terminal::line(&terminal::foreign(&line))?;
    }
    Ok(())
}

/// Does what is asked; answers the lines that are to be shown.
async fn perform(
    components: &Components,
    command: SessionCommand,
    json: bool,
) -> Result<Vec<String>> {
    let (cx, sessions) = (&components.context, &components.sessions);
    match command {
        SessionCommand::List { tag, status } => {
            let status = status.map(|word| Status::parse(&word)).transpose()?;
            let found = sessions.list(cx, SessionFilter { tag, status }).await?;
            if json {
                return Ok(vec![Value::from_serialize(&found)?.to_string()]);
            }
            Ok(table(&found))
        }
        SessionCommand::Show { session } => {
            let session = sessions.find(cx, &session).await?;
            let info = session.info(cx).await?;
            let messages = session.messages(cx).await?;
            let checkpoints = session.checkpoints(cx).await?;
            let mut shown = Value::from_serialize(&info)?;
            if let Value::Map(fields) = &mut shown {
                let checkpoints = Value::from_serialize(&checkpoints)?;
                fields.insert("checkpoints".to_owned(), checkpoints);
                if json {
                    let messages = Value::from_serialize(&messages)?;
                    fields.insert("messages".to_owned(), messages);
                    return Ok(vec![shown.to_string()]);
                }
            }
            let mut lines = vec![format!("{:#}", shown.to_readable_json())];
            lines.extend(messages.iter().map(one_line));
            Ok(lines)
        }
        SessionCommand::Delete { session } => {
            sessions.delete(cx, &session).await?;
            Ok(Vec::new())
        }
    }
}

fn table(sessions: &[SessionInfo]) -> Vec<String> {
    let name = |it: &SessionInfo| it.name.clone().unwrap_or_else(|| "-".to_owned());
    let widths = sessions.iter().map(|it| name(it).chars().count());
    let width = widths.max().unwrap_or(0).max("NAME".len());
    if sessions.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{:width$}  {:32}  {:9}  MESSAGES  TAGS",
        "NAME", "ID", "STATUS"
    )];
    for it in sessions {
        let status = match it.status {
            Status::Active => "active",
            Status::Completed => "completed",
        };
        let (name, tags) = (name(it), it.tags.join(","));
        let line = format!(
            "{name:width$}  {:32}  {status:9}  {:>8}  {tags}",
            it.id, it.messages
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn one_line(message: &Message) -> String {
    let role = Value::from_serialize(&message.role).unwrap_or_default();
    let role = role.as_str().unwrap_or_default().to_owned();
    let tools: Vec<&str> = message.tool_calls().map(|call| &*call.name).collect();
    let mut text = message.to_text().replace('\n', " ");
    if !tools.is_empty() {
        text = format!("{text} [{}]", tools.join(", "));
    }
    let shown: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    format!("{role}: {shown}")
}
