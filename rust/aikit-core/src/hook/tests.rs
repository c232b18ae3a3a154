//! How hooks stand around a call: every answer at every moment, failures, time limits, nesting.

mod failures;
mod order;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;

use super::*;
use crate::{
    Error, ErrorKind,
    clock::{Clock, SystemClock, UnixMicros},
    context::Overrides,
    event::EventKind,
    value::Map,
};

/// A hook that always answers the same.
#[derive(Debug)]
pub(super) struct Answer(HookAction);

impl Answer {
    pub(super) fn go_on() -> Arc<dyn Hook> {
        Arc::new(Self(HookAction::Continue))
    }
}

impl Hook for Answer {
    fn call<'a>(&'a self, _: &'a Context, _: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

type Body = dyn Fn(&Context, &Value) -> Result<HookAction> + Send + Sync;

/// A hook that is a closure.
struct With(Box<Body>);

impl fmt::Debug for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("With")
    }
}

impl Hook for With {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        async move { (self.0)(cx, data) }.boxed()
    }
}

/// A hook that never answers.
#[derive(Debug)]
struct Endless;

impl Hook for Endless {
    fn call<'a>(&'a self, _: &'a Context, _: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        futures::future::pending().boxed()
    }
}

/// A clock on which all waiting is over at once.
#[derive(Debug, Default)]
struct Jumping(Mutex<Duration>);

impl Clock for Jumping {
    fn now(&self) -> UnixMicros {
        0
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += duration;
        futures::future::ready(()).boxed()
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemClock.random(bytes);
    }
}

fn context(timeout: Option<Duration>) -> Context {
    Context::create(Overrides {
        clock: Some(Arc::new(Jumping::default())),
        timeout,
        ..Overrides::default()
    })
}

fn add(cx: &Context, point: HookPoint, hook: Arc<dyn Hook>) -> HookInfo {
    cx.hooks()
        .register(point, HookOptions::default(), hook)
        .unwrap()
}

fn answering(cx: &Context, point: HookPoint, action: HookAction) -> HookInfo {
    add(cx, point, Arc::new(Answer(action)))
}

fn with(
    cx: &Context,
    point: HookPoint,
    body: impl Fn(&Context, &Value) -> Result<HookAction> + Send + Sync + 'static,
) -> HookInfo {
    add(cx, point, Arc::new(With(Box::new(body))))
}

/// A call that doubles a number, and fails as often as it is told to before.
#[derive(Debug, Default)]
struct Double {
    failures: usize,
    kind: Option<ErrorKind>,
    calls: usize,
    is_shown: bool,
}

impl Hooked for Double {
    type Input = i64;
    type Output = i64;

    fn show(&self, input: &i64) -> Result<Map> {
        Ok(Map::from_iter([("args".to_owned(), Value::Int(*input))]))
    }

    fn change(&self, input: &mut i64, mut changes: Map) -> Result<()> {
        let args = changes.shift_remove("args").unwrap_or_default();
        *input = args
            .as_i64()
            .ok_or_else(|| Error::invalid_args("no number"))?;
        Ok(())
    }

    async fn call(&mut self, input: i64) -> Result<i64> {
        self.calls += 1;
        if self.calls <= self.failures {
            let kind = self.kind.unwrap_or(ErrorKind::ToolFailed);
            return Err(Error::new(kind, "broken"));
        }
        Ok(input * 2)
    }

    fn result(&self, output: &i64) -> Result<Value> {
        Ok(Value::Int(*output))
    }

    fn replace(&self, _: &i64, value: Value, _: Option<&i64>) -> Result<i64> {
        match value {
            Value::Null => Ok(0),
            value => value
                .as_i64()
                .ok_or_else(|| Error::invalid_args("no number")),
        }
    }

    fn can_repeat(&self) -> bool {
        !self.is_shown
    }
}

fn call(cx: &Context, double: &mut Double) -> Result<i64> {
    around(cx, &TOOL, double, 21).now_or_never().unwrap()
}

fn doubled(cx: &Context) -> Result<i64> {
    call(cx, &mut Double::default())
}

/// The names of the events of hooks that were published while `work` ran.
fn events(cx: &Context, work: impl FnOnce()) -> Vec<EventKind> {
    let mut events = cx.events().subscribe("hook.*");
    work();
    std::iter::from_fn(|| events.try_next())
        .map(|event| event.kind.clone())
        .collect()
}

#[test]
fn the_highest_priority_answers_first() {
    let cx = context(None);
    let add = |priority, action| {
        let options = HookOptions {
            priority,
            ..HookOptions::default()
        };
        let hook = Arc::new(Answer(action));
        let added = cx.hooks().register(HookPoint::ToolBefore, options, hook);
        added.unwrap().id
    };
    let stop = add(1, HookAction::stop("no"));
    assert_eq!(doubled(&cx).unwrap_err().kind(), ErrorKind::Denied);
    add(5, HookAction::Replace(Value::Int(5)));
    add(9, HookAction::Continue);
    assert_eq!(doubled(&cx).unwrap(), 5);
    assert!(cx.hooks().remove(stop) && !cx.hooks().remove(stop));
}

