//! A hook that is a function of a script or a program.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Hook, HookAction};
use crate::{Result, Value, context::Context, script::Callable};

/// Asks a function: it gets the data of the point, without the fields that are null, which some
/// languages take for something, and returns nothing, or what [`HookAction::from_value`] reads.
#[derive(Debug)]
pub struct FunctionHook(Arc<dyn Callable>);

impl FunctionHook {
    /// A hook that is `function`.
    pub const fn new(function: Arc<dyn Callable>) -> Self {
        Self(function)
    }
}

impl Hook for FunctionHook {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        let mut shown = data.clone();
        if let Value::Map(fields) = &mut shown {
            fields.retain(|_, value| !value.is_null());
        }
        let answer = self.0.call(cx, vec![shown]);
        Box::pin(async move { HookAction::from_value(answer.await?) })
    }
}
