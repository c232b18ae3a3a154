//! Who may do what, and the guards that hold every caller to it.

pub mod address;
pub(crate) mod allowed;
pub mod approval;
pub(crate) mod folder;
pub mod home;
pub mod hosts;
pub mod limits;
pub mod offline;
pub mod place;
pub mod policy;
pub mod process;
pub mod questions;
pub mod roots;
pub mod sandbox;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    event::EventKind,
    hook::{HookPoint, notify},
    services::{Ask, Decision, Permission, Policy, Target},
    value::Map,
};

/// Lets an action go on, or says which rule forbids it; asks the user where the policy wants so.
///
/// # Errors
///
/// `denied` with the rule and the way to allow it; `approval_needed` when nobody can be asked.
pub async fn enforce(
    cx: &Context,
    policy: &dyn Policy,
    ask: Option<&dyn Ask>,
    permission: Permission,
    target: Target<'_>,
) -> Result<()> {
    let decision = policy.decide(cx, permission, target);
    let outcome = match &decision {
        Decision::Allow => Ok(()),
        Decision::Deny { rule, hint } => Err(denied(rule, hint)),
        Decision::Ask(action) => {
            approval::approve(cx, (policy, ask), (permission, target), action).await
        }
    };
    record(cx, permission, target, &decision, outcome.is_ok());
    if outcome.is_err() {
        let violation = || violation(cx, permission, target, &decision);
        notify(cx, HookPoint::SecurityViolation, violation).await;
    }
    outcome
}

/// What hooks see of an action that was refused.
fn violation(cx: &Context, permission: Permission, target: Target<'_>, decision: &Decision) -> Map {
    let (word, rule) = words(decision);
    Map::from_iter([
        ("permission".to_owned(), Value::from(permission.name())),
        ("target".to_owned(), describe(target)),
        ("rule".to_owned(), Value::from(rule)),
        ("decision".to_owned(), Value::from(word)),
        ("digest".to_owned(), digest(cx)),
    ])
}

/// A decision in a word, and its rule.
fn words(decision: &Decision) -> (&'static str, Option<&str>) {
    match decision {
        Decision::Allow => ("allow", None),
        Decision::Ask(action) => ("ask", Some(action)),
        Decision::Deny { rule, .. } => ("deny", Some(rule)),
    }
}

fn digest(cx: &Context) -> Value {
    cx.invocation().map(|it| it.digest.as_str()).into()
}

/// The error of a rule that forbids an action.
pub(crate) fn denied(rule: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Denied, rule).with_hint(hint)
}

fn record(
    cx: &Context,
    permission: Permission,
    target: Target<'_>,
    decision: &Decision,
    allowed: bool,
) {
    let (word, rule) = words(decision);
    let (permission, caller) = (permission.name(), cx.caller().name());
    tracing::debug!(
        permission,
        caller,
        decision = word,
        allowed,
        "policy decided"
    );
    if cx.is_observed() {
        let data = Value::map([
            ("permission", Value::from(permission)),
            ("caller", Value::from(caller)),
            ("target", describe(target)),
            ("decision", Value::from(word)),
            ("rule", Value::from(rule)),
            ("allowed", Value::Bool(allowed)),
            ("digest", digest(cx)),
        ]);
        cx.emit(EventKind::PolicyDecision, data);
    }
}

fn describe(target: Target<'_>) -> Value {
    match target {
        Target::Any => Value::Null,
        Target::Path(path) | Target::Change { path, .. } => {
            Value::from(path.to_string_lossy().into_owned())
        }
        // Without its arguments: they may carry secrets.
        Target::Process(request) => Value::from(request.program.as_str()),
        // Without query and fragment: they may carry secrets.
        Target::Url { url, .. } => Value::from(url.split(['?', '#']).next().unwrap_or_default()),
    }
}
