//! Middleware: wraps a procedure's call to change arguments, result or error, or to answer itself.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::{Result, Value, context::Context, graph::Pid, value::Map};

/// What middleware knows about the call it wraps.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Name of the procedure.
    pub operation_name: Arc<str>,
    /// Identity of this execution.
    pub pid: Option<Pid>,
    /// What [`with_metadata`](super::Procedure::with_metadata) added.
    pub metadata: Map,
    /// The Context of this execution.
    pub context: Context,
}

/// Wraps calls. It must call `next` at most once, or answer without it.
pub trait Middleware: fmt::Debug + Send + Sync {
    /// Handles one call.
    fn call<'a>(
        &'a self,
        args: Value,
        envelope: &'a Envelope,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Value>>;
}

type Innermost = Box<dyn FnOnce(Value) -> BoxFuture<'static, Result<Value>> + Send>;

/// The rest of the way to the handler.
pub struct Next<'a> {
    envelope: &'a Envelope,
    rest: &'a [Arc<dyn Middleware>],
    handler: Innermost,
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("rest", &self.rest.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Next<'a> {
    pub(super) fn new(
        envelope: &'a Envelope,
        rest: &'a [Arc<dyn Middleware>],
        handler: Innermost,
    ) -> Self {
        Self {
            envelope,
            rest,
            handler,
        }
    }

    /// Goes on with `args`.
    ///
    /// # Errors
    ///
    /// Those of the middleware further in and of the handler.
    pub fn run(self, args: Value) -> BoxFuture<'a, Result<Value>> {
        match self.rest.split_first() {
            Some((first, rest)) => first.call(args, self.envelope, Next { rest, ..self }),
            None => (self.handler)(args),
        }
    }
}
