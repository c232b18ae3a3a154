//! The cancellation of a Context and its reason.

use std::{
    iter,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind};

/// A token that remembers why it was cancelled, and the tokens above it.
#[derive(Debug)]
pub(super) struct Cancel {
    /// Made when somebody waits or cancels: most executions end before anybody does either, and a
    /// token costs more than the rest of their Context.
    token: OnceLock<CancellationToken>,
    reason: Mutex<Option<(ErrorKind, String)>>,
    parent: Option<Arc<Self>>,
}

impl Cancel {
    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self {
            token: OnceLock::new(),
            reason: Mutex::default(),
            parent: None,
        })
    }

    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            token: OnceLock::new(),
            reason: Mutex::default(),
            parent: Some(Arc::clone(self)),
        })
    }

    /// Cancels this token and those below it; the first reason stays.
    pub(super) fn cancel(&self, kind: ErrorKind, reason: String) {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((kind, reason));
        self.token().cancel();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        // A token is a child of the nearest one above, so the innermost that exists knows all.
        let innermost = self.chain().find_map(|it| it.token.get());
        innermost.is_some_and(CancellationToken::is_cancelled)
    }

    /// The token, and with it those above.
    pub(super) fn token(&self) -> &CancellationToken {
        if let Some(token) = self.token.get() {
            return token;
        }
        // Made outside of the lock, which a fork could find held; nested at most as deep as calls.
        let made = match &self.parent {
            Some(parent) => parent.token().child_token(),
            None => CancellationToken::new(),
        };
        self.token.get_or_init(|| made)
    }

    /// Whether `other` is this one or above it.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.chain().any(|it| std::ptr::eq(it, other))
    }

    /// Why it was cancelled: what was said furthest above.
    pub(super) fn error(&self) -> Error {
        let reasons = self.chain().filter_map(|it| {
            it.reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        });
        let reason = reasons.last();
        let (kind, message) =
            reason.unwrap_or_else(|| (ErrorKind::Cancelled, "the call was cancelled".to_owned()));
        Error::new(kind, message)
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |it| it.parent.as_deref())
    }
}
