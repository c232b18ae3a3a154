//! Checks the limits of a run before it spends more.

use std::time::Duration;

use aikit_core::{
    Error, ErrorKind, Result,
    agent::{AgentRun, Limits},
    clock,
};

/// Refuses limits that allow nothing.
pub(super) fn check(limits: &Limits) -> Result<()> {
    if limits.requests == 0 {
        let message = "the limit `requests` is 0, so the model could never be asked";
        return Err(Error::invalid_args(message).with_hint("give at least 1"));
    }
    time(limits).map(drop)
}

/// The time limit.
pub(super) fn time(limits: &Limits) -> Result<Option<Duration>> {
    let Some(seconds) = limits.seconds else {
        return Ok(None);
    };
    let duration = clock::length(seconds);
    let Some(duration) = duration.filter(|it| !it.is_zero()) else {
        let message = format!("the limit `seconds` is {seconds}, which is no time");
        return Err(Error::invalid_args(message).with_hint("give a number above 0"));
    };
    Ok(Some(duration))
}

/// Fails when one more request would exceed the limit.
pub(super) fn before_request(limits: &Limits, run: &AgentRun) -> Result<()> {
    exceeded(
        limits.requests,
        run.steps.len() as u64 + 1,
        "requests",
        &run.agent,
    )
}

/// Fails when `more` tool calls would exceed the limit.
pub(super) fn before_tool_calls(limits: &Limits, run: &AgentRun, more: usize) -> Result<()> {
    let made: usize = run.steps.iter().map(|step| step.tool_calls.len()).sum();
    exceeded(
        limits.tool_calls,
        (made + more) as u64,
        "tool_calls",
        &run.agent,
    )
}

/// The error of a run that took too long.
pub(super) fn out_of_time(limits: &Limits, agent: &str) -> Error {
    let seconds = limits.seconds.unwrap_or_default();
    let message = format!("agent `{agent}` reached its limit of {seconds} `seconds`");
    Error::new(ErrorKind::LimitExceeded, message).with_hint("raise the limit `seconds`")
}

fn exceeded(most: u64, wanted: u64, name: &str, agent: &str) -> Result<()> {
    if wanted <= most {
        return Ok(());
    }
    let message = format!("agent `{agent}` reached its limit of {most} `{name}`");
    let hint = format!("raise the limit `{name}`, or give the agent a smaller task");
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}
