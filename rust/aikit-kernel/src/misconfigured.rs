//! What runs in place of a language whose session cannot be put together: every cell answers why.
//!
//! A kernel that ends instead shows its reason in a log that a user of a notebook does not see.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result,
    engine::{Cell, Completeness, Completion, LanguageInfo, OutputSink, ScriptEngine},
    value::Map,
};
use futures::future::BoxFuture;

/// Answers each cell with one error.
#[derive(Debug)]
pub(crate) struct Misconfigured {
    kind: ErrorKind,
    message: String,
    hint: String,
    language: LanguageInfo,
}

impl Misconfigured {
    pub(crate) fn new(error: &Error, language: LanguageInfo) -> Self {
        let hint = error.hint().map(|it| format!("{it}; ")).unwrap_or_default();
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            hint: format!("{hint}then restart the kernel"),
            language,
        }
    }

    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone()).with_hint(self.hint.clone())
    }
}

impl ScriptEngine for Misconfigured {
    fn language(&self) -> LanguageInfo {
        self.language.clone()
    }

    fn execute<'a>(
        &'a self,
        _: &'a Context,
        _: Cell,
        _: Arc<dyn OutputSink>,
    ) -> BoxFuture<'a, Result<Option<Map>>> {
        Box::pin(async { Err(self.error()) })
    }

    fn complete<'a>(&'a self, _: &'a str, cursor: usize) -> BoxFuture<'a, Result<Completion>> {
        let nothing = Completion {
            matches: Vec::new(),
            start: cursor,
            end: cursor,
        };
        Box::pin(async { Ok(nothing) })
    }

    fn inspect<'a>(&'a self, _: &'a str, _: usize, _: u8) -> BoxFuture<'a, Result<Option<Map>>> {
        Box::pin(async { Ok(None) })
    }

    fn is_complete(&self, _: &str) -> Completeness {
        Completeness::Complete
    }

    fn interrupt(&self) {}
}
