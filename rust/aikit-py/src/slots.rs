//! The bound on threads that run sync Python functions.
//!
//! A function that itself waits for aikit lends its place, so that calls which nest cannot lock
//! each other out. One that was cut off cannot be stopped and keeps its thread; its place is given
//! to another, up to a bound beyond which calls are refused and not left waiting for ever.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use aikit_core::{Error, ErrorKind, Result, per_process::PerProcess};
use futures::future::{Either, select};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Sync functions that run at the same time, those that were cut off left out.
const FUNCTIONS_MAX: usize = 32;

/// Threads that functions which were cut off may keep.
const CUT_OFF_MAX: usize = 256;

/// Names of functions of which was said that they outlived their caller.
const TOLD_MAX: usize = 1024;

/// How many functions an error names.
const NAMED_MAX: usize = 3;

/// Logs a warning, or a record for who looks closer where it is no news.
macro_rules! said_once {
    ($is_news:expr, $($record:tt)*) => {
        if $is_news {
            tracing::warn!($($record)*);
        } else {
            tracing::debug!($($record)*);
        }
    };
}
pub(crate) use said_once;

/// The places of this process.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// Places to take out of use at the next return.
    debt: AtomicUsize,
    /// The names of the functions that were cut off and have not returned, each with its number.
    cut_off: Mutex<HashMap<String, usize>>,
    /// What was said of which functions.
    told: Mutex<HashSet<(&'static str, String)>>,
    /// Tells those who wait that one more was cut off.
    changed: Notify,
}

impl Slots {
    /// The bound of this process; a forked child has its own.
    pub(crate) fn current() -> Arc<Self> {
        static CURRENT: PerProcess<Arc<Slots>> = PerProcess::new();
        let slots = CURRENT.get_or_init(|| {
            Arc::new(Self {
                free: Arc::new(Semaphore::new(FUNCTIONS_MAX)),
                debt: AtomicUsize::new(0),
                cut_off: Mutex::default(),
                told: Mutex::default(),
                changed: Notify::new(),
            })
        });
        Arc::clone(slots)
    }

    /// Waits for a place for the function `name`.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when functions that were cut off keep all threads.
    pub(crate) async fn take(slots: &Arc<Self>, name: &str) -> Result<Slot> {
        let mut waiting = Waiting {
            slots,
            name,
            is_over: false,
        };
        let mut place = pin!(Arc::clone(&slots.free).acquire_owned());
        let permit = loop {
            let mut changed = pin!(slots.changed.notified());
            // Told from now on, so that nothing is missed between the look and the wait.
            changed.as_mut().enable();
            if let Some(error) = slots.exhausted(name) {
                waiting.is_over = true;
                return Err(error);
            }
            match select(place.as_mut(), changed).await {
                Either::Left((permit, _)) => break permit,
                Either::Right(_) => {}
            }
        };
        waiting.is_over = true;
        let permit = permit.map_err(|error| Error::internal("no place").with_source(error))?;
        Ok(Slot {
            place: Place(Arc::new(Taken {
                slots: Arc::clone(slots),
                name: name.to_owned(),
                state: Mutex::new(State::Runs),
            })),
            permit: Some(permit),
        })
    }

    /// Opens one more place while a function waits for aikit.
    pub(crate) fn lend(&self) {
        self.free.add_permits(1);
    }

    /// Closes the place that [`Slots::lend`] opened, now or when it gets free.
    pub(crate) fn take_back(&self) {
        if self.free.forget_permits(1) == 0 {
            self.debt.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn exhausted(&self, name: &str) -> Option<Error> {
        let (count, names) = self.described();
        (count >= CUT_OFF_MAX).then(|| {
            let message = format!(
                "too many functions were cut off to call the Python function `{name}`: {count} \
                 threads are kept by those that have not returned: {names}"
            );
            Error::new(ErrorKind::LimitExceeded, message).with_hint(
                "have these functions call `Context.get().check()` now and then, or make them \
                 async: only those can be stopped",
            )
        })
    }

    /// How many functions were cut off and have not returned, and which.
    fn described(&self) -> (usize, String) {
        let cut_off = self.names();
        let mut named: Vec<_> = cut_off.iter().collect();
        named.sort_by(|(a, most), (b, least)| least.cmp(most).then_with(|| a.cmp(b)));
        let others = named.len().saturating_sub(NAMED_MAX);
        named.truncate(NAMED_MAX);
        let named = named.iter().map(|(name, it)| format!("`{name}` ({it})"));
        let mut text = named.collect::<Vec<_>>().join(", ");
        if others > 0 {
            text += " and ";
            text += &others.to_string();
            text += " others";
        }
        (cut_off.values().sum(), text)
    }

    /// Whether `what` is said of the function `name` for the first time: who drops handles drops
    /// thousands of them.
    fn is_news(&self, what: &'static str, name: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_MAX && told.insert((what, name.to_owned()))
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when a call gives up before it had a place; its error alone would not tell why.
struct Waiting<'a> {
    slots: &'a Slots,
    name: &'a str,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (cut_off, names) = self.slots.described();
        said_once!(
            self.slots.is_news("given up", self.name),
            function = self.name,
            cut_off,
            names,
            "a Python function was given up before a thread was free for it"
        );
    }
}

/// A place in [`Slots`]; kept until the function returns, even when nobody waits any more.
pub(crate) struct Slot {
    place: Place,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// The place, for whoever may have to say that nobody waits any more.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Place(taken) = &self.place;
        let slots = &taken.slots;
        if taken.returned() {
            // Another has it already.
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
            return;
        }
        let paid = slots
            .debt
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
                debt.checked_sub(1)
            });
        if let (Ok(_), Some(permit)) = (paid, self.permit.take()) {
            permit.forget();
        }
    }
}

/// What a function takes.
#[derive(Clone, Debug)]
pub(crate) struct Place(Arc<Taken>);

impl Place {
    /// Says that nobody waits for the function any more, and gives its place to another. Answers
    /// how many were cut off and have not returned; `None` where it has returned itself.
    pub(crate) fn cut_off(&self) -> Option<usize> {
        self.0.cut_off()
    }

    /// Whether nothing was said yet of functions of this name that were cut off.
    pub(crate) fn is_news(&self) -> bool {
        self.0.slots.is_news("cut off", &self.0.name)
    }
}

#[derive(Debug)]
struct Taken {
    slots: Arc<Slots>,
    name: String,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Runs,
    CutOff,
    Returned,
}

impl Taken {
    fn cut_off(&self) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != State::Runs {
            return None;
        }
        *state = State::CutOff;
        let mut names = self.slots.names();
        *names.entry(self.name.clone()).or_default() += 1;
        self.slots.free.add_permits(1);
        self.slots.changed.notify_waiters();
        Some(names.values().sum())
    }

    /// Notes that the function has returned; answers whether it had been cut off.
    fn returned(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_cut_off = *state == State::CutOff;
        *state = State::Returned;
        if was_cut_off {
            let mut names = self.slots.names();
            if let Some(count) = names.get_mut(&self.name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(&self.name);
                }
            }
        }
        was_cut_off
    }
}
