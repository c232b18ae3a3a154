//! Asks one hook: as a procedure, within its time limit; what goes wrong is the hook's own.

use std::sync::Arc;

use super::{
    CELL, HookAction, HookId, HookPoint,
    breaker::{FAILURES_MAX, Fault, TIMEOUTS_MAX},
    registry::Registration,
};
use crate::{
    Error, ErrorKind, Result, Value,
    context::Context,
    event::EventKind,
    tracker::{Operation, track},
};

/// The hooks that are being asked around a call, innermost first.
#[derive(Debug)]
pub(crate) struct Asking {
    id: HookId,
    outer: Option<Arc<Self>>,
}

impl Asking {
    /// Whether the hook `id` is being asked.
    pub(super) fn includes(&self, id: HookId) -> bool {
        self.id == id || self.outer.as_ref().is_some_and(|outer| outer.includes(id))
    }
}

/// The Context of what the hook `id` does.
fn inside(cx: &Context, id: HookId) -> Context {
    cx.child_asking(Arc::new(Asking {
        id,
        outer: cx.asking().cloned(),
    }))
}

/// The Context of a cell that does nothing but take hooks away: what goes is not asked whether it
/// may. So one that refuses every cell does not lock its user up. A hook that `cx` may not take
/// away is asked as ever.
pub(crate) fn apart_from(cx: &Context, names: &[String]) -> Context {
    let hooks = cx.hooks().takeable(cx, names);
    hooks.into_iter().fold(cx.clone(), |cx, id| inside(&cx, id))
}

/// Asks one hook at one point.
///
/// # Errors
///
/// That `cx` is cancelled or past its deadline, or that the user interrupted the hook; the failure
/// of a hook that is required. Another failure counts as [`HookAction::Continue`].
pub(super) async fn ask(
    cx: &Context,
    hook: &Registration,
    point: HookPoint,
    data: &Value,
) -> Result<HookAction> {
    hook.breaker.called();
    let clock = cx.clock();
    let started = clock.monotonic();
    let limit = hook.options.timeout;
    let operation = Operation::new(Arc::clone(&hook.operation)).with_timeout(Some(limit));
    let inside = inside(cx, hook.id);
    let asked = track(&inside, operation, |inner| async move {
        hook.hook.call(&inner, data).await
    });
    let answer = asked.await.and_then(|action| {
        action.check(point)?;
        Ok(action)
    });
    let error = match answer {
        Ok(action) => {
            hook.breaker.answered();
            return Ok(action);
        }
        Err(error) => error,
    };
    // The caller's own end is no fault of the hook, and a user who pressed stop meant the call.
    cx.check()?;
    if error.is_by_user() {
        return Err(error);
    }
    if error.kind() == ErrorKind::Cancelled && !hook.options.required {
        // Of a function in an event loop which ends: that of the caller, who is told next.
        tracing::debug!(hook = hook.name, point = point.name(), %error, "a hook was cancelled");
        return Ok(HookAction::Continue);
    }
    let is_late =
        error.kind() == ErrorKind::Timeout && clock.monotonic().saturating_sub(started) >= limit;
    if is_late {
        let message = format!(
            "hook `{}` at `{}` took longer than {limit:?}",
            hook.name,
            point.name()
        );
        let error = Error::new(ErrorKind::Timeout, message)
            .with_hint(way_out(
                hook,
                point,
                "let the hook do less, raise its time limit, or remove it",
            ))
            .with_source(error);
        return blame(cx, hook, point, (error, Fault::TookTooLong)).map(|()| HookAction::Continue);
    }
    let error = failed(hook, point, error);
    blame(cx, hook, point, (error, Fault::Failed)).map(|()| HookAction::Continue)
}

/// The error of a hook, with its name in front.
pub(super) fn failed(hook: &Registration, point: HookPoint, error: Error) -> Error {
    let message = format!("hook `{}` at `{}` failed: {error}", hook.name, point.name());
    let hint = error.hint().unwrap_or("mend the hook, or remove it");
    let hint = way_out(hook, point, hint);
    Error::new(error.kind(), message)
        .with_hint(hint)
        .with_traceback(error.traceback().to_vec())
        .with_source(error)
}

/// What to do about a hook that fails, and how one that takes its calls with it is taken away.
fn way_out(hook: &Registration, point: HookPoint, hint: &str) -> String {
    let name = &hook.name;
    match point.subject() {
        _ if !hook.options.required => hint.to_owned(),
        Some(subject) if *subject == CELL => {
            format!("{hint}; a cell with nothing but `Hook.unregister({name:?})` is run without it")
        }
        _ => format!("{hint}; `unregister({name:?})` takes it away"),
    }
}

/// Notes a failure of a hook: an event and a warning, and the end of it when it keeps failing.
///
/// # Errors
///
/// The failure itself when the hook is required.
pub(super) fn blame(
    cx: &Context,
    hook: &Registration,
    point: HookPoint,
    (error, fault): (Error, Fault),
) -> Result<()> {
    let is_off = cx.hooks().failed(hook, fault, error.message());
    tracing::warn!(hook = hook.name, point = point.name(), %error, "a hook failed");
    tell(cx, EventKind::HookFailed, || {
        Value::map([
            ("hook", Value::from(hook.name.as_str())),
            ("point", Value::from(point.name())),
            ("kind", Value::from(error.kind().code())),
            ("error", Value::from(error.message())),
        ])
    });
    if is_off {
        let reason = match fault {
            Fault::TookTooLong => format!("it took too long {TIMEOUTS_MAX} times in a row"),
            Fault::Failed => format!("it failed {FAILURES_MAX} times in a row"),
        };
        let hint = format!(
            "mend it and switch it on again with `enable(\"{}\")`",
            hook.name
        );
        tracing::warn!(hook = hook.name, reason, hint, "a hook was switched off");
        tell(cx, EventKind::HookDisabled, || {
            Value::map([
                ("hook", Value::from(hook.name.as_str())),
                ("reason", Value::from(reason)),
                ("error", Value::from(error.message())),
                ("hint", Value::from(hint)),
            ])
        });
    }
    if hook.options.required {
        return Err(error);
    }
    Ok(())
}

fn tell(cx: &Context, kind: EventKind, data: impl FnOnce() -> Value) {
    if cx.is_observed() {
        cx.emit(kind, data());
    }
}
