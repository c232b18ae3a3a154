//! `history`: earlier cells, of this session and of those before it.

use super::subshell::Shell;
use crate::wire::history::{HistoryReply, HistoryRequest};

/// Answers a request.
pub(crate) async fn reply(shell: &Shell, asked: &HistoryRequest) -> HistoryReply {
    let Some(archive) = &shell.archive else {
        return shell.history().find(asked, &[]);
    };
    if let Some(session) = archive.session().await {
        shell.history().set_session(session);
    }
    let wanted = shell.history().elsewhere(asked);
    let elsewhere = match wanted {
        Some(wanted) => archive.cells(wanted).await,
        None => Vec::new(),
    };
    shell.history().find(asked, &elsewhere)
}
