//! Bundles: middleware that belongs together, procedures one after the other, factories.

use std::sync::Arc;

use super::{Handler, Middleware, Procedure, ProcedureOptions, SourceType};
use crate::{Error, Result};

/// Middleware that is added together, in its order.
#[derive(Clone, Debug, Default)]
pub struct Pipeline(Vec<Arc<dyn Middleware>>);

impl Pipeline {
    /// An empty bundle.
    pub fn new() -> Self {
        Self::default()
    }

    /// A bundle with one more, innermost.
    #[must_use]
    pub fn with_middleware(mut self, middleware: Arc<dyn Middleware>) -> Self {
        self.0.push(middleware);
        self
    }

    /// Its middleware, outermost first.
    pub fn middleware(&self) -> &[Arc<dyn Middleware>] {
        &self.0
    }
}

impl FromIterator<Arc<dyn Middleware>> for Pipeline {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Middleware>>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// A procedure that passes the result of each of `all` to the next; of one, that one itself.
///
/// # Errors
///
/// `invalid_args` when there is none.
pub fn pipe(all: &[Procedure]) -> Result<Procedure> {
    match all {
        [] => {
            Err(Error::invalid_args("`pipe` was given no procedure").with_hint("give at least one"))
        }
        [only] => Ok(only.clone()),
        [first, rest @ ..] => Ok(rest.iter().fold(first.clone(), |all, next| all.pipe(next))),
    }
}

/// Makes procedures that have some middleware from the beginning.
#[derive(Clone, Debug)]
pub struct Factory {
    pipeline: Pipeline,
    source_type: SourceType,
}

impl Factory {
    /// A factory of procedures.
    pub const fn of_procedures(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            source_type: SourceType::Procedure,
        }
    }

    /// A factory of hooks.
    pub const fn of_hooks(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            source_type: SourceType::Hook,
        }
    }

    /// Makes a procedure; the factory's middleware stands outside of the options' own.
    pub fn make(&self, mut options: ProcedureOptions, handler: Arc<Handler>) -> Procedure {
        let mut middleware = self.pipeline.0.clone();
        middleware.append(&mut options.middleware);
        options.middleware = middleware;
        options.source_type = self.source_type;
        Procedure::create(options, handler)
    }
}
