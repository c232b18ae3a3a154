//! A run that continues the conversation of a session.

use aikit_core::{Error, Result, agent::AgentRun, tool::ToolContext};

use super::{Input, Parts, run};
use crate::sessions::Session;

/// Runs with the conversation of `session` as the history, and adds to it what was said. A run
/// that fails adds nothing, so that it can be tried again.
pub(super) async fn go_on(
    parts: &Parts,
    cx: &ToolContext,
    session: &Session,
    input: Input,
) -> Result<AgentRun> {
    if !input.history.is_empty() {
        return Err(
            Error::invalid_args("a run has a history or a session, not both")
                .with_hint("leave `history` out: the conversation of the session is continued"),
        );
    }
    let history = session.messages(&cx.context).await?;
    let known = history.len();
    let run = run::run(parts, cx, Input { history, ..input }).await?;
    let said = run.messages.get(known..).unwrap_or_default();
    session.append(&cx.context, said).await?;
    Ok(run)
}
