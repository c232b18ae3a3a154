//! The cancellation of a Context and its reason.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind};

/// A token that remembers why it was cancelled, and the tokens above it.
#[derive(Debug)]
pub(super) struct Cancel {
    pub(super) token: CancellationToken,
    reason: Mutex<Option<(ErrorKind, String)>>,
    parent: Option<Arc<Self>>,
}

impl Cancel {
    pub(super) fn root() -> Arc<Self> {
        let (token, reason) = (CancellationToken::new(), Mutex::default());
        Arc::new(Self {
            token,
            reason,
            parent: None,
        })
    }

    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        let (token, reason) = (self.token.child_token(), Mutex::default());
        Arc::new(Self {
            token,
            reason,
            parent: Some(Arc::clone(self)),
        })
    }

    /// Cancels this token and those below it; the first reason stays.
    pub(super) fn cancel(&self, kind: ErrorKind, reason: String) {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((kind, reason));
        self.token.cancel();
    }

    /// Why it was cancelled: what was said furthest above.
    pub(super) fn error(&self) -> Error {
        let reasons = std::iter::successors(Some(self), |it| it.parent.as_deref());
        let reason = reasons
            .filter_map(|it| {
                it.reason
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            })
            .last();
        let (kind, message) =
            reason.unwrap_or_else(|| (ErrorKind::Cancelled, "the call was cancelled".to_owned()));
        Error::new(kind, message)
    }
}