#[test]
fn a_point_without_hooks_lets_the_call_go_on() {
    let cx = context(None);
    assert!(!cx.hooks().has(HookPoint::ToolBefore));
    assert_eq!(doubled(&cx).unwrap(), 42);
    answering(&cx, HookPoint::ModelBefore, HookAction::stop("no"));
    assert_eq!(doubled(&cx).unwrap(), 42);
}

#[test]
fn a_child_has_the_hooks_of_its_root() {
    let cx = context(None);
    let child = cx.child(Overrides::default());
    answering(&child, HookPoint::ToolBefore, HookAction::Skip);
    assert_eq!(doubled(&cx.root_child(Overrides::default())).unwrap(), 0);
}

#[test]
fn every_answer_has_its_effect_at_every_moment() {
    let outcome = |point, action, failures| {
        let cx = context(None);
        answering(&cx, point, action);
        let mut double = Double {
            failures,
            ..Double::default()
        };
        let result = call(&cx, &mut double).map_err(|error| error.kind());
        (result, double.calls)
    };
    let (before, after, error) = (
        HookPoint::ToolBefore,
        HookPoint::ToolAfter,
        HookPoint::ToolError,
    );
    let retry = || HookAction::Retry {
        delay: Duration::from_secs(1),
        max: 2,
    };
    let lucky = || HookAction::Replace(Value::Int(7));
    let (denied, broken) = (Err(ErrorKind::Denied), Err(ErrorKind::ToolFailed));
    let cases = [
        (before, HookAction::Continue, 0, Ok(42), 1),
        (
            before,
            HookAction::modify("args", Value::Int(4)),
            0,
            Ok(8),
            1,
        ),
        (before, lucky(), 0, Ok(7), 0),
        (before, HookAction::Skip, 0, Ok(0), 0),
        (before, HookAction::stop("no"), 0, denied, 0),
        (before, retry(), 0, denied, 0),
        (after, HookAction::Continue, 0, Ok(42), 1),
        (
            after,
            HookAction::modify("result", Value::Int(4)),
            0,
            Ok(4),
            1,
        ),
        (after, lucky(), 0, Ok(7), 1),
        (after, HookAction::Skip, 0, Ok(0), 1),
        (after, HookAction::stop("no"), 0, denied, 1),
        (after, retry(), 0, Ok(42), 3),
        (after, lucky(), 1, broken, 1),
        (error, lucky(), 0, Ok(42), 1),
        (error, HookAction::Continue, 1, broken, 1),
        (error, lucky(), 1, Ok(7), 1),
        (error, HookAction::Skip, 1, Ok(0), 1),
        (error, HookAction::stop("no"), 1, denied, 1),
        (error, retry(), 1, Ok(42), 2),
        (error, retry(), 2, Ok(42), 3),
        (error, retry(), 3, broken, 3),
    ];
    for (point, action, failures, result, calls) in cases {
        let seen = outcome(point, action.clone(), failures);
        assert_eq!(seen, (result, calls), "{point:?} {action:?} {failures}");
    }
}

#[test]
fn a_stop_carries_its_kind_and_its_reason() {
    let cx = context(None);
    let stop = HookAction::Stop {
        reason: "enough".to_owned(),
        kind: ErrorKind::LimitExceeded,
    };
    let options = HookOptions::named("guard");
    let hook = Arc::new(Answer(stop));
    cx.hooks()
        .register(HookPoint::ToolBefore, options, hook)
        .unwrap();
    let error = doubled(&cx).unwrap_err();
    let message = "hook `guard` at `tool.before` stopped the call: enough";
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::LimitExceeded, message)
    );
}

#[test]
fn later_hooks_see_what_earlier_ones_changed() {
    let cx = context(None);
    for (point, field) in [
        (HookPoint::ToolBefore, "args"),
        (HookPoint::ToolAfter, "result"),
    ] {
        for _ in 0..3 {
            with(&cx, point, move |_, data| {
                let number = data.get(field).and_then(Value::as_i64).unwrap();
                Ok(HookAction::modify(field, Value::Int(number + 1)))
            });
        }
    }
    assert_eq!(doubled(&cx).unwrap(), (21 + 3) * 2 + 3);
}

#[test]
fn hooks_after_a_call_also_see_what_a_hook_gave_instead_of_it() {
    let cx = context(None);
    answering(
        &cx,
        HookPoint::ToolBefore,
        HookAction::Replace(Value::Int(7)),
    );
    with(&cx, HookPoint::ToolAfter, |_, data| {
        assert_eq!(data.get("result"), Some(&Value::Int(7)));
        Ok(HookAction::modify("result", Value::Int(8)))
    });
    assert_eq!(doubled(&cx).unwrap(), 8);
}

