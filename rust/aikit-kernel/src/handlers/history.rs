//! `history`: earlier cells, of this session and of those before it.

use super::Desk;
use crate::wire::history::{HistoryReply, HistoryRequest};

/// Answers a request.
pub(crate) async fn reply(desk: &Desk, asked: &HistoryRequest) -> HistoryReply {
    let Some(archive) = &desk.archive else {
        return desk.history().find(asked, &[]);
    };
    if let Some(session) = archive.session().await {
        desk.history().set_session(session);
    }
    let wanted = desk.history().elsewhere(asked);
    let elsewhere = match wanted {
        Some(wanted) => archive.cells(wanted).await,
        None => Vec::new(),
    };
    desk.history().find(asked, &elsewhere)
}
