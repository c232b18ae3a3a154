//! Calls a tool: validates, asks hooks and policy, limits time and output, records the call.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::{Caller, Overrides},
    hook::{Hooked, TOOL, around},
    services::{Decision, Services, Target},
    tool::{DynTool, ToolContext, ToolSpec},
    tracker::{Limited, Operation, track},
    value::Map,
};

use crate::{
    models::cassette,
    security::{approval, denied, enforce, limits},
    telemetry::genai,
};

/// Longest time of a call whose tool names none.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Calls `tool`; the only caller of [`DynTool::call`].
///
/// # Errors
///
/// `invalid_args` when the arguments do not fit, `denied` and `approval_needed` from the policy,
/// those of [`around`], `timeout`, `limit_exceeded` for a large answer, and the tool's own.
pub async fn invoke(cx: &ToolContext, tool: &Arc<dyn DynTool>, args: Value) -> Result<Value> {
    invoke_as(cx, tool, args, None).await
}

/// As [`invoke`], for a model's request with the identity `id`.
///
/// # Errors
///
/// As of [`invoke`].
pub async fn invoke_as(
    cx: &ToolContext,
    tool: &Arc<dyn DynTool>,
    args: Value,
    id: Option<&str>,
) -> Result<Value> {
    let spec = tool.spec();
    // A model that passes no arguments passes null.
    let args = if args.is_null() {
        Value::Map(Map::new())
    } else {
        args
    };
    let operation = Operation::new(format!("tool:{}", spec.name));
    let operation = operation.with_span(|| genai::tool(spec, &args, id));
    track(&cx.context, operation, |inner| async move {
        inner.metrics().add("tool.calls", 1.0);
        if inner.hooks().concerns(&TOOL) {
            tool.check_whole(&args)?;
        } else {
            tool.check(&args)?;
        }
        let mut call = Call {
            cx,
            inner: &inner,
            tool,
        };
        let answer = around(&inner, &TOOL, &mut call, args).await?;
        genai::tool_answered(&inner, &answer);
        Ok(answer)
    })
    .await
}

/// A call with hooks around it.
struct Call<'a> {
    cx: &'a ToolContext,
    inner: &'a Context,
    tool: &'a Arc<dyn DynTool>,
}

impl Hooked for Call<'_> {
    type Input = Value;
    type Output = Value;

    fn show(&self, args: &Value) -> Result<Map> {
        let spec = self.tool.spec();
        let permissions = spec.permissions.iter().map(|it| Value::from(it.name()));
        Ok(Map::from_iter([
            ("tool".to_owned(), Value::from(spec.name.as_str())),
            ("args".to_owned(), args.clone()),
            ("permissions".to_owned(), permissions.collect()),
        ]))
    }

    fn change(&self, args: &mut Value, mut changes: Map) -> Result<()> {
        if let Some(changed) = changes.shift_remove("args") {
            self.tool.check_whole(&changed)?;
            *args = changed;
        }
        Ok(())
    }

    async fn call(&mut self, args: Value) -> Result<Value> {
        let spec = self.tool.spec();
        let inner = bound(self.inner, spec, &args);
        let answer = taped(self.cx, &inner, self.tool, args).await?;
        limits::check_output(&spec.name, &answer)?;
        Ok(answer)
    }

    fn result(&self, answer: &Value) -> Result<Value> {
        Ok(answer.clone())
    }

    fn replace(&self, _: &Value, answer: Value, _: Option<&Value>) -> Result<Value> {
        limits::check_output(&self.tool.spec().name, &answer)?;
        Ok(answer)
    }
}

/// The Context of the call. What needs an approval is bound to the tool and its arguments; a user
/// approves nothing, so a user's calls are spared the digest.
fn bound(inner: &Context, spec: &ToolSpec, args: &Value) -> Context {
    if inner.caller() == Caller::User || spec.permissions.is_empty() {
        return inner.clone();
    }
    inner.part(Overrides {
        invocation: Some(Arc::new(approval::invocation(&spec.name, args))),
        ..Overrides::default()
    })
}

/// The call, or its recorded answer: of a tool that touches the outside or asks a person, which is
/// what differs from run to run. A recorded answer touches nothing, so it needs no permission.
async fn taped(
    cx: &ToolContext,
    inner: &Context,
    tool: &Arc<dyn DynTool>,
    args: Value,
) -> Result<Value> {
    let spec = tool.spec();
    if spec.permissions.is_empty() && !spec.asks {
        return call(cx, inner, tool, args).await;
    }
    // What was typed unseen is in no file, however short it is.
    let is_secret = spec.asks && args.get("secret").and_then(Value::as_bool) == Some(true);
    let form = if is_secret {
        cassette::Form::HIDDEN_ANSWER
    } else {
        cassette::Form::DATA
    };
    let recorded = args.clone();
    let asked = || Ok(cassette::tool(&spec.name, &recorded));
    let work = || async {
        check_permissions(inner, &cx.services, spec).await?;
        call(cx, inner, tool, args).await
    };
    cassette::taped(inner, asked, work, form).await
}

/// The call itself, within the tool's time limit.
async fn call(
    cx: &ToolContext,
    inner: &Context,
    tool: &Arc<dyn DynTool>,
    args: Value,
) -> Result<Value> {
    let timeout = tool.spec().timeout.unwrap_or(TIMEOUT);
    let overrides = Overrides {
        timeout: Some(timeout),
        ..Overrides::default()
    };
    let limited = Limited::new(inner, overrides);
    let cx = cx.with_context(limited.context().clone());
    let outcome = limited.run(tool.call(&cx, args)).await;
    limited.settle(outcome, |error| {
        let message = format!("`{}` took longer than {timeout:?}", tool.spec().name);
        Error::new(ErrorKind::Timeout, message)
            .with_hint("ask for less in one call")
            .with_source(error)
    })
}

/// Refuses at once a tool none of whose permissions can be granted. What it touches in the end is
/// decided by the guards, which see the path or the address.
async fn check_permissions(cx: &Context, services: &Services, spec: &ToolSpec) -> Result<()> {
    if spec.permissions.is_empty() {
        return Ok(());
    }
    let Some(policy) = services.policy.as_deref() else {
        let rule = format!(
            "`{}` needs a permission, and this host grants none",
            spec.name
        );
        return Err(denied(
            &rule,
            "run the call in a notebook, from Python or with `aikit run`",
        ));
    };
    let grantable = spec.permissions.iter().copied().find(|permission| {
        !matches!(
            policy.decide(cx, *permission, Target::Any),
            Decision::Deny { .. }
        )
    });
    if grantable.is_some() {
        return Ok(());
    }
    let ask = services.ask.as_deref();
    for permission in &spec.permissions {
        enforce(cx, policy, ask, *permission, Target::Any).await?;
    }
    Ok(())
}
