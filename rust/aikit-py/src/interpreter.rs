//! The way into the interpreter, which closes when Python ends.
//!
//! A thread that waits for the interpreter while it is torn down is ended by `CPython` (before
//! 3.14) by unwinding its stack, which a Rust frame does not survive; one that comes later finds
//! freed memory. So whoever has Rust frames below Python code, or comes from a thread of Rust's,
//! makes a visit; the exit lets nobody in any more and waits for those who are inside.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use aikit_components::event_log;
use aikit_core::{
    Error, broadcast,
    clock::{Clock as _, SystemClock},
    telemetry,
};
use pyo3::{ffi, intern, prelude::*, sync::PyOnceLock, types::PyTuple};

static CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The thread that ends the interpreter; it alone may still use it.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// How often, and with which pause, an exit looks whether everybody has left: ten seconds in all,
/// which only a machine that is very busy takes.
const EXIT_LOOKS_MAX: u32 = 10_000;
const EXIT_PAUSE: Duration = Duration::from_millis(1);

/// Threads that are being given a thread state of Python's or make what is made once, see
/// [`begin_fork`].
static ENTERING: AtomicUsize = AtomicUsize::new(0);
/// Forks that begin or go on.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// How long a fork and who enters wait for each other, and the pause between two looks. A first use
/// takes tens of milliseconds; only a machine that is very busy takes as long as this.
const FORK_TIME_MAX: Duration = Duration::from_secs(10);
const FORK_PAUSE: Duration = Duration::from_micros(100);

/// How long an exit waits for the spans that are not sent yet.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(3);

/// Runs `body` with the interpreter on a thread of Rust's; `None` once it ends.
pub(crate) fn attach<T>(body: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _visit = Visit::begin()?;
    try_attach(body)
}

/// [`attach`] of somebody who is no visitor: who drops or shows what is Python's, and may do so
/// inside of the exit.
pub(crate) fn try_attach<T>(body: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let entering = Entering::begin();
    Python::try_attach(|py| {
        drop(entering);
        body(py)
    })
}

/// Runs `job`, which attaches on its own, with the interpreter, unless that ends.
pub(crate) fn visit(job: impl FnOnce()) {
    let _ended = attach(|_| job());
}

/// A thread of Rust's that `CPython` makes a thread state for; ends once it is inside.
struct Entering(());

impl Entering {
    /// Waits for forks that go on. `None` on a thread that has a state already.
    fn begin() -> Option<Self> {
        if has_thread_state() {
            return None;
        }
        look_for(Self::unless_forking)
    }

    fn unless_forking() -> Option<Self> {
        ENTERING.fetch_add(1, Ordering::SeqCst);
        let entering = Self(());
        (FORKS.load(Ordering::SeqCst) == 0).then_some(entering)
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        leave(&ENTERING);
    }
}

thread_local! {
    /// How many [`Making`] there are on this thread, one inside of the other.
    static MAKING: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread forks.
    static IS_FORKING: Cell<bool> = const { Cell::new(false) };
}

/// What is made once for the process is being made: no other thread forks meanwhile, for its child
/// would wait for ever for a thread that it does not have.
pub(crate) struct Making(Option<Entering>);

impl Making {
    /// Waits for forks of other threads that go on.
    pub(crate) fn begin(py: Python<'_>) -> Self {
        let is_first = MAKING.replace(MAKING.get() + 1) == 0;
        if !is_first || IS_FORKING.get() {
            return Self(None);
        }
        let waited = || detached(py, || look_for(Entering::unless_forking));
        Self(Entering::unless_forking().or_else(waited))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        drop(self.0.take());
        MAKING.set(MAKING.get().saturating_sub(1));
    }
}

/// What `cell` holds; the first call makes it.
pub(crate) fn once<'a, T>(
    py: Python<'_>,
    cell: &'a PyOnceLock<T>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'a T> {
    if let Some(made) = cell.get(py) {
        return Ok(made);
    }
    let _making = Making::begin(py);
    cell.get_or_try_init(py, make)
}

/// Looks again and again until `look` finds something, for as long as forks may take.
fn look_for<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    // By the clock: a pause takes longer than it was asked for.
    let begun = SystemClock.monotonic();
    loop {
        let found = look();
        if found.is_some() || SystemClock.monotonic().saturating_sub(begun) >= FORK_TIME_MAX {
            return found;
        }
        thread::park_timeout(FORK_PAUSE);
    }
}

/// Counts one down who may not have been counted: by the parent, in a forked child; or before the
/// functions around forks were all registered, which goes on while other threads fork. Below zero
/// it would seem that somebody is there for ever.
fn leave(count: &AtomicUsize) {
    let one_less = |count: usize| count.checked_sub(1);
    let _was_zero = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
}

