//! `metrics`: counts calls, failures and time, by kind of call and name.

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{
    Context, Result, Value,
    hook::{Hook, HookAction, Subject},
    value::Map,
};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde::Deserialize;

use super::{BuiltIn, Host, Made, read, selection::Selection};

/// Names that are counted apart; further ones are counted together.
const NAMES_MAX: usize = 1_000;

/// What further names are counted as.
const OTHERS: &str = "(others)";

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "metrics",
    summary: "Counts calls, failures and seconds by name; `report` in the list of hooks shows them.",
    options: &[],
    on: &["tool", "model", "agent", "rag.ingest", "rag.retrieve"],
    make,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

#[derive(Debug)]
struct Metrics {
    selection: Selection,
    counted: Mutex<IndexMap<(&'static str, String), Counters>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    calls: u64,
    failures: u64,
    seconds: f64,
    seconds_max: f64,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let Options {} = read(options)?;
    let points = selection.points(Subject::after) | selection.points(Subject::error);
    let hook = Metrics {
        selection,
        counted: Mutex::default(),
    };
    Ok(Made {
        hook: Arc::new(hook),
        parts: vec![(points, -1_000)],
        timeout: None,
        required: false,
    })
}

impl Hook for Metrics {
    fn call<'a>(&'a self, _: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        if let Some(called) = self.selection.called(data) {
            let seconds = called.number("elapsed_s");
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (called.subject.name, called.name.to_owned());
            let key = if counted.len() < NAMES_MAX || counted.contains_key(&key) {
                key
            } else {
                (called.subject.name, OTHERS.to_owned())
            };
            let counters = counted.entry(key).or_default();
            counters.calls += 1;
            counters.failures += u64::from(called.is(".error"));
            counters.seconds += seconds;
            counters.seconds_max = counters.seconds_max.max(seconds);
        }
        Box::pin(std::future::ready(Ok(HookAction::Continue)))
    }

    fn report(&self) -> Value {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Map::new();
        for ((subject, name), counters) in &*counted {
            let Counters {
                calls,
                failures,
                seconds,
                seconds_max,
            } = *counters;
            let row = Value::map([
                ("calls", Value::from(calls)),
                ("failures", Value::from(failures)),
                ("seconds", Value::from(seconds)),
                ("seconds_max", Value::from(seconds_max)),
            ]);
            let of_subject = all
                .entry((*subject).to_owned())
                .or_insert_with(|| Value::Map(Map::new()));
            if let Value::Map(of_subject) = of_subject {
                of_subject.insert(name.clone(), row);
            }
        }
        Value::Map(all)
    }
}
