//! `retry`: makes a call again that failed with what passes by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    Context, Result, Value,
    hook::{Hook, HookAction, Subject},
};
use futures::future::BoxFuture;
use serde::Deserialize;

use super::{
    BuiltIn, Host, Made, count, read, seconds,
    selection::{Called, Selection},
};
use crate::backoff::Backoff;

/// Most further attempts.
const ATTEMPTS_MAX: usize = 20;

/// Permissions of a tool that may be called again without being named: it changes nothing.
const HARMLESS: [&str; 3] = ["file_read", "network", "model"];

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "retry",
    summary: "Makes a call again that failed with a kind of error that passes by itself; of tools \
              those that change nothing, and those that `names` lists.",
    options: &[
        (
            "attempts",
            "How many further attempts there are; 3 when left out.",
        ),
        (
            "delay_s",
            "Bound of the first pause, in seconds, which doubles; 0.5 when left out.",
        ),
        (
            "delay_max_s",
            "Largest bound of a pause, in seconds; 30 when left out.",
        ),
    ],
    on: &["tool"],
    make,
};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    attempts: usize,
    delay_s: f64,
    delay_max_s: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempts: 3,
            delay_s: 0.5,
            delay_max_s: 30.0,
        }
    }
}

#[derive(Debug)]
struct Retry {
    selection: Selection,
    attempts: u32,
    backoff: Backoff,
    retried: AtomicU64,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let options: Options = read(options)?;
    let error = selection.points(Subject::error);
    let attempts = count("attempts", options.attempts, ATTEMPTS_MAX)?;
    let hook = Retry {
        selection,
        attempts: u32::try_from(attempts).unwrap_or(1),
        backoff: Backoff {
            first: seconds("delay_s", options.delay_s, 0.0)?,
            most: seconds("delay_max_s", options.delay_max_s, 0.0)?,
        },
        retried: AtomicU64::new(0),
    };
    Ok(Made {
        hook: Arc::new(hook),
        // Others see each failure before it is tried again.
        parts: vec![(error, -2_000)],
        timeout: None,
        required: false,
    })
}

impl Hook for Retry {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        let called = self.selection.called(data);
        let action = called.and_then(|called| self.again(cx, &called));
        let action = action.unwrap_or(HookAction::Continue);
        Box::pin(std::future::ready(Ok(action)))
    }

    fn report(&self) -> Value {
        let retried = self.retried.load(Ordering::Relaxed);
        Value::map([("retried", Value::from(retried))])
    }
}

impl Retry {
    fn again(&self, cx: &Context, called: &Called<'_>) -> Option<HookAction> {
        let error = called.data.get("error")?;
        if error.get("retryable").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        let is_harmless = called.permissions().all(|it| HARMLESS.contains(&it));
        if !is_harmless && self.selection.names.is_empty() {
            return None;
        }
        let attempt = called
            .data
            .get("attempt")
            .and_then(Value::as_i64)
            .unwrap_or(1);
        let asked = error.get("retry_after_s").and_then(Value::as_f64);
        let asked = asked.and_then(|it| Duration::try_from_secs_f64(it).ok());
        let failed = u32::try_from(attempt).unwrap_or(1);
        let asked = asked.unwrap_or_default();
        let delay = self.backoff.pause(&**cx.clock(), failed, asked);
        // A pause that the caller does not outlive ends in its deadline, which says less.
        if cx.remaining().is_some_and(|left| delay >= left) {
            return None;
        }
        if attempt <= i64::from(self.attempts) {
            self.retried.fetch_add(1, Ordering::Relaxed);
        }
        Some(HookAction::Retry {
            delay,
            max: self.attempts,
        })
    }
}
