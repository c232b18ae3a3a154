//! Executions: where they stand, how they end, what they are told.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures::future::BoxFuture;

use super::*;
use crate::{
    clock::{Clock, SystemClock, UnixMicros},
    context::Overrides,
    io,
};

#[test]
fn a_nested_execution_stands_below_its_caller_and_reports_upwards() {
    let cx = Context::default();
    let tracked = track(&cx, Operation::new("outer"), |outer| async move {
        track(&outer, Operation::new("inner"), |inner| async move {
            inner.metrics().add("x", 2.0);
            Ok(Context::get()?.node().unwrap().name.to_string())
        })
        .await
    });
    assert_eq!(tracked.now_or_never().unwrap().unwrap(), "inner");
    let nodes = cx.graph().all();
    assert_eq!(
        nodes.iter().map(|node| &*node.name).collect::<Vec<_>>(),
        ["outer", "inner"]
    );
    assert_eq!((nodes[0].metrics.get("x"), nodes[1].depth()), (2.0, 1));
    assert!(nodes.iter().all(|node| node.status() == Status::Completed));
}

fn nested(cx: Context, deepest: Arc<AtomicUsize>) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        track(&cx, Operation::new("again"), |inner| {
            deepest.fetch_max(inner.depth(), Ordering::Relaxed);
            // A graph of its own is no way around the limit.
            nested(inner.root_child(Overrides::default()), deepest)
        })
        .await
    })
}

#[test]
fn an_execution_that_calls_itself_ends_at_the_limit() {
    let deepest = Arc::default();
    let ended = nested(Context::default(), Arc::clone(&deepest)).now_or_never();
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.message().contains("`again`") && error.hint().is_some());
    assert_eq!(deepest.load(Ordering::Relaxed), DEPTH_MAX);
}

#[test]
fn a_dropped_execution_is_cancelled() {
    let cx = Context::default();
    let tracked = track(&cx, Operation::new("slow"), |_| {
        std::future::pending::<Result<()>>()
    });
    assert!(tracked.now_or_never().is_none());
    assert_eq!(cx.graph().all()[0].status(), Status::Cancelled);
}

#[test]
fn start_and_error_are_events() {
    let cx = Context::default();
    let mut events = cx.events().subscribe("procedure.*");
    let failing = track(&cx, Operation::new("bad"), |_| async {
        Err::<(), _>(Error::new(ErrorKind::ToolFailed, "broken"))
    });
    assert!(failing.now_or_never().unwrap().is_err());
    assert_eq!(events.try_next().unwrap().kind, EventKind::ProcedureStart);
    let ended = events.try_next().unwrap();
    assert_eq!(ended.kind, EventKind::ProcedureError);
    assert_eq!(
        ended.data.get("error").unwrap().get("kind"),
        Some(&Value::from("tool_failed"))
    );
}

#[test]
fn a_panic_harms_only_its_own_call() {
    let cx = Context::default();
    for waits in [false, true] {
        let broken = track(&cx, Operation::new("broken"), |_| async move {
            if waits {
                std::future::ready(()).await;
            }
            assert!(std::hint::black_box(false), "as wanted");
            Ok(())
        });
        let error = broken.now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.message(), "`broken` panicked: as wanted");
    }
    let early = track(
        &cx,
        Operation::new("early"),
        |_| -> BoxFuture<'_, Result<()>> { panic!("before the first wait") },
    );
    assert!(early.now_or_never().unwrap().is_err());
    let statuses: Vec<_> = cx.graph().all().iter().map(|it| it.status()).collect();
    assert_eq!(statuses, [Status::Failed; 3]);
    assert!(cx.check().is_ok());
}

#[test]
fn an_own_time_limit_is_named_and_the_callers_is_not() {
    let slow = |cx: Context, timeout| async move {
        let operation = Operation::new("slow").with_timeout(Some(timeout));
        track(&cx, operation, |_| std::future::pending::<Result<()>>()).await
    };
    let short = Duration::from_millis(5);
    let own = slow(Context::default(), short);
    let own = io::wait(own, || Ok(())).unwrap().unwrap_err();
    assert_eq!(own.message(), "`slow` took longer than 5ms");
    let cx = Context::create(Overrides {
        timeout: Some(short),
        ..Overrides::default()
    });
    let callers = slow(cx, Duration::from_mins(1));
    let callers = io::wait(callers, || Ok(())).unwrap().unwrap_err();
    assert_eq!(
        (callers.kind(), callers.message()),
        (ErrorKind::Timeout, "the deadline has passed")
    );
}

