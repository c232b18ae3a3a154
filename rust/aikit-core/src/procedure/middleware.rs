//! Middleware: wraps a procedure's call to change arguments, result or error, or to answer itself.

use std::{fmt, sync::Arc};

use futures::future::{BoxFuture, FutureExt as _};

use super::HandleView;
use crate::{Error, ErrorKind, Result, Value, context::Context, graph::Pid, value::Map};

/// What kind of function a procedure was made of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SourceType {
    /// A function that is called for its result.
    #[default]
    Procedure,
    /// A hook, which is asked at a point of another call.
    Hook,
}

impl SourceType {
    /// The word that scripts see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Procedure => "procedure",
            Self::Hook => "hook",
        }
    }
}

/// What middleware knows about the call it wraps.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Name of the procedure.
    pub operation_name: Arc<str>,
    /// What it was made of.
    pub source_type: SourceType,
    /// Identity of this execution.
    pub pid: Option<Pid>,
    /// What [`with_metadata`](super::Procedure::with_metadata) added.
    pub metadata: Arc<Map>,
    /// Events and cancellation of the operation, when somebody holds its handle.
    pub handle: Option<HandleView>,
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

type Innermost<'a> = Box<dyn FnOnce(Value) -> BoxFuture<'static, Result<Value>> + Send + 'a>;

/// The rest of the way to the handler.
pub struct Next<'a> {
    envelope: &'a Envelope,
    rest: &'a [Arc<dyn Middleware>],
    handler: Innermost<'a>,
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
        handler: Innermost<'a>,
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
    /// Those of the middleware further in and of the handler, and of
    /// [`Context::check`]: nothing further in is called once the call was cancelled.
    pub fn run(self, args: Value) -> BoxFuture<'a, Result<Value>> {
        if let Err(error) = self.envelope.context.check() {
            return std::future::ready(Err(error)).boxed();
        }
        match self.rest.split_first() {
            Some((first, rest)) => first.call(args, self.envelope, Next { rest, ..self }),
            None => (self.handler)(args),
        }
    }
}

type Allows = dyn for<'a> Fn(&'a Value, &'a Envelope) -> BoxFuture<'a, Result<bool>> + Send + Sync;

/// Middleware that lets a call go on or denies it, and changes nothing.
pub struct Guard {
    name: String,
    allows: Box<Allows>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard that asks `allows`, which sees arguments and envelope.
    pub fn new<F>(name: impl Into<String>, allows: F) -> Self
    where
        F: for<'a> Fn(&'a Value, &'a Envelope) -> BoxFuture<'a, Result<bool>>
            + Send
            + Sync
            + 'static,
    {
        Self {
            name: name.into(),
            allows: Box::new(allows),
        }
    }
}

/// The error of a call that the guard `guard` does not let through.
pub fn denied_by(guard: &str, operation: &str) -> Error {
    let message = format!("guard `{guard}` does not let `{operation}` be called");
    Error::new(ErrorKind::Denied, message)
        .with_hint("call it with what the guard asks for, or as somebody who may")
}

impl Middleware for Guard {
    fn call<'a>(
        &'a self,
        args: Value,
        envelope: &'a Envelope,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            if (self.allows)(&args, envelope).await? {
                next.run(args).await
            } else {
                Err(denied_by(&self.name, &envelope.operation_name))
            }
        })
    }
}
