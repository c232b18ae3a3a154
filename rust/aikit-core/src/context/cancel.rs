//! The cancellation of a Context and its reason.

use std::{
    fmt, iter,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind};

/// From one level with a token of its own to the next: whoever looks for the innermost token looks
/// at no more. Usual calls are not as deep.
const TOKEN_EVERY: usize = 64;

/// A token that remembers why it was cancelled, and the tokens above it.
pub(super) struct Cancel {
    /// Made when somebody waits or cancels, and at each level that [`TOKEN_EVERY`] says: most
    /// executions end before anybody does either, and a token costs more than the rest of their
    /// Context. With it those of all levels above.
    token: OnceLock<CancellationToken>,
    reason: Mutex<Option<(ErrorKind, String)>>,
    parent: Option<Arc<Self>>,
    /// How many are above it.
    level: usize,
}

impl Cancel {
    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self {
            token: OnceLock::new(),
            reason: Mutex::default(),
            parent: None,
            level: 0,
        })
    }

    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        let level = self.level + 1;
        let token = level
            .is_multiple_of(TOKEN_EVERY)
            .then(|| self.token().child_token());
        Arc::new(Self {
            token: token.map_or_else(OnceLock::new, OnceLock::from),
            reason: Mutex::default(),
            parent: Some(Arc::clone(self)),
            level,
        })
    }

    /// How many are above it.
    pub(super) const fn level(&self) -> usize {
        self.level
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
        // A level with a token has them on all levels above, so the innermost one knows all.
        let innermost = self.chain().find_map(|it| it.token.get());
        innermost.is_some_and(CancellationToken::is_cancelled)
    }

    /// The token, and with it those above.
    pub(super) fn token(&self) -> &CancellationToken {
        if let Some(token) = self.token.get() {
            return token;
        }
        // Made outside of the lock, which a fork could find held; nested less than `TOKEN_EVERY`
        // deep, however long the chain is.
        let made = match &self.parent {
            Some(parent) => parent.token().child_token(),
            None => CancellationToken::new(),
        };
        self.token.get_or_init(|| made)
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
        if kind == ErrorKind::Interrupted {
            return Error::interrupted(message);
        }
        Error::new(kind, message)
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |it| it.parent.as_deref())
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without those above, of which there may be more than a stack has room for.
        f.debug_struct("Cancel")
            .field("level", &self.level)
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        // One after the other: each would drop the next inside of itself, deeper than a stack is.
        let mut above = self.parent.take();
        while let Some(mut last) = above.and_then(Arc::into_inner) {
            above = last.parent.take();
        }
    }
}