/// The execution id, its parent's and the origin that a call below two others sees.
fn innermost(boundaries: [Boundary; 3]) -> (Option<String>, Option<String>, String) {
    let cx = Context::create(Overrides {
        request_id: Some("r".to_owned()),
        ..Overrides::default()
    });
    let [outer, middle, inner] = ["outer", "middle", "inner"];
    let outer = Execution::begin(&cx, &Operation::new(outer).with_boundary(boundaries[0]));
    let outer = outer.unwrap();
    let middle = Operation::new(middle).with_boundary(boundaries[1]);
    let middle = Execution::begin(outer.context(), &middle).unwrap();
    let inner = Operation::new(inner).with_boundary(boundaries[2]);
    let inner = Execution::begin(middle.context(), &inner).unwrap();
    let names = |id: Option<String>| {
        let pid = id?.strip_prefix("r-").and_then(crate::graph::Pid::parse)?;
        cx.graph().get(pid).map(|node| node.name.to_string())
    };
    let cx = inner.context();
    let ids = (names(cx.execution_id()), names(cx.parent_execution_id()));
    (ids.0, ids.1, cx.origin_name().unwrap().to_owned())
}

#[test]
fn a_clock_that_is_set_back_makes_no_execution_shorter() {
    #[derive(Debug, Default)]
    struct SetBack(AtomicI64);
    impl Clock for SetBack {
        fn now(&self) -> UnixMicros {
            self.0.fetch_sub(3_600_000_000, Ordering::Relaxed)
        }

        fn monotonic(&self) -> Duration {
            SystemClock.monotonic()
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            SystemClock.sleep(duration)
        }

        fn random(&self, bytes: &mut [u8]) {
            SystemClock.random(bytes);
        }
    }
    let cx = Context::create(Overrides {
        clock: Some(Arc::new(SetBack::default())),
        ..Overrides::default()
    });
    let tracked = track(&cx, Operation::new("short"), |_| async { Ok(()) });
    tracked.now_or_never().unwrap().unwrap();
    let node = &cx.graph().all()[0];
    let elapsed = node.completed().unwrap() - node.started;
    assert!((0..60_000_000).contains(&elapsed), "{elapsed}");
}

#[test]
fn a_boundary_says_where_an_execution_begins() {
    use Boundary::{Always, Auto, Child, Never};
    let some = |name: &str| Some(name.to_owned());
    let cases = [
        ([Auto, Auto, Auto], (some("outer"), None, "outer")),
        (
            [Auto, Child, Auto],
            (some("middle"), some("outer"), "outer"),
        ),
        ([Auto, Always, Auto], (some("middle"), None, "middle")),
        (
            [Auto, Child, Child],
            (some("inner"), some("middle"), "outer"),
        ),
        ([Never, Never, Never], (None, None, "outer")),
        ([Never, Auto, Never], (some("middle"), None, "middle")),
    ];
    for (boundaries, (own, parent, origin)) in cases {
        let expected = (own, parent, origin.to_owned());
        assert_eq!(innermost(boundaries), expected, "{boundaries:?}");
    }
    for boundary in Boundary::ALL {
        assert_eq!(Boundary::from_name(boundary.name()).unwrap(), boundary);
    }
    assert!(
        Boundary::from_name("often")
            .unwrap_err()
            .message()
            .contains("`often`")
    );
}

#[test]
fn what_comes_too_late_is_no_result() {
    let cx = Context::default();
    let node = |at: usize| {
        let node = Arc::clone(&cx.graph().all()[at]);
        (node.status(), node.error())
    };
    let cancelled = track(&cx, Operation::new("cancelled"), |inner| async move {
        inner.cancel(ErrorKind::Interrupted, "stop was pressed");
        Ok(1)
    });
    let error = cancelled.now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(node(0).0, Status::Cancelled);
    let limited = |name| Operation::new(name).with_timeout(Some(Duration::from_millis(5)));
    let pass = |cx: &Context| while cx.check().is_ok() {};
    let late = track(&cx, limited("late"), |inner| async move {
        pass(&inner);
        Ok(1)
    });
    let error = late.now_or_never().unwrap().unwrap_err();
    let expected = "`late` took longer than 5ms";
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Timeout, expected)
    );
    assert!(node(1).1.unwrap().contains(expected));
    // An error of its own stays what it is.
    let failed = track(&cx, limited("failed"), |inner| async move {
        pass(&inner);
        Err::<(), _>(Error::new(ErrorKind::ToolFailed, "broken"))
    });
    let error = failed.now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ToolFailed);
    // A part with a limit of its own: the same.
    let limited = Limited::new(
        &cx,
        Overrides {
            timeout: Some(Duration::from_millis(5)),
            ..Overrides::default()
        },
    );
    let work = limited.run(async {
        pass(limited.context());
        Ok(1)
    });
    let outcome = work.now_or_never().unwrap();
    let error = limited.settle(outcome, |_| Error::new(ErrorKind::Timeout, "own"));
    assert_eq!(error.unwrap_err().message(), "own");
    assert!(cx.check().is_ok());
}
