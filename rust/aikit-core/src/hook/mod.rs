//! Hooks: points where others may change a call, answer for it, stop it or have it made again.
//!
//! [`around`] is the one place where hooks stand around a call: those of `before`, the call, those
//! of `after` or of `error`. Whoever makes calls describes them by the trait [`Hooked`] and leaves
//! the rest to it. Without a hook at its points a call costs one look at a number more.
//!
//! A hook is called as a procedure, `hook:NAME`, within its own time limit, and what it does itself
//! is not shown to it again: a hook of tools may use tools. What goes wrong in a hook (an error, a
//! panic, an answer without a meaning, a call that is cut off) is the hook's own: the call it was
//! asked for goes on as if it had answered nothing, with a warning and the event `hook.failed`. Only
//! one that is registered as required takes the call with it. One that fails [`FAILURES_MAX`] times
//! in a row, or takes too long [`TIMEOUTS_MAX`] times in a row, is switched off, with a warning and the event
//! `hook.disabled`, until somebody switches it on again; one that is required never is.

mod action;
mod around;
mod ask;
mod breaker;
mod options;
mod point;
mod registry;
mod right;
mod script;

use std::fmt;

use futures::future::BoxFuture;

use crate::{Result, Value, context::Context};

pub(crate) use self::ask::{Asking, apart_from};
pub use self::{
    action::HookAction,
    around::{Hooked, around, notify},
    breaker::{FAILURES_MAX, TIMEOUTS_MAX},
    options::{HOOK_TIME, HOOK_TIME_MAX, HookOptions, PRIORITIES, priority, time_limit},
    point::{
        AGENT, AGENT_STEP, CELL, HookPoint, MODEL, Moment, Points, RAG_INGEST, RAG_RETRIEVE,
        SESSION_CHECKPOINT, SESSION_END, SESSION_START, STATE_READ, STATE_WRITE, SUBJECTS, Subject,
        TOOL,
    },
    registry::{HOOKS_MAX, HookId, HookInfo, HookRegistry},
    script::FunctionHook,
};

/// Something that is asked at a point.
pub trait Hook: fmt::Debug + Send + Sync {
    /// Looks at what is about to happen, or has happened, and answers. `data` is a map of the fields
    /// that [`HookPoint::shows`] names. The future must give way now and then: one that computes
    /// without an end cannot be cut off.
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>>;

    /// What the hook tells about itself in lists; null for most.
    fn report(&self) -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests;
