//! `rate_limit`: a token bucket before calls; a call waits for its turn, or is refused.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{
    Context, ErrorKind, Result, Value,
    hook::{Hook, HookAction, Subject},
};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde::Deserialize;

use super::{BuiltIn, Host, Made, count, read, seconds, selection::Selection};

/// Most calls of a period.
const CALLS_MAX: usize = 1_000_000;

/// Buckets that are kept: of tenants, kinds of call and names. Full ones are forgotten first.
const BUCKETS_MAX: usize = 10_000;

/// How much longer than the longest wait a call of the hook may take.
const GRACE: Duration = Duration::from_secs(5);

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "rate_limit",
    summary: "Lets only so many calls begin in a while, for each tenant; the others wait, or are \
              refused.",
    options: &[
        ("calls", "How many calls may begin in a period; required."),
        (
            "per_s",
            "Length of the period, in seconds; 1 when left out.",
        ),
        (
            "burst",
            "How many calls may begin at once after a rest; as `calls` when left out.",
        ),
        (
            "wait",
            "Whether a call waits for its turn (true) or is refused.",
        ),
        (
            "wait_max_s",
            "Longest wait, in seconds; 60 when left out. One that is longer is refused.",
        ),
        (
            "each",
            "Whether each name has a limit of its own; all together otherwise.",
        ),
    ],
    on: &["model"],
    make,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    calls: usize,
    #[serde(default = "one")]
    per_s: f64,
    burst: Option<usize>,
    #[serde(default = "yes")]
    wait: bool,
    #[serde(default = "minute")]
    wait_max_s: f64,
    #[serde(default)]
    each: bool,
}

const fn one() -> f64 {
    1.0
}

const fn minute() -> f64 {
    60.0
}

const fn yes() -> bool {
    true
}

#[derive(Debug)]
struct RateLimit {
    selection: Selection,
    calls: usize,
    per: Duration,
    burst: f64,
    wait_max: Duration,
    each: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: IndexMap<Key, Bucket>,
    waited: u64,
    refused: u64,
}

/// Tenant, kind of call, name.
type Key = (Option<String>, &'static str, String);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Calls that may begin now; below 0 what is promised to those that wait.
    tokens: f64,
    at: Duration,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let options: Options = read(options)?;
    let wait_max = if options.wait {
        seconds("wait_max_s", options.wait_max_s, 0.0)?
    } else {
        Duration::ZERO
    };
    let calls = count("calls", options.calls, CALLS_MAX)?;
    let burst = count("burst", options.burst.unwrap_or(calls), CALLS_MAX)?;
    let before = selection.points(Subject::before);
    let hook = RateLimit {
        calls,
        per: seconds("per_s", options.per_s, 0.001)?,
        burst: f64::from(u32::try_from(burst).unwrap_or(u32::MAX)),
        wait_max,
        each: options.each,
        selection,
        state: Mutex::default(),
    };
    Ok(Made {
        hook: Arc::new(hook),
        // After what may answer for the call or stop it: that takes nobody's turn.
        parts: vec![(before, -1_500)],
        timeout: Some(
            wait_max
                .saturating_add(GRACE)
                .min(aikit_core::hook::HOOK_TIME_MAX),
        ),
        required: true,
    })
}

impl Hook for RateLimit {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        Box::pin(async move {
            let Some(called) = self.selection.called(data) else {
                return Ok(HookAction::Continue);
            };
            let name = if self.each { called.name } else { "" };
            let tenant = cx.principal().tenant_id.clone();
            let key = (tenant, called.subject.name, name.to_owned());
            let wait = self.take(&key, cx.clock().monotonic());
            if wait.is_zero() {
                return Ok(HookAction::Continue);
            }
            let turn = Turn {
                limit: self,
                key: &key,
                is_taken: false,
            };
            // A wait that the caller does not outlive is none.
            let is_late = cx.remaining().is_some_and(|left| wait > left);
            if wait > self.wait_max || is_late {
                self.state().refused += 1;
                return Ok(self.refuse(wait));
            }
            self.state().waited += 1;
            cx.within(cx.clock().sleep(wait)).await?;
            turn.take();
            Ok(HookAction::Continue)
        })
    }

    fn report(&self) -> Value {
        let state = self.state();
        Value::map([
            ("waited", Value::from(state.waited)),
            ("refused", Value::from(state.refused)),
        ])
    }
}

impl RateLimit {
    /// Calls that become free in a second.
    fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.calls).unwrap_or(u32::MAX)) / self.per.as_secs_f64()
    }

    /// Takes a turn; answers how long until it comes.
    fn take(&self, key: &Key, now: Duration) -> Duration {
        let mut state = self.state();
        if state.buckets.len() >= BUCKETS_MAX && !state.buckets.contains_key(key) {
            state
                .buckets
                .retain(|_, it| self.filled(*it, now) < self.burst);
            if state.buckets.len() >= BUCKETS_MAX {
                state.buckets.shift_remove_index(0);
            }
        }
        let fresh = Bucket {
            tokens: self.burst,
            at: now,
        };
        let bucket = state.buckets.entry(key.clone()).or_insert(fresh);
        let tokens = self.filled(*bucket, now) - 1.0;
        *bucket = Bucket { tokens, at: now };
        if tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-tokens / self.rate()).unwrap_or(Duration::MAX)
    }

    fn give_back(&self, key: &Key) {
        if let Some(bucket) = self.state().buckets.get_mut(key) {
            bucket.tokens += 1.0;
        }
    }

    fn filled(&self, bucket: Bucket, now: Duration) -> f64 {
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        passed.mul_add(self.rate(), bucket.tokens).min(self.burst)
    }

    fn refuse(&self, wait: Duration) -> HookAction {
        HookAction::Stop {
            reason: format!(
                "more than {} calls in {:?}; the next one may begin in {:.1} s",
                self.calls,
                self.per,
                wait.as_secs_f64()
            ),
            kind: ErrorKind::LimitExceeded,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn that is promised; one that nobody waits for any more is given back.
struct Turn<'a> {
    limit: &'a RateLimit,
    key: &'a Key,
    is_taken: bool,
}

impl Turn<'_> {
    fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            self.limit.give_back(self.key);
        }
    }
}
