//! `cache`: gives an answer again for the same question, for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aikit_core::{
    Context, Error, Result, Value,
    hook::{Hook, HookAction, Subject},
};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde::Deserialize;

use super::{
    BuiltIn, Host, Made, count, read, seconds,
    selection::{Called, Selection},
};
use crate::security::{approval, limits};

/// Most answers that may be kept.
const ENTRIES_MAX: usize = 10_000;

/// Most bytes that may be kept.
const BYTES_MAX: usize = 1 << 30;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "cache",
    summary: "Gives the answer of a model again for the same request, and of the tools that `names` \
              lists for the same arguments; apart for each tenant, user and caller.",
    options: &[
        (
            "ttl_s",
            "How long an answer is good, in seconds; 300 when left out.",
        ),
        (
            "entries_max",
            "How many answers are kept; 1000 when left out.",
        ),
        (
            "bytes_max",
            "How many bytes of answers are kept; 64 MiB when left out.",
        ),
    ],
    on: &["model"],
    make,
};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    ttl_s: f64,
    entries_max: usize,
    bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl_s: 300.0,
            entries_max: 1_000,
            bytes_max: 64 << 20,
        }
    }
}

#[derive(Debug)]
struct Cache {
    selection: Selection,
    ttl: Duration,
    entries_max: usize,
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By digest; the one that was used last is the last.
    entries: IndexMap<String, Entry>,
    bytes: usize,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    bytes: usize,
    good_until: Duration,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let options: Options = read(options)?;
    let can_be_kept = ["tool", "model"];
    if let Some(other) = selection
        .subjects
        .iter()
        .find(|it| !can_be_kept.contains(&it.name))
    {
        return Err(
            Error::invalid_args(format!("answers of `{}` cannot be kept", other.name))
                .with_hint("use `tool` and `model`"),
        );
    }
    let is_tool = |it: &&Subject| it.name == "tool";
    if selection.subjects.iter().any(is_tool) && selection.names.is_empty() {
        // Most tools touch what changes, or change it.
        return Err(Error::invalid_args("no tool is named")
            .with_hint("list the tools whose answers may be given again as `names`"));
    }
    let before = selection.points(Subject::before);
    let after = selection.points(Subject::after);
    let hook = Cache {
        ttl: seconds("ttl_s", options.ttl_s, 0.001)?,
        entries_max: count("entries_max", options.entries_max, ENTRIES_MAX)?,
        bytes_max: count("bytes_max", options.bytes_max, BYTES_MAX)?,
        selection,
        kept: Mutex::default(),
    };
    Ok(Made {
        hook: Arc::new(hook),
        // It sees the question as other hooks left it, and the answer before they change it: they
        // will be asked again.
        parts: vec![(before, -1_000), (after, 1_000)],
        timeout: None,
        required: false,
    })
}

impl Hook for Cache {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        Box::pin(async move {
            let Some(called) = self.selection.called(data) else {
                return Ok(HookAction::Continue);
            };
            let (key, now) = (key(cx, &called), cx.clock().monotonic());
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if called.is(".before") {
                let found = kept.find(&key, now);
                return Ok(found.map_or(HookAction::Continue, HookAction::Replace));
            }
            if let Some(result) = data.get(called.subject.result) {
                self.keep(&mut kept, key, result, now);
            }
            Ok(HookAction::Continue)
        })
    }

    fn report(&self) -> Value {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Value::map([
            ("hits", Value::from(kept.hits)),
            ("misses", Value::from(kept.misses)),
            ("entries", Value::from(kept.entries.len())),
            ("bytes", Value::from(kept.bytes)),
        ])
    }
}

impl Cache {
    fn keep(&self, kept: &mut Kept, key: String, result: &Value, now: Duration) {
        // One that was given again is no younger for that.
        if kept.entries.contains_key(&key) {
            return;
        }
        let bytes = limits::json_bytes(result, self.bytes_max) + key.len();
        if bytes > self.bytes_max {
            return;
        }
        kept.bytes += bytes;
        let entry = Entry {
            value: result.clone(),
            bytes,
            good_until: now.saturating_add(self.ttl),
        };
        kept.entries.insert(key, entry);
        while kept.entries.len() > self.entries_max || kept.bytes > self.bytes_max {
            let Some((_, oldest)) = kept.entries.shift_remove_index(0) else {
                break;
            };
            kept.bytes -= oldest.bytes;
        }
    }
}

impl Kept {
    fn find(&mut self, key: &str, now: Duration) -> Option<Value> {
        let found = self.entries.shift_remove(key).filter(|entry| {
            let is_good = now < entry.good_until;
            if !is_good {
                self.bytes -= entry.bytes;
            }
            is_good
        });
        let Some(entry) = found else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        let value = entry.value.clone();
        self.entries.insert(key.to_owned(), entry);
        Some(value)
    }
}

/// What a call asks, and on whose behalf: nobody is given what another one may see.
fn key(cx: &Context, called: &Called<'_>) -> String {
    let principal = cx.principal();
    let asked = called.subject.shows.iter().map(|field| {
        let value = called.data.get(field).cloned().unwrap_or_default();
        (*field, value)
    });
    let whose = [
        ("tenant", Value::from(principal.tenant_id.as_deref())),
        ("user", Value::from(principal.id.as_str())),
        ("caller", Value::from(cx.caller().name())),
    ];
    let question = Value::map(asked.chain(whose));
    approval::digest(called.subject.name, &question)
}
