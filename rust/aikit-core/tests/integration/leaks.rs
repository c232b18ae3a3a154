//! A hundred thousand calls, ended in every way: no task and no future of theirs is left.

use std::time::Duration;

use aikit_core::{Context, ErrorKind, Value, context::Overrides, io, procedure::Procedure};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

const CALLS: usize = 100_000;

/// Ways to begin and to end a call.
const WAYS: usize = 6;

/// Far longer than the work takes; a future that is left would be waited for without an end.
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn a_hundred_thousand_calls_leave_no_task_and_no_future() {
    // Each future holds a sender: the receiver ends when the last of them is gone.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let held = alive.clone();
    let quick = Procedure::new("quick", move |_, args| {
        let held = held.clone();
        async move {
            tokio::task::yield_now().await;
            drop(held);
            Ok(args)
        }
    });
    let held = alive.clone();
    let endless = Procedure::new("endless", move |_, _| {
        let held = held.clone();
        async move {
            let never = std::future::pending::<()>().await;
            drop(held);
            Ok(Value::from(format!("{never:?}")))
        }
    });
    let held = alive.clone();
    let many = Procedure::generator("many", move |mut call| {
        let held = held.clone();
        async move {
            for number in 0.. {
                call.chunks.push(&call.cx, Value::Int(number)).await?;
            }
            drop(held);
            Ok(Value::Null)
        }
    });
    drop(alive);
    let done = io::wait(
        async move {
            let base = Context::default();
            for number in 0..CALLS {
                let cx = base.root_child(Overrides::default());
                match number % WAYS {
                    0 => assert!(quick.call(&cx, Value::Null).await.is_ok()),
                    1 => assert!(quick.start(&cx, Value::Null).result().await.is_ok()),
                    2 => {
                        let handle = endless.start(&cx, Value::Null);
                        handle.cancel("enough");
                        let error = handle.result().await.unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::Cancelled);
                    }
                    3 => {
                        let call = endless.call(&cx, Value::Null);
                        cx.cancel(ErrorKind::Cancelled, "enough");
                        assert!(call.await.is_err());
                    }
                    // A call that nobody awaits any more.
                    4 => assert!(endless.call(&cx, Value::Null).now_or_never().is_none()),
                    _ => {
                        let mut items = many.stream(&cx, Value::Null);
                        assert!(items.next().await.is_some_and(|it| it.is_ok()));
                    }
                }
            }
            // What holds the last senders.
            drop((quick, endless, many));
            tokio::time::timeout(LIMIT, all_gone.recv()).await
        },
        || Ok(()),
    );
    assert_eq!(done.unwrap(), Ok(None), "futures are left");
}