#[test]
fn hooks_see_the_fields_that_the_point_names() {
    let cx = context(None);
    for point in [
        HookPoint::ToolBefore,
        HookPoint::ToolAfter,
        HookPoint::ToolError,
    ] {
        with(&cx, point, move |_, data| {
            let Value::Map(map) = data else {
                panic!("{data}")
            };
            assert_eq!(data.get("point"), Some(&Value::from(point.name())));
            for field in map.keys() {
                assert!(point.shows().contains(&field.as_str()), "{point:?} {field}");
            }
            let attempt = data.get("attempt").and_then(Value::as_i64).unwrap();
            if point == HookPoint::ToolError {
                assert_eq!(
                    data.get("error").unwrap().get("message"),
                    Some(&Value::from("broken"))
                );
                let delay = Duration::from_secs(3);
                return Ok(HookAction::Retry { delay, max: 1 });
            }
            assert_eq!(map.contains_key("result"), point == HookPoint::ToolAfter);
            if point == HookPoint::ToolAfter {
                assert_eq!(attempt, 2);
            }
            Ok(HookAction::Continue)
        });
    }
    let mut double = Double {
        failures: 1,
        ..Double::default()
    };
    assert_eq!(call(&cx, &mut double).unwrap(), 42);
    let all: Vec<u64> = cx.hooks().list().iter().map(|it| it.calls).collect();
    assert_eq!(all, [2, 1, 1]);
    assert!(cx.hooks().list().iter().all(|it| it.failures == 0));
}

#[test]
fn what_was_shown_already_is_not_made_again() {
    let cx = context(None);
    let retry = HookAction::Retry {
        delay: Duration::ZERO,
        max: 5,
    };
    answering(&cx, HookPoint::ToolError, retry);
    let mut double = Double {
        failures: 1,
        is_shown: true,
        ..Double::default()
    };
    assert_eq!(call(&cx, &mut double).unwrap_err().message(), "broken");
}

#[test]
fn a_pause_that_the_deadline_does_not_allow_ends_the_call() {
    let cx = context(Some(Duration::from_secs(5)));
    let retry = HookAction::Retry {
        delay: Duration::from_mins(1),
        max: 5,
    };
    answering(&cx, HookPoint::ToolError, retry);
    let mut double = Double {
        failures: 1,
        ..Double::default()
    };
    // The clock jumps, so the sleep that is polled first ends; the next attempt is late.
    let error = call(&cx, &mut double).err().map(|it| it.kind());
    assert!(error.is_none_or(|kind| kind == ErrorKind::Timeout));
}

#[test]
fn what_a_hook_does_is_not_shown_to_that_hook() {
    let cx = context(None);
    let depth = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let depth = Arc::clone(&depth);
        with(&cx, HookPoint::ToolBefore, move |inner, _| {
            depth.fetch_add(1, Ordering::Relaxed);
            assert_eq!(doubled(inner).unwrap(), 42);
            Ok(HookAction::Continue)
        });
    }
    assert_eq!(doubled(&cx).unwrap(), 42);
    // Each of both, and each inside of the other.
    assert_eq!(depth.load(Ordering::Relaxed), 4);
}

#[test]
fn a_call_of_a_hook_is_a_procedure_of_its_own() {
    let cx = context(None);
    answering(&cx, HookPoint::ToolBefore, HookAction::Continue);
    doubled(&cx).unwrap();
    let names: Vec<_> = cx
        .graph()
        .all()
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    assert_eq!(names, ["hook:hook-1"]);
}

#[test]
fn a_cancelled_call_asks_nobody_and_blames_nobody() {
    let cx = context(None);
    add(&cx, HookPoint::ToolBefore, Arc::new(Endless));
    cx.cancel(ErrorKind::Cancelled, "not wanted");
    assert_eq!(doubled(&cx).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(cx.hooks().list()[0].failures, 0);
}

/// A call that makes another one with a limit.
#[derive(Debug)]
struct Outer(Context);

impl Hooked for Outer {
    type Input = ();
    type Output = i64;

    fn show(&self, (): &()) -> Result<Map> {
        Ok(Map::new())
    }

    async fn call(&mut self, (): ()) -> Result<i64> {
        let mut limited = Double {
            failures: 1,
            kind: Some(ErrorKind::LimitExceeded),
            ..Double::default()
        };
        around(&self.0, &TOOL, &mut limited, 1).await
    }

    fn result(&self, output: &i64) -> Result<Value> {
        Ok(Value::Int(*output))
    }

    fn replace(&self, (): &(), _: Value, _: Option<&i64>) -> Result<i64> {
        Ok(0)
    }
}

#[test]
fn a_limit_is_told_once_where_it_is_seen_first() {
    let cx = context(None);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    with(&cx, HookPoint::LimitExceeded, move |_, data| {
        kept.lock().unwrap().push(data.get("subject").cloned());
        Ok(HookAction::Skip)
    });
    let mut outer = Outer(cx.clone());
    let ended = around(&cx, &AGENT, &mut outer, ()).now_or_never().unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(*seen.lock().unwrap(), [Some(Value::from("tool"))]);
    // It can only observe.
    assert_eq!(cx.hooks().list()[0].failures, 1);
}
