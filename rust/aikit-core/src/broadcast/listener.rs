//! A function that is called with each item of a subscription.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::BroadcastSubscription;
use crate::{Error, ErrorKind, Result, io};

/// A running listener. It goes on until [`Listener::stop`] or the end of what it listens to,
/// whether or not this value is kept.
#[derive(Clone, Debug)]
pub struct Listener {
    stop: CancellationToken,
    dropped: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    last_error: Arc<Mutex<Option<String>>>,
}

impl Listener {
    /// Calls the function no more; a call that runs is not ended.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Stops the listener when the answer is dropped.
    pub fn guard(&self) -> DropGuard {
        self.stop.clone().drop_guard()
    }

    /// How many items were lost because the function was slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many calls failed or panicked.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why the last of the calls that failed did.
    pub fn last_error(&self) -> Option<String> {
        let last = self.last_error.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(error.to_string());
    }
}

/// Calls `function` with each item of `subscription`, one after the other, on the I/O runtime.
///
/// A call that fails or panics harms nobody else: it is counted and logged, and the next item is
/// given to the function as if nothing had happened. Only where the function is gone, because the
/// script or program it belongs to has ended (`unavailable`), does the listener end.
pub fn listen<T, F>(subscription: BroadcastSubscription<T>, name: &str, function: F) -> Listener
where
    T: Send + Sync + 'static,
    F: Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
{
    let listener = Listener {
        stop: CancellationToken::new(),
        dropped: subscription.dropped_counter(),
        failed: Arc::default(),
        last_error: Arc::default(),
    };
    let (running, name) = (listener.clone(), name.to_owned());
    let _task = io::spawn(async move {
        let stop = &running.stop;
        while let Some(Some(item)) = stop.run_until_cancelled(subscription.next()).await {
            // Made inside: the function may panic before its future is there.
            let calling = AssertUnwindSafe(async { function(item).await }).catch_unwind();
            let panicked = |_| Err(Error::internal("the subscriber panicked"));
            let Err(error) = calling.await.unwrap_or_else(panicked) else {
                continue;
            };
            running.note(&error);
            tracing::warn!(subscriber = %name, %error, "a subscriber failed");
            if error.kind() == ErrorKind::Unavailable {
                break;
            }
        }
        stop.cancel();
    });
    listener
}
