//! The hooks that come with aikit: what each does, its bounds, whose calls it is for.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aikit_components::{
    hooks::{self, Host},
    models,
    tools::{self, FunctionTool, FunctionToolOptions, Registry},
};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock, UnixMicros},
    context::{Approval, Approver, Caller, Overrides, Principal, Verdict},
    model::ChatModel,
    script::Callable,
    tool::{DynTool, ToolContext},
};
use futures::{FutureExt as _, future::BoxFuture};

use crate::{
    session::Answers,
    support::{asking, scripted, wait},
};

/// A clock on which waiting is over at once, and half of every bound is drawn.
#[derive(Debug, Default)]
pub(crate) struct Jumping(Mutex<Duration>);

impl Clock for Jumping {
    fn now(&self) -> UnixMicros {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Time limits are waited for beside the work, and do not pass.
        if duration >= Duration::from_secs(10) {
            return futures::future::pending().boxed();
        }
        *self.0.lock().unwrap() += duration;
        Box::pin(async {})
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemClock.random(bytes);
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

fn tenant(name: &str) -> Principal {
    Principal {
        id: "user".to_owned(),
        tenant_id: Some(name.to_owned()),
        roles: Vec::new(),
    }
}

fn context(clock: &Arc<Jumping>, principal: Principal) -> ToolContext {
    ToolContext {
        context: Context::create(Overrides {
            clock: Some(Arc::clone(clock) as _),
            principal: Some(principal),
            ..Overrides::default()
        }),
        services: Arc::default(),
    }
}

pub(crate) fn still() -> (ToolContext, Arc<Jumping>) {
    let clock = Arc::default();
    (context(&clock, Principal::default()), clock)
}

fn options(text: &str) -> Value {
    Value::from_json(serde_json::from_str(text).unwrap())
}

fn switch_on(cx: &ToolContext, host: &Host, name: &str, given: &str) -> Result<()> {
    hooks::switch_on(&cx.context, host, name, options(given)).map(drop)
}

pub(crate) fn with(cx: &ToolContext, name: &str, given: &str) {
    switch_on(cx, &Host::default(), name, given).unwrap();
}

/// A metric of all outermost calls.
fn metric(cx: &ToolContext, name: &str) -> f64 {
    let nodes = cx.context.graph().all();
    let outermost = nodes.iter().filter(|node| node.depth() == 0);
    outermost.map(|node| node.metrics.get(name)).sum()
}

fn report(cx: &ToolContext, field: &str) -> Value {
    let list = cx.context.hooks().list();
    list[0].report.get(field).cloned().unwrap_or_default()
}

/// A function that fails as often as it is told to, and then answers how often it was called.
#[derive(Debug)]
struct Counting {
    calls: Mutex<i64>,
    failures: i64,
    kind: ErrorKind,
}

impl Callable for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn call(&self, _: &Context, _: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let answer = if *calls <= self.failures {
            Err(Error::new(self.kind, "broken"))
        } else {
            Ok(Value::Int(*calls))
        };
        Box::pin(async { answer })
    }
}

pub(crate) fn counting(failures: i64, kind: ErrorKind) -> Arc<dyn DynTool> {
    let options = FunctionToolOptions {
        name: "counting".to_owned(),
        summary: "Counts its calls.".to_owned(),
        schema: options(r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#),
        timeout: None,
        origin: "rust",
    };
    let calls = Mutex::default();
    let function = Counting {
        calls,
        failures,
        kind,
    };
    FunctionTool::new(options, Arc::new(function)).unwrap()
}

pub(crate) fn invoke(cx: &ToolContext, tool: &Arc<dyn DynTool>, n: i64) -> Result<Value> {
    let (cx, tool) = (cx.clone(), Arc::clone(tool));
    let args = Value::map([("n", Value::Int(n))]);
    wait(async move { tools::invoke(&cx, &tool, args).await })
}

fn ask(cx: &ToolContext, model: &Arc<dyn ChatModel>, prompt: &str) -> Result<String> {
    let (cx, model, request) = (cx.clone(), Arc::clone(model), asking(prompt));
    wait(async move {
        let answer = models::complete(&cx, &model, request).await?;
        Ok(answer.message.to_text())
    })
}

#[test]
fn the_cache_gives_the_same_answer_to_the_same_question_for_a_while() {
    let (cx, clock) = still();
    with(
        &cx,
        "cache",
        r#"{"on": "tool", "names": ["counting"], "ttl_s": 5}"#,
    );
    let tool = counting(0, ErrorKind::Io);
    let call = |n| invoke(&cx, &tool, n).unwrap();
    assert_eq!(
        [call(1), call(1), call(2), call(1)],
        [1, 1, 2, 1].map(Value::Int)
    );
    *clock.0.lock().unwrap() += Duration::from_secs(5);
    assert_eq!(call(1), Value::Int(3));
    assert_eq!(
        (report(&cx, "hits"), report(&cx, "misses")),
        (Value::Int(2), Value::Int(3))
    );
}

#[test]
fn the_cache_is_bounded_and_forgets_what_was_not_used() {
    for bound in [r#""entries_max": 2"#, r#""bytes_max": 150"#] {
        let (cx, _) = still();
        let given = format!(r#"{{"on": "tool", "names": ["counting"], {bound}}}"#);
        with(&cx, "cache", &given);
        let tool = counting(0, ErrorKind::Io);
        let call = |n| invoke(&cx, &tool, n).unwrap();
        // The first is used again, so the second goes when the third comes.
        let answers = [call(1), call(2), call(1), call(3), call(1), call(2)];
        assert_eq!(answers, [1, 2, 1, 3, 1, 4].map(Value::Int), "{bound}");
        assert_eq!(report(&cx, "entries"), Value::Int(2));
    }
}

#[test]
fn the_cache_is_apart_for_each_tenant_and_caller() {
    let clock: Arc<Jumping> = Arc::default();
    let cx = context(&clock, tenant("a"));
    with(&cx, "cache", r#"{"on": "tool", "names": "count*"}"#);
    let other = ToolContext {
        context: Context::create(Overrides {
            principal: Some(tenant("b")),
            hooks: Some(Arc::clone(cx.context.hooks())),
            ..Overrides::default()
        }),
        services: Arc::default(),
    };
    let agent = cx.with_context(cx.context.child(Overrides {
        caller: Some(Caller::Agent),
        ..Overrides::default()
    }));
    let tool = counting(0, ErrorKind::Io);
    let answers =
        [&cx, &other, &agent, &cx, &other, &agent].map(|cx| invoke(cx, &tool, 1).unwrap());
    assert_eq!(answers, [1, 2, 3, 1, 2, 3].map(Value::Int));
}

#[test]
fn the_cache_keeps_answers_of_models_and_no_tool_that_is_not_named() {
    let (cx, _) = still();
    with(&cx, "cache", "{}");
    let model = scripted(vec![Value::from("one"), Value::from("two")]).unwrap();
    let answers = ["a", "a", "b", "a"].map(|prompt| ask(&cx, &model, prompt).unwrap());
    assert_eq!(answers, ["one", "one", "two", "one"]);
    assert!((metric(&cx, "usage.requests") - 2.0).abs() < f64::EPSILON);
    for wrong in [
        r#"{"on": "tool"}"#,
        r#"{"on": "state.read"}"#,
        r#"{"ttl_s": 0}"#,
        r#"{"entries_max": 0}"#,
        r#"{"entries": 1}"#,
        r#"{"names": 3}"#,
    ] {
        let error = switch_on(&cx, &Host::default(), "cache", wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{wrong}");
        assert!(error.hint().is_some(), "{wrong}");
    }
}

#[test]
fn a_call_waits_for_its_turn() {
    let (cx, clock) = still();
    with(
        &cx,
        "rate_limit",
        r#"{"on": "tool", "calls": 2, "per_s": 4}"#,
    );
    let tool = counting(0, ErrorKind::Io);
    let mut waited = Vec::new();
    for n in 0..5 {
        invoke(&cx, &tool, n).unwrap();
        waited.push(clock.monotonic().as_secs());
    }
    // Two at once, then one each two seconds.
    assert_eq!(waited, [0, 0, 2, 4, 6]);
    assert_eq!(
        (report(&cx, "waited"), report(&cx, "refused")),
        (Value::Int(3), Value::Int(0))
    );
    *clock.0.lock().unwrap() += Duration::from_secs(100);
    for n in 0..2 {
        invoke(&cx, &tool, n).unwrap();
    }
    assert_eq!(clock.monotonic().as_secs(), 106);
}

#[test]
fn a_call_that_would_wait_too_long_is_refused_and_takes_no_turn() {
    let (cx, clock) = still();
    with(
        &cx,
        "rate_limit",
        r#"{"on": "tool", "calls": 1, "per_s": 6, "wait": false}"#,
    );
    let tool = counting(0, ErrorKind::Io);
    invoke(&cx, &tool, 1).unwrap();
    for _ in 0..10 {
        let error = invoke(&cx, &tool, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(
            error.message().contains("more than 1 calls in 6s"),
            "{error}"
        );
    }
    *clock.0.lock().unwrap() += Duration::from_secs(6);
    invoke(&cx, &tool, 1).unwrap();
    assert_eq!(report(&cx, "refused"), Value::Int(10));
}

#[test]
fn limits_are_apart_for_each_tenant_and_if_wanted_for_each_name() {
    let clock: Arc<Jumping> = Arc::default();
    let given = r#"{"on": "tool", "calls": 1, "per_s": 9, "wait": false, "each": true}"#;
    let cx = context(&clock, tenant("a"));
    with(&cx, "rate_limit", given);
    let other = cx.with_context(Context::create(Overrides {
        clock: Some(Arc::clone(&clock) as _),
        principal: Some(tenant("b")),
        hooks: Some(Arc::clone(cx.context.hooks())),
        ..Overrides::default()
    }));
    let (one, two) = (counting(0, ErrorKind::Io), Registry::with_built_ins());
    let two = two.find("count_words").unwrap();
    let words = |cx: &ToolContext| {
        let (cx, two) = (cx.clone(), Arc::clone(&two));
        let args = Value::map([("text", Value::from("a"))]);
        wait(async move { tools::invoke(&cx, &two, args).await }).is_ok()
    };
    assert!(invoke(&cx, &one, 1).is_ok() && invoke(&cx, &one, 1).is_err());
    assert!(words(&cx) && !words(&cx));
    assert!(invoke(&other, &one, 1).is_ok() && words(&other));
}

#[test]
fn what_passes_by_itself_is_tried_again_with_growing_pauses() {
    let (cx, clock) = still();
    with(&cx, "retry", r#"{"attempts": 3, "delay_s": 1}"#);
    let tool = counting(3, ErrorKind::Network);
    assert_eq!(invoke(&cx, &tool, 1).unwrap(), Value::Int(4));
    // Half of 1, 2 and 4 seconds.
    assert_eq!(clock.monotonic(), Duration::from_millis(3500));
    assert_eq!(report(&cx, "retried"), Value::Int(3));
    let tool = counting(9, ErrorKind::Network);
    assert_eq!(
        invoke(&cx, &tool, 1).unwrap_err().kind(),
        ErrorKind::Network
    );
    assert_eq!(report(&cx, "retried"), Value::Int(6));
    // What does not pass by itself is not.
    let tool = counting(1, ErrorKind::InvalidArgs);
    assert_eq!(
        invoke(&cx, &tool, 1).unwrap_err().kind(),
        ErrorKind::InvalidArgs
    );
    assert_eq!(report(&cx, "retried"), Value::Int(6));
}

#[test]
fn a_session_that_has_used_its_requests_tokens_or_money_asks_no_model() {
    let prices = r#""prices": {"scripted:*": {"input": 1000000, "output": 2000000}}"#;
    for (given, allowed) in [
        (r#"{"requests": 2}"#.to_owned(), 2),
        // One word is read and one is written.
        (r#"{"tokens": 5}"#.to_owned(), 3),
        (format!(r#"{{"usd": 4, {prices}}}"#), 2),
        (format!(r#"{{"usd": 0, {prices}}}"#), 0),
    ] {
        let (cx, _) = still();
        with(&cx, "cost_limit", &given);
        let model = scripted(vec![Value::from("one"); 9]).unwrap();
        let answered = (0..9).filter(|_| ask(&cx, &model, "hi").is_ok()).count();
        assert_eq!(answered, allowed, "{given}");
        let error = ask(&cx, &model, "hi").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        if given.contains("prices") {
            let expected = 3.0 * f64::from(u32::try_from(allowed).unwrap());
            assert!((metric(&cx, "usage.cost_usd") - expected).abs() < 1e-9);
        }
    }
    let (cx, _) = still();
    with(&cx, "cost_limit", r#"{"usd": 1}"#);
    let model = scripted(vec![Value::from("one")]).unwrap();
    let error = ask(&cx, &model, "hi").unwrap_err();
    assert!(
        error.message().contains("no price of `scripted:test`"),
        "{error}"
    );
}

#[test]
fn the_user_is_asked_and_a_word_for_good_is_remembered() {
    for (answer, outcome, asked) in [("yes", true, 2), ("no", false, 2), ("always", true, 1)] {
        let (cx, _) = still();
        let answers = Arc::new(Answers {
            answer: answer.to_owned(),
            ..Answers::default()
        });
        let host = Host {
            ask: Some(Arc::clone(&answers) as _),
            approver: None,
        };
        switch_on(&cx, &host, "approval", "{}").unwrap();
        let tool = counting(0, ErrorKind::Io);
        for _ in 0..2 {
            let result = invoke(&cx, &tool, 7);
            assert_eq!(result.is_ok(), outcome, "{answer}");
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::Denied);
            }
        }
        let questions = answers.asked.lock().unwrap();
        assert_eq!(questions.len(), asked, "{answer}");
        assert!(
            questions[0].contains("call the tool `counting` with"),
            "{questions:?}"
        );
        assert!(questions[0].contains('7'), "{questions:?}");
    }
}

#[derive(Debug)]
struct Deciding(Mutex<Vec<String>>);

impl Approver for Deciding {
    fn approve<'a>(
        &'a self,
        _: &'a Context,
        approval: &'a Approval,
    ) -> BoxFuture<'a, Result<Verdict>> {
        let call = approval.invocation.as_ref().unwrap();
        self.0.lock().unwrap().push(call.digest.clone());
        let is_even = call.args.get("n").and_then(Value::as_i64) == Some(2);
        let verdict = if is_even { Verdict::Yes } else { Verdict::No };
        Box::pin(async move { Ok(verdict) })
    }
}

#[test]
fn a_function_decides_by_the_arguments_and_only_about_agents_if_wanted() {
    let (cx, _) = still();
    let deciding = Arc::new(Deciding(Mutex::default()));
    let host = Host {
        ask: None,
        approver: Some(Arc::clone(&deciding) as _),
    };
    switch_on(&cx, &host, "approval", r#"{"callers": "agent"}"#).unwrap();
    let tool = counting(0, ErrorKind::Io);
    assert!(invoke(&cx, &tool, 1).is_ok());
    let agent = cx.with_context(cx.context.child(Overrides {
        caller: Some(Caller::Agent),
        ..Overrides::default()
    }));
    assert_eq!(
        invoke(&agent, &tool, 1).unwrap_err().kind(),
        ErrorKind::Denied
    );
    assert!(invoke(&agent, &tool, 2).is_ok());
    let digests = deciding.0.lock().unwrap();
    assert!(digests.len() == 2 && digests[0] != digests[1]);
}

#[test]
fn nobody_to_ask_is_no_approval() {
    let (cx, _) = still();
    with(&cx, "approval", "{}");
    let tool = counting(0, ErrorKind::Io);
    // It is required: however often it fails, it is not switched off.
    for _ in 0..8 {
        let error = invoke(&cx, &tool, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalNeeded);
    }
}

#[test]
fn calls_are_counted_by_name() {
    let (cx, _) = still();
    with(&cx, "metrics", r#"{"on": ["tool"]}"#);
    let tool = counting(1, ErrorKind::Io);
    assert!(invoke(&cx, &tool, 1).is_err());
    assert!(invoke(&cx, &tool, 1).is_ok());
    let counted = report(&cx, "tool");
    let counted = counted.get("counting").unwrap();
    assert_eq!(counted.get("calls"), Some(&Value::Int(2)));
    assert_eq!(counted.get("failures"), Some(&Value::Int(1)));
}

#[test]
fn priorities_of_both_ends_turn_round() {
    let (cx, _) = still();
    let list = |given: &str| {
        with(&cx, "cache", given);
        let all = cx.context.hooks().list();
        all.into_iter()
            .map(|it| it.options.priority)
            .collect::<Vec<_>>()
    };
    assert_eq!(list("{}"), [1_000, -1_000]);
    assert_eq!(list(r#"{"priority": "low"}"#), [500, -500]);
}
