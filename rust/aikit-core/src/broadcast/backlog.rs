//! What functions have not been given yet: waiting until they were, and giving up.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::future::{join_all, select};
use tokio::sync::futures::Notified;

use super::queue::Queue;
use crate::{
    Result,
    clock::{Clock as _, SystemClock},
    io,
    per_process::PerProcess,
};

/// How long the end of a program waits for the functions of its subscriptions.
pub const END_LIMIT: Duration = Duration::from_secs(2);

/// What is told when a program ends with something left.
pub const LEFT: &str =
    "the program ended before the functions of its subscriptions had been given everything";

/// Listeners above which those that have ended are looked for.
const LOOK: usize = 64;

/// A queue whose items are given to a function.
pub(crate) trait Backlog: Send + Sync {
    /// How many items have come.
    fn pushed(&self) -> u64;
    /// How many of the first `count` items the function has not had yet.
    fn left_of(&self, count: u64) -> u64;
    /// Tells that the function had an item.
    fn settled(&self) -> Notified<'_>;
    /// Gives the function nothing any more.
    fn abandon(&self);
}

impl<T: Send + Sync> Backlog for Queue<T> {
    fn pushed(&self) -> u64 {
        self.pushed()
    }

    fn left_of(&self, count: u64) -> u64 {
        self.left_of(count)
    }

    fn settled(&self) -> Notified<'_> {
        self.settled.notified()
    }

    fn abandon(&self) {
        self.abandon();
    }
}

/// The listeners of this process.
#[derive(Default)]
struct Listeners {
    all: Vec<Weak<dyn Backlog>>,
    /// How many there are when those that have ended are looked for.
    look_at: usize,
}

static LISTENERS: PerProcess<Mutex<Listeners>> = PerProcess::new();

/// Keeps a listener in mind for the end of the process.
pub(super) fn note(backlog: Weak<dyn Backlog>) {
    let listeners = LISTENERS.get_or_init(Mutex::default);
    let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
    if listeners.all.len() >= listeners.look_at {
        listeners.all.retain(|it| it.strong_count() > 0);
        listeners.look_at = LOOK.max(2 * listeners.all.len());
    }
    listeners.all.push(backlog);
}

/// How much was to be given at one moment.
struct Due {
    backlog: Arc<dyn Backlog>,
    count: u64,
}

impl Due {
    fn left(&self) -> u64 {
        self.backlog.left_of(self.count)
    }

    async fn settle(&self) {
        loop {
            // Before looking, so that an end in between is heard.
            let settled = self.backlog.settled();
            if self.left() == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// What is to be given now.
fn due(backlogs: impl IntoIterator<Item = Arc<dyn Backlog>>) -> Vec<Due> {
    let due = backlogs.into_iter().map(|backlog| Due {
        count: backlog.pushed(),
        backlog,
    });
    due.filter(|it| it.left() > 0).collect()
}

/// Waits until functions have had what was published before, but at most `limit`; answers how
/// many items they have not had.
pub(crate) async fn flush(backlogs: Vec<Arc<dyn Backlog>>, limit: Option<Duration>) -> u64 {
    let due = due(backlogs);
    wait_for(&due, limit).await;
    due.iter().map(Due::left).sum()
}

async fn wait_for(due: &[Due], limit: Option<Duration>) {
    let all = join_all(due.iter().map(Due::settle));
    match limit {
        None => drop(all.await),
        Some(limit) => drop(select(pin!(all), SystemClock.sleep(limit)).await),
    }
}

/// Waits until all functions of this process have had what was published, but at most two seconds
/// in all, and calls none any more: for the end of a program. Answers how much is left, which the
/// caller tells the user. `tick` is called every 50 ms; an error from it ends the wait.
///
/// A program in Rust calls it before it ends; a kernel, `aikit run` and Python's exit do.
pub fn settle(tick: impl FnMut() -> Result<()>) -> u64 {
    let listeners = LISTENERS.get_or_init(Mutex::default);
    let all = {
        let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut listeners.all)
    };
    let live: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
    let due = Arc::new(due(live.iter().cloned()));
    if !due.is_empty() {
        let waited = Arc::clone(&due);
        // Who presses Ctrl-C wants the end at once; what is left is told below.
        let _stopped = io::wait(
            async move { wait_for(&waited, Some(END_LIMIT)).await },
            tick,
        );
    }
    let left: u64 = due.iter().map(Due::left).sum();
    for backlog in &live {
        backlog.abandon();
    }
    left
}
