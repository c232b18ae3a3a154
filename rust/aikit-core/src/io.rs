//! The one I/O runtime of the process, and the one way to wait for it from outside.
//!
//! Every client with a connection pool lives on this runtime, which is never dropped: that is
//! what makes "dispatch task is gone" impossible. A forked child makes its own, because the
//! parent's worker threads do not exist there.

use std::{
    future::poll_fn,
    mem::ManuallyDrop,
    pin::pin,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    task::{AbortHandle, JoinHandle},
};

use crate::{
    Error, Result,
    per_process::{self, PerProcess},
};

/// How often a blocked caller looks at its signals.
const TICK: Duration = Duration::from_millis(50);

/// Worker threads: I/O does not need one a core, and a notebook should not start sixty-four.
const WORKERS_MAX: usize = 8;

static CURRENT: PerProcess<OneRuntime> = PerProcess::new();

/// The process's I/O runtime, made on first use and again in a forked child. Never dropped: a
/// runtime that is dropped kills the pooled connections it drives.
pub fn runtime() -> &'static Runtime {
    &CURRENT
        // Tokio makes what it has once for the process, for which a child would wait for ever.
        .get_or_init(|| OneRuntime(ManuallyDrop::new(per_process::unforked(build))))
        .0
}

/// Dropped only when another thread was quicker to make the runtime.
#[derive(Debug)]
struct OneRuntime(ManuallyDrop<Runtime>);

impl Drop for OneRuntime {
    #[expect(
        unsafe_code,
        reason = "a runtime that is dropped waits, which panics in a task"
    )]
    fn drop(&mut self) {
        // SAFETY: nobody uses the field after this.
        let runtime = unsafe { ManuallyDrop::take(&mut self.0) };
        runtime.shutdown_background();
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one runtime")]
fn build() -> Runtime {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    #[expect(
        clippy::expect_used,
        reason = "a process without threads cannot do any I/O"
    )]
    Builder::new_multi_thread()
        .worker_threads(workers.clamp(2, WORKERS_MAX))
        .thread_name("aikit-io")
        .enable_all()
        .build()
        .expect("the operating system gives threads")
}

/// Starts `future` on the I/O runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime().spawn(future)
}

/// Runs blocking `work` on a thread of the I/O runtime's blocking pool.
///
/// # Errors
///
/// `internal` when the work panics.
pub async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = runtime().spawn_blocking(work);
    let ended = |error| Error::internal("a background job ended unexpectedly").with_source(error);
    task.await.map_err(ended)?
}

/// Awaits `future` with the I/O runtime entered at every poll, whoever polls it: what it starts
/// (connections, timers) belongs to the one runtime even when a script's own executor drives it.
pub async fn entered<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _entered = runtime().enter();
        future.as_mut().poll(context)
    })
    .await
}

/// Waits for `future` from any thread, a thread of the runtime included.
///
/// The future is polled once in place; only one that has to wait moves to the runtime. While it
/// waits, `tick` is called every 50 ms, so that a caller can look at its signals; an error from
/// it ends the wait and drops the future.
///
/// # Errors
///
/// What `tick` answers, or `internal` when the future panics.
pub fn wait<F>(future: F, mut tick: impl FnMut() -> Result<()>) -> Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut future = Box::pin(future);
    {
        let _entered = runtime().enter();
        let mut context = TaskContext::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
    let (sender, receiver) = sync_channel(1);
    let task = runtime().spawn(async move {
        // A receiver that is gone means that the caller stopped waiting.
        drop(sender.send(future.await));
    });
    let _guard = AbortOnDrop(task.abort_handle());
    // On a worker of the runtime this hands the worker's queue, where the task now is, to
    // another thread; elsewhere it only calls.
    tokio::task::block_in_place(|| {
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(output) => return Ok(output),
                Err(RecvTimeoutError::Timeout) => tick()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("the awaited work ended without an answer"));
                }
            }
        }
    })
}

/// Aborts a task when dropped.
#[derive(Debug)]
pub struct AbortOnDrop(pub AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_ready_future_never_leaves_the_thread() {
        let here = std::thread::current().id();
        let there = wait(async { std::thread::current().id() }, || Ok(())).unwrap();
        assert_eq!(here, there);
    }

    #[test]
    fn a_timer_needs_no_runtime_around_its_poll() {
        let timer = entered(async { tokio::time::timeout(TICK, std::future::ready(1)).await });
        assert_eq!(futures::executor::block_on(timer).unwrap(), 1);
    }

    #[test]
    fn waits_nest() {
        let outer = wait(
            async {
                tokio::task::yield_now().await;
                wait(
                    async {
                        tokio::task::yield_now().await;
                        7
                    },
                    || Ok(()),
                )
                .unwrap()
            },
            || Ok(()),
        );
        assert_eq!(outer.unwrap(), 7);
    }

    #[test]
    fn a_tick_that_fails_drops_the_future() {
        struct Flag(Arc<AtomicBool>, Option<std::sync::mpsc::Sender<()>>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
                drop(self.1.take());
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = std::sync::mpsc::channel();
        let flag = Flag(Arc::clone(&dropped), Some(sender));
        let waited = wait(
            async move {
                let _flag = flag;
                std::future::pending::<()>().await;
            },
            || Err(Error::new(ErrorKind::Interrupted, "stop")),
        );
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(
            receiver.recv().is_err(),
            "the sender is dropped with the future"
        );
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_is_an_error_of_the_waiter() {
        let waited = wait(
            async {
                tokio::task::yield_now().await;
                assert!(std::hint::black_box(false), "as wanted");
            },
            || Ok(()),
        );
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Internal);
    }
}
