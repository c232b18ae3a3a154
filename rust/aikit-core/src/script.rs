//! What scripts hand over the border: functions to call back, and ids of objects.

use std::fmt;

use futures::future::BoxFuture;

use crate::{Result, Value, context::Context};

/// A function of a script, of a Python program, or a Rust closure.
pub trait Callable: fmt::Debug + Send + Sync {
    /// Name for messages; `anonymous` when it has none.
    fn name(&self) -> &str;

    /// Calls it with positional arguments. The future may be awaited on any thread; the function
    /// itself runs where it belongs.
    fn call(&self, cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>>;
}

/// Identity of an object that lives in a session's table.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ObjectId(pub u64);
