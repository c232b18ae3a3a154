//! `approval`: asks the user before calls: a prompt in a notebook or a terminal, a function in a
//! program.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::{Approval, Approver, Invocation, Verdict},
    hook::{HOOK_TIME_MAX, Hook, HookAction, Subject},
    services::Ask,
};
use futures::future::BoxFuture;
use serde::Deserialize;

use super::{
    BuiltIn, Host, Made, read,
    selection::{Called, Selection},
};
use crate::security::{allowed::Allowed, approval};

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "approval",
    summary: "Asks the user before a call; a refused one ends with `denied`. It asks beside the \
              policy and allows nothing that the policy forbids.",
    options: &[
        (
            "callers",
            "Whose calls are asked about: `agent`, or `all` when left out.",
        ),
        (
            "approve",
            "A function that decides instead of the user: it gets `tool`, `args`, `action`, \
             `always` and `digest`, and gives true, false or `always`.",
        ),
    ],
    on: &["tool"],
    make,
};

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Callers {
    #[default]
    All,
    Agent,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    callers: Callers,
}

struct Approving {
    selection: Selection,
    callers: Callers,
    host: Host,
    /// What was allowed for good.
    allowed: Allowed<Key>,
}

/// A kind of call, its name and the caller.
#[derive(Eq, Hash, PartialEq)]
struct Key {
    kind: &'static str,
    name: String,
    caller: &'static str,
}

impl std::fmt::Debug for Approving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approving")
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

fn make(host: &Host, selection: Selection, options: Value) -> Result<Made> {
    let Options { callers } = read(options)?;
    let before = selection.points(Subject::before);
    let hook = Approving {
        selection,
        callers,
        host: host.clone(),
        allowed: Allowed::default(),
    };
    Ok(Made {
        hook: Arc::new(hook),
        // Last: what is approved is what is done.
        parts: vec![(before, -2_000)],
        // A person may be at lunch.
        timeout: Some(HOOK_TIME_MAX),
        required: true,
    })
}

impl Hook for Approving {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        Box::pin(async move {
            let asking = cx.caller().name();
            let is_meant = self.callers == Callers::All || asking == "agent";
            let Some(called) = self.selection.called(data).filter(|_| is_meant) else {
                return Ok(HookAction::Continue);
            };
            let key = Key {
                kind: called.subject.name,
                name: called.name.to_owned(),
                caller: asking,
            };
            let is_allowed = || self.allowed.holds(cx, &key);
            if is_allowed() {
                return Ok(HookAction::Continue);
            }
            let approval = approval_of(&called)?;
            let approver: Option<&Arc<dyn Approver>> =
                self.host.approver.as_ref().or(cx.approver());
            let ask: Option<&dyn Ask> = self.host.ask.as_deref();
            match approval::decide(cx, (approver, ask), &approval, is_allowed).await? {
                Verdict::Yes => Ok(HookAction::Continue),
                Verdict::No => Ok(HookAction::stop(format!(
                    "the user did not allow it: {}",
                    approval.action
                ))),
                Verdict::Always => {
                    self.allowed.add(cx, key);
                    Ok(HookAction::Continue)
                }
            }
        })
    }
}

/// What the user is asked.
fn approval_of(called: &Called<'_>) -> Result<Approval> {
    let shown = called
        .subject
        .shows
        .iter()
        .filter(|it| **it != "permissions");
    let asked = match called.subject.name {
        "tool" => called.data.get("args").cloned().unwrap_or_default(),
        _ => Value::map(shown.map(|field| {
            let value = called.data.get(field).cloned().unwrap_or_default();
            (*field, value)
        })),
    };
    let name = called.name;
    let subject = called.subject.name;
    let action = format!("call the {subject} `{name}` with {asked}");
    // What cannot be shown in full cannot be approved: its end may be what matters.
    let count = action.chars().count();
    if count > approval::ACTION_CHARACTERS_MAX {
        let most = approval::ACTION_CHARACTERS_MAX;
        let message =
            format!("what needs an approval takes {count} characters to say, more than {most}");
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("make the arguments of the call shorter"));
    }
    Ok(Approval {
        invocation: Some(Arc::new(Invocation {
            tool: name.to_owned(),
            digest: approval::digest(name, &asked),
            args: asked,
        })),
        action: approval::visible(&action, approval::ACTION_CHARACTERS_MAX),
        detail: String::new(),
        always: Some(approval::visible(
            &format!("every call of the {subject} `{name}`"),
            approval::ACTION_CHARACTERS_MAX,
        )),
    })
}
