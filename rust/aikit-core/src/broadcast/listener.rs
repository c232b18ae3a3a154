//! A function that is called with each item of a subscription.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures::{FutureExt as _, future::BoxFuture};

use super::{BroadcastSubscription, backlog, queue::Queue};
use crate::{Error, Result, io};

tokio::task_local! {
    /// The subscription whose function runs here.
    static SUBSCRIBER: u64;
}

/// The subscription whose function is being called by this task, if one is; see
/// [`Overrides::subscriber`](crate::context::Overrides::subscriber).
pub fn subscriber() -> Option<u64> {
    SUBSCRIBER.try_with(|it| *it).ok()
}

/// The source of an error which says that a function will never run again, because the script or
/// the program it belongs to has ended.
#[derive(Debug)]
pub struct FunctionGone;

impl fmt::Display for FunctionGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the function belongs to has ended")
    }
}

impl std::error::Error for FunctionGone {}

impl FunctionGone {
    /// Whether an error says so. Its kind alone does not: functions fail with any kind.
    fn is_source_of(error: &Error) -> bool {
        let source = std::error::Error::source(error);
        source.is_some_and(<dyn std::error::Error>::is::<Self>)
    }
}

/// A running listener. It goes on until [`Listener::stop`] or the end of what it listens to,
/// whether or not this value is kept. Cheap to clone; all clones are the same listener.
#[derive(Clone)]
pub struct Listener(Arc<dyn Running>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("dropped", &self.dropped())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Calls the function no more. What waits for it is dropped and counted; a call that runs is
    /// not ended.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// Stops the listener when the answer is dropped.
    pub fn guard(&self) -> ListenerGuard {
        ListenerGuard(self.clone())
    }

    /// How many items wait for the function.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// How many items were lost because the function was slow, or was stopped before it had them.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// How many calls failed or panicked.
    pub fn failed(&self) -> u64 {
        self.0.failures().count.load(Ordering::Relaxed)
    }

    /// Why the last of the calls that failed did.
    pub fn last_error(&self) -> Option<String> {
        let last = self.0.failures().last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Stops a listener when dropped.
#[derive(Debug)]
pub struct ListenerGuard(Listener);

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A listener, whatever its items are.
trait Running: Send + Sync {
    fn stop(&self);
    fn is_stopped(&self) -> bool;
    fn waiting(&self) -> usize;
    fn dropped(&self) -> u64;
    fn failures(&self) -> &Failures;
}

/// Lets a function go on that a forked child took along.
pub(super) trait Revive<T>: Send + Sync {
    /// The queue from which the function gets its items in this process.
    fn revive(self: Arc<Self>) -> Arc<Queue<T>>;
}

/// The calls of a function that went wrong.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    last: Mutex<Option<String>>,
}

impl Failures {
    fn note(&self, error: &Error) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(error.to_string());
    }
}

struct Runner<T, F> {
    name: String,
    /// Another one in a forked child.
    queue: ArcSwap<Queue<T>>,
    /// `None` when it is called no more, so that what it holds goes with it.
    function: ArcSwapOption<F>,
    failures: Failures,
}

impl<T, F> Runner<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
{
    /// Begins to call the function with what comes into `queue`.
    fn start(self: &Arc<Self>, queue: Arc<Queue<T>>) {
        let revive: Weak<dyn Revive<T>> = Arc::downgrade(self) as _;
        // A queue is given to one runner only.
        let _first = queue.runner.set(revive);
        backlog::note(Arc::downgrade(&queue) as _);
        let runner = Arc::clone(self);
        let _task = io::spawn(async move {
            let function = runner.function.load_full();
            while let (Some(function), Some(item)) = (&function, queue.next_call().await) {
                let goes_on = runner.call(&**function, &queue, item).await;
                queue.called();
                if !goes_on {
                    break;
                }
            }
            queue.abandon();
            runner.function.store(None);
        });
    }

    /// Calls the function; answers whether it may be called again.
    async fn call(&self, function: &F, queue: &Queue<T>, item: Arc<T>) -> bool {
        // Made inside: the function may panic before its future is there.
        let calling = AssertUnwindSafe(async { function(item).await }).catch_unwind();
        let panicked = |_| Err(Error::internal("the subscriber panicked"));
        let called = SUBSCRIBER.scope(queue.id(), calling).await;
        let Err(error) = called.unwrap_or_else(panicked) else {
            return true;
        };
        self.failures.note(&error);
        tracing::warn!(subscriber = %self.name, %error, "a subscriber failed");
        !FunctionGone::is_source_of(&error)
    }
}

impl<T, F> Revive<T> for Runner<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
{
    fn revive(self: Arc<Self>) -> Arc<Queue<T>> {
        let queue = Arc::new(self.queue.load().anew());
        self.queue.store(Arc::clone(&queue));
        self.start(Arc::clone(&queue));
        queue
    }
}

impl<T, F> Running for Runner<T, F>
where
    T: Send + Sync + 'static,
    F: Send + Sync + 'static,
{
    fn stop(&self) {
        self.queue.load().abandon();
    }

    fn is_stopped(&self) -> bool {
        self.queue.load().is_ended()
    }

    fn waiting(&self) -> usize {
        self.queue.load().len()
    }

    fn dropped(&self) -> u64 {
        self.queue.load().dropped.load(Ordering::Relaxed)
    }

    fn failures(&self) -> &Failures {
        &self.failures
    }
}

/// Calls `function` with each item of `subscription`, one after the other, on the I/O runtime.
///
/// A call that fails or panics harms nobody else: it is counted and logged, and the next item is
/// given to the function as if nothing had happened. Only where the function is gone, because the
/// script or program it belongs to has ended ([`FunctionGone`]), does the listener end. In a forked
/// child it goes on with what is published there.
pub fn listen<T, F>(subscription: BroadcastSubscription<T>, name: &str, function: F) -> Listener
where
    T: Send + Sync + 'static,
    F: Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
{
    let queue = subscription.into_queue();
    let runner = Arc::new(Runner {
        name: name.to_owned(),
        queue: ArcSwap::new(Arc::clone(&queue)),
        function: ArcSwapOption::from_pointee(function),
        failures: Failures::default(),
    });
    runner.start(queue);
    Listener(runner)
}