#[expect(unsafe_code, reason = "PyO3 has no safe name for it")]
fn has_thread_state() -> bool {
    // SAFETY: it reads a variable of this thread, attached or not.
    !unsafe { ffi::PyGILState_GetThisThreadState() }.is_null()
}

/// Begins a visit of a thread that Python called. It does not return once the interpreter ends:
/// such a thread is a daemon, and the process ends around it.
pub(crate) fn enter(py: Python<'_>) -> Visit {
    Visit::begin().unwrap_or_else(|| py.detach(|| stay_out()))
}

/// Begins a visit of a thread that has detached and is about to come back; as [`enter`].
pub(crate) fn come_back() -> Visit {
    Visit::begin().unwrap_or_else(|| stay_out())
}

/// Does work without the interpreter on a thread that Python called, with Rust frames below that
/// have to survive; as [`enter`].
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    // An exit does not wait for the work, and does for who comes back before it.
    drop(enter(py));
    let (done, _visit) = py.detach(|| (work(), come_back()));
    done
}

fn stay_out() -> ! {
    loop {
        thread::park();
    }
}

/// Somebody inside; ends when dropped.
pub(crate) struct Visit(());

impl Visit {
    fn begin() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let visit = Self(());
        let is_open =
            !CLOSED.load(Ordering::SeqCst) || ENDING.get() == Some(&thread::current().id());
        is_open.then_some(visit)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        leave(&INSIDE);
    }
}

/// The Python half of this crate: threads and loops that run Python functions.
pub(crate) fn callbacks(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = once(py, &MODULE, || {
        let _visit = enter(py);
        let module = py.import(intern!(py, "aikit._callbacks"))?;
        PyResult::Ok(module.unbind())
    })?;
    Ok(module.bind(py))
}

/// Calls `function` with a tuple of arguments, as a visitor: what it calls is Python code above
/// frames of Rust's.
#[pyfunction]
pub(crate) fn call_as_visitor(
    py: Python<'_>,
    function: &Bound<'_, PyAny>,
    args: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let _visit = enter(py);
    function.call1(args.cast::<PyTuple>()?).map(Bound::unbind)
}

/// Called by `atexit`: gives functions what was published last, then lets nobody in any more and
/// waits for those who are inside.
#[pyfunction]
pub(crate) fn close_interpreter(py: Python<'_>) {
    py.detach(|| {
        let left = broadcast::settle(|| attach(look_for_signals).unwrap_or(Ok(())));
        if left > 0 {
            tracing::warn!(left, "{}", broadcast::LEFT);
        }
    });
    if telemetry::is_on() {
        py.detach(|| telemetry::flush(FLUSH_TIME_MAX));
    }
    ENDING.get_or_init(|| thread::current().id());
    CLOSED.store(true, Ordering::SeqCst);
    py.detach(|| {
        event_log::settle();
        for _ in 0..EXIT_LOOKS_MAX {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::park_timeout(EXIT_PAUSE);
        }
    });
}

/// Fails when a signal came whose handler raises.
fn look_for_signals(py: Python<'_>) -> aikit_core::Result<()> {
    let stopped = |_| Error::interrupted("the exit was interrupted");
    py.check_signals().map_err(stopped)
}

/// Called before a fork: keeps threads of Rust's from entering and waits for those that are about
/// to, and for those that make what is made once. `CPython` before 3.12 lists the states of threads
/// under a lock that it takes again in the child before it makes it anew; a child that was forked
/// while another thread listed its own would wait for ever, inside of `os.fork`.
#[pyfunction]
pub(crate) fn begin_fork(py: Python<'_>) {
    FORKS.fetch_add(1, Ordering::SeqCst);
    IS_FORKING.set(true);
    // What this thread makes itself, it is not waited for.
    let own = usize::from(MAKING.get() > 0);
    let is_free = move || ENTERING.load(Ordering::SeqCst) <= own;
    if is_free() {
        return;
    }
    // Who is about to enter waits for the lock of the interpreter, which this thread has.
    detached(py, || look_for(|| is_free().then_some(())));
}

/// Called in the parent after a fork, or when it failed.
#[pyfunction]
pub(crate) fn end_fork() {
    IS_FORKING.set(false);
    leave(&FORKS);
}

/// Called in a forked child, where the threads that were inside do not exist. What was theirs is
/// cleared away after this, and counts down no further than to nobody.
#[pyfunction]
pub(crate) fn forget_parent() {
    IS_FORKING.set(false);
    INSIDE.store(0, Ordering::SeqCst);
    ENTERING.store(0, Ordering::SeqCst);
    FORKS.store(0, Ordering::SeqCst);
}
