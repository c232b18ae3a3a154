//! `history`: earlier cells, of this session and of those before it.

use super::{Desk, subshell::Shell};
use crate::{
    history::Own,
    wire::history::{HistoryReply, HistoryRequest},
};

/// The session of a shell whose cells are kept in memory only.
const FIRST_SESSION: u32 = 1;

/// Answers a request.
pub(crate) async fn reply(desk: &Desk, shell: &Shell, asked: &HistoryRequest) -> HistoryReply {
    let shells = &desk.shells;
    let mut own = Own {
        shell: shell.number,
        session: FIRST_SESSION,
    };
    let Some(archive) = &shells.archive else {
        return shells.history().find(own, asked, &[]);
    };
    if let Some(session) = archive.session(&shell.session).await {
        own.session = session;
    }
    let wanted = shells.history().elsewhere(own, asked);
    let elsewhere = match wanted {
        Some(wanted) => archive.cells(&shell.session, wanted).await,
        None => Vec::new(),
    };
    shells.history().find(own, asked, &elsewhere)
}
