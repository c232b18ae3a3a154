//! `logging`: a line for each call: what, how long, how it ended; of what was said the message of an
//! error alone.

use std::sync::Arc;

use aikit_core::{
    Context, Error, Result, Value,
    hook::{Hook, HookAction, Subject},
    logger::Level,
};
use futures::future::BoxFuture;
use serde::Deserialize;

use super::{BuiltIn, Host, Made, read, selection::Selection};

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "logging",
    summary: "Logs each call: its name, how long it took, how it ended; of its content the message \
              of an error alone.",
    options: &[(
        "level",
        "Level of its lines: `trace`, `debug`, `info`; failures are warnings.",
    )],
    on: &[
        "cell",
        "tool",
        "model",
        "agent",
        "rag.ingest",
        "rag.retrieve",
    ],
    make,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    level: Option<String>,
}

/// The level of the lines of calls that did not fail.
fn level(given: Option<String>) -> Result<Level> {
    let Some(given) = given else {
        return Ok(Level::Info);
    };
    let level: Level = given.parse()?;
    if level > Level::Info {
        return Err(Error::invalid_args(format!("`level` is `{level}`"))
            .with_hint("the levels are `trace`, `debug` and `info`; failures are warnings"));
    }
    Ok(level)
}

#[derive(Debug)]
struct Logging {
    selection: Selection,
    level: Level,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let level = level(read::<Options>(options)?.level)?;
    let points = selection.points(Subject::after) | selection.points(Subject::error);
    Ok(Made {
        hook: Arc::new(Logging { selection, level }),
        // Last, so that it sees what the caller gets.
        parts: vec![(points, -1_000)],
        timeout: None,
        required: false,
    })
}

impl Hook for Logging {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        if let Some(called) = self.selection.called(data) {
            let (call, name, caller) = (called.subject.name, called.name, cx.caller().name());
            let (request_id, elapsed_s) = (cx.request_id(), called.number("elapsed_s"));
            let attempt = called.number("attempt");
            if let Some(error) = data.get("error") {
                let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
                let (kind, message) = (part("kind"), part("message"));
                tracing::warn!(
                    call,
                    name,
                    caller,
                    request_id,
                    elapsed_s,
                    attempt,
                    kind,
                    // Not `message`, which is that of the record.
                    error = message,
                    "call failed"
                );
            } else {
                macro_rules! ended {
                    ($log:ident) => {
                        tracing::$log!(
                            call,
                            name,
                            caller,
                            request_id,
                            elapsed_s,
                            attempt,
                            "call ended"
                        )
                    };
                }
                match self.level {
                    Level::Trace => ended!(trace),
                    Level::Debug => ended!(debug),
                    _ => ended!(info),
                }
            }
        }
        Box::pin(std::future::ready(Ok(HookAction::Continue)))
    }
}
