//! What is about to be executed, and when that begins a new execution.

use std::{sync::Arc, time::Duration};

use crate::{Error, Result, span::SpanDescription, telemetry};

/// What is about to be executed.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Name of the procedure, such as `tool:count_words`.
    pub name: Arc<str>,
    /// Longest time it may take; `None` for no limit of its own.
    pub timeout: Option<Duration>,
    /// When the call begins a new execution.
    pub boundary: Boundary,
    /// How its span is called and what it carries; as the procedure when `None`.
    pub span: Option<Box<SpanDescription>>,
}

/// When a call begins a new execution, whose identity its events carry.
///
/// An execution is what belongs together for those who watch: by default all that one cell, one
/// request or one outermost call brings about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Boundary {
    /// Always, and the chain of calls begins anew: the execution around it is not its parent.
    Always,
    /// Always; inside of another execution it is a child of that one.
    Child,
    /// When there is none yet.
    #[default]
    Auto,
    /// Never: its events carry the identity of the execution around it, or none.
    Never,
}

impl Boundary {
    /// Every boundary.
    pub const ALL: [Self; 4] = [Self::Always, Self::Child, Self::Auto, Self::Never];

    /// The word that scripts write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Child => "child",
            Self::Auto => "auto",
            Self::Never => "never",
        }
    }

    /// Finds a boundary by its word.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another word.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| {
            Error::invalid_args(format!("`boundary` is `{name}`"))
                .with_hint("the boundaries are `always`, `child`, `auto` and `never`")
        })
    }
}

impl Operation {
    /// An operation without a time limit of its own.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            timeout: None,
            boundary: Boundary::Auto,
            span: None,
        }
    }

    /// Limits its time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says when it begins a new execution.
    #[must_use]
    pub const fn with_boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = boundary;
        self
    }

    /// Says how its span is called and what it carries; asked only while somebody records.
    #[must_use]
    pub fn with_span(mut self, describe: impl FnOnce() -> SpanDescription) -> Self {
        if telemetry::is_on() {
            self.span = Some(Box::new(describe()));
        }
        self
    }
}
