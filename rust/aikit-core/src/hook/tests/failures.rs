//! What goes wrong in a hook: errors, panics, results that are none, time limits.

use super::*;

#[test]
fn a_hook_that_fails_harms_nobody_but_itself() {
    type Failing = (&'static str, fn() -> Result<HookAction>);
    let failing: [Failing; 5] = [
        ("failed: stop", || {
            Err(Error::new(ErrorKind::Interrupted, "stop"))
        }),
        ("failed: boom", || {
            Err(Error::new(ErrorKind::Script, "boom"))
        }),
        ("panicked: a hook of a test", || {
            panic!("a hook of a test panics")
        }),
        ("cannot be changed", || {
            Ok(HookAction::modify("tool", Value::Null))
        }),
        ("no number", || {
            Ok(HookAction::modify("args", Value::from("x")))
        }),
    ];
    for (expected, body) in failing {
        let cx = context(None);
        with(&cx, HookPoint::ToolBefore, move |_, _| body());
        let seen = events(&cx, || assert_eq!(doubled(&cx).unwrap(), 42));
        assert_eq!(seen, [EventKind::HookFailed]);
        let info = &cx.hooks().list()[0];
        let told = info.last_error.as_deref().unwrap();
        assert!(
            told.contains(expected) && told.contains("`hook-1` at `tool.before`"),
            "{told}"
        );
    }
}

#[test]
fn a_hook_that_was_cancelled_is_not_to_blame_and_one_that_is_required_lets_nothing_through() {
    let cancelled = || Err(Error::new(ErrorKind::Cancelled, "the loop has ended"));
    let cx = context(None);
    with(&cx, HookPoint::ToolBefore, move |_, _| cancelled());
    let seen = events(&cx, || assert_eq!(doubled(&cx).unwrap(), 42));
    let info = &cx.hooks().list()[0];
    assert_eq!((seen.len(), info.failures, info.calls), (0, 0, 1));
    let cx = context(None);
    let hook = With(Box::new(move |_: &Context, _: &Value| cancelled()));
    require(&cx, HookPoint::ToolBefore, Arc::new(hook));
    assert_eq!(doubled(&cx).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_result_of_a_hook_that_is_none_is_its_failure() {
    for point in [
        HookPoint::ToolBefore,
        HookPoint::ToolAfter,
        HookPoint::ToolError,
    ] {
        let cx = context(None);
        answering(&cx, point, HookAction::Replace(Value::from("x")));
        let mut double = Double {
            failures: usize::from(point == HookPoint::ToolError),
            ..Double::default()
        };
        let result = call(&cx, &mut double).map_err(|error| error.kind());
        let expected = if double.failures == 0 {
            Ok(42)
        } else {
            Err(ErrorKind::ToolFailed)
        };
        assert_eq!(result, expected, "{point:?}");
        assert_eq!(cx.hooks().list()[0].failures, 1);
    }
}

fn require(cx: &Context, point: HookPoint, hook: Arc<dyn Hook>) {
    let options = HookOptions {
        required: true,
        ..HookOptions::named("slow")
    };
    cx.hooks().register(point, options, hook).unwrap();
}

#[test]
fn a_hook_that_takes_too_long_is_named_unless_the_caller_is_late() {
    for (timeout, named) in [(None, true), (Some(Duration::from_secs(1)), false)] {
        let cx = context(timeout);
        require(&cx, HookPoint::ToolBefore, Arc::new(Endless));
        let error = doubled(&cx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let expected = "hook `slow` at `tool.before` took longer than 30s";
        assert_eq!(error.message() == expected, named, "{error}");
        assert_eq!(cx.hooks().list()[0].failures, u64::from(named));
    }
}

#[test]
fn a_hook_that_keeps_failing_is_switched_off_and_on_again() {
    for (hook, most) in [
        (Arc::new(Endless) as Arc<dyn Hook>, TIMEOUTS_MAX),
        (
            Arc::new(With(Box::new(|_, _| Err(Error::internal("x"))))),
            FAILURES_MAX,
        ),
    ] {
        let cx = context(None);
        let name = add(&cx, HookPoint::ToolBefore, hook).name;
        for round in 1..=2 {
            let seen = events(&cx, || {
                for _ in 0..most + 3 {
                    assert_eq!(doubled(&cx).unwrap(), 42);
                }
            });
            let mut expected = vec![EventKind::HookFailed; most as usize];
            expected.push(EventKind::HookDisabled);
            assert_eq!(seen, expected);
            assert!(!cx.hooks().has(HookPoint::ToolBefore));
            let info = &cx.hooks().list()[0];
            assert!(info.is_off);
            assert_eq!(info.calls, u64::from(round * most));
            assert_eq!(cx.hooks().enable(&name), 1);
            assert!(cx.hooks().has(HookPoint::ToolBefore));
        }
    }
}

#[test]
fn a_required_hook_that_fails_takes_the_call_with_it_and_is_never_switched_off() {
    let cx = context(None);
    let hook = With(Box::new(|_, _| Err(Error::new(ErrorKind::Script, "boom"))));
    require(&cx, HookPoint::ToolBefore, Arc::new(hook));
    for _ in 0..20 {
        let error = doubled(&cx).unwrap_err();
        let message = "hook `slow` at `tool.before` failed: boom";
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Script, message)
        );
    }
    assert!(!cx.hooks().list()[0].is_off);
}

#[test]
fn a_user_who_presses_stop_while_a_hook_is_asked_ends_the_call() {
    let cx = context(None);
    with(&cx, HookPoint::ToolBefore, |_, _| {
        Err(Error::interrupted("stop"))
    });
    let error = doubled(&cx).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(cx.hooks().list()[0].failures, 0);
    // Where the Context says so, whatever the hook says.
    let cx = context(None);
    let call = cx.clone();
    with(&cx, HookPoint::ToolBefore, move |_, _| {
        call.cancel(ErrorKind::Interrupted, "stop");
        Err(Error::new(ErrorKind::Script, "broken off"))
    });
    let error = doubled(&cx).unwrap_err();
    assert!(error.is_by_user() && error.message() == "stop", "{error}");
    assert_eq!(cx.hooks().list()[0].failures, 0);
}
