//! A value that each process makes for itself: a forked child does not get its parent's.

use std::{
    cell::RefCell,
    fmt,
    mem::ManuallyDrop,
    ops::Deref,
    ptr,
    sync::{
        Once, PoisonError, RwLock, RwLockWriteGuard, TryLockError,
        atomic::{AtomicPtr, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one, where [`watch_forks`] was called.
/// Cheaper than the number of the process, which is asked of the system.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// How often a fork looks whether the work has ended that it must not fall into, and how long it
/// pauses between: for a second at most. Work that waits for another process may take longer.
const FORK_LOOKS_MAX: usize = 2_000;
const FORK_PAUSE: Duration = Duration::from_micros(500);

/// Read by work that no fork may fall into, written by a fork.
static FORKS: RwLock<()> = RwLock::new(());

thread_local! {
    /// What a fork holds, in the parent and in the child.
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Does work into which no fork falls: a child that began in the middle of it would find what it
/// holds inside of the process, such as the locks of a file, held for ever. Forks wait for its end,
/// a second at most, while they hold what their threads hold; so it does not wait for those.
pub fn unforked<T>(work: impl FnOnce() -> T) -> T {
    let _held = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

extern "C" fn before_fork() {
    for _ in 0..FORK_LOOKS_MAX {
        let held = match FORKS.try_write() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => {
                thread::park_timeout(FORK_PAUSE);
                continue;
            }
        };
        // A thread that ends forks no more.
        let _kept = FORKING.try_with(|forking| forking.replace(Some(held)));
        return;
    }
}

extern "C" fn after_fork() {
    let held = FORKING.try_with(RefCell::take);
    drop(held);
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    after_fork();
}

/// Has every forked child counted in its first moment, before anything of its parent's is cleared
/// away there, and forks wait for the end of [`unforked`] work. Hosts that can fork call it once,
/// when they begin.
#[expect(unsafe_code, reason = "the handlers of forks are C functions")]
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: the handlers are code of a library that stays loaded. The one in the child adds to
        // an atomic and lets go of a lock that its own thread has taken before the fork.
        let failed =
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
        if failed != 0 {
            tracing::warn!(status = failed, "forked children will not be noticed");
        }
    });
}

/// A value that is dropped by the process which has made it, and by no forked child of that: what
/// it holds may have locks which a thread of the parent had taken as it forked, and in the child
/// nobody ever lets go of them.
pub struct OfProcess<T> {
    value: ManuallyDrop<T>,
    generation: u32,
}

impl<T> From<T> for OfProcess<T> {
    fn from(value: T) -> Self {
        Self {
            value: ManuallyDrop::new(value),
            generation: generation(),
        }
    }
}

impl<T> Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for OfProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T> Drop for OfProcess<T> {
    #[expect(unsafe_code, reason = "whether the value is dropped is decided here")]
    fn drop(&mut self) {
        if self.generation == generation() {
            // SAFETY: this is the end of the value, which nobody looks at afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// A place for one value a process, such as a runtime or a pool of connections, whose threads and
/// sockets do not live on in a forked child.
///
/// There is no lock: one that another thread holds while the process forks would never be
/// released in the child. Values are leaked, one a process.
#[derive(Debug)]
pub struct PerProcess<T> {
    current: AtomicPtr<Slot<T>>,
}

/// A value and the process that made it.
#[derive(Debug)]
struct Slot<T> {
    pid: u32,
    value: T,
}

impl<T: Send + Sync + 'static> PerProcess<T> {
    /// A place without a value.
    pub const fn new() -> Self {
        Self {
            current: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The value of this process, made by `create` on first use. Threads that come at the same time
    /// may all make one; all of them are given the same.
    pub fn get_or_init(&'static self, create: impl FnOnce() -> T) -> &'static T {
        let pid = std::process::id();
        let before = self.current.load(Ordering::Acquire);
        if let Some(slot) = owned(before, pid) {
            return &slot.value;
        }
        let made = Box::into_raw(Box::new(Slot {
            pid,
            value: create(),
        }));
        let published =
            self.current
                .compare_exchange(before, made, Ordering::AcqRel, Ordering::Acquire);
        match published {
            Ok(_) => value_of(made),
            Err(winner) => {
                discard(made);
                value_of(winner)
            }
        }
    }
}

impl<T: Send + Sync + 'static> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    unsafe_code,
    reason = "a pointer is what can be swapped without a lock"
)]
fn owned<T>(slot: *mut Slot<T>, pid: u32) -> Option<&'static Slot<T>> {
    // SAFETY: the pointer is null or was published; what was published is never freed or written.
    unsafe { slot.as_ref() }.filter(|slot| slot.pid == pid)
}

#[expect(unsafe_code, reason = "see `owned`")]
fn value_of<T>(published: *mut Slot<T>) -> &'static T {
    // SAFETY: only called with pointers that were published, see `owned`.
    unsafe { &(*published).value }
}

#[expect(unsafe_code, reason = "see `owned`")]
fn discard<T>(made: *mut Slot<T>) {
    // SAFETY: it comes from `Box::into_raw` and nobody else has seen it.
    drop(unsafe { Box::from_raw(made) });
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, atomic::AtomicUsize};

    use super::*;

    #[test]
    fn a_forked_child_drops_nothing_of_its_parent() {
        struct Counted<'a>(&'a AtomicUsize);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let dropped = AtomicUsize::new(0);
        drop(OfProcess::from(Counted(&dropped)));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        // As in a child: what was made before the fork is of the generation before.
        let mut of_parent = OfProcess::from(Counted(&dropped));
        of_parent.generation = generation().wrapping_sub(1);
        assert_eq!(of_parent.0.load(Ordering::SeqCst), 1);
        drop(of_parent);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn all_threads_are_given_the_same_value() {
        const THREADS: usize = 8;
        static PLACE: PerProcess<usize> = PerProcess::new();
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let barrier = Barrier::new(THREADS);
        let ask = || {
            barrier.wait();
            *PLACE.get_or_init(|| MADE.fetch_add(1, Ordering::SeqCst))
        };
        let given: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(given.iter().all(|it| *it == given[0]), "{given:?}");
        let made = MADE.load(Ordering::SeqCst);
        assert_eq!(*PLACE.get_or_init(|| unreachable!()), given[0]);
        assert_eq!(MADE.load(Ordering::SeqCst), made);
    }
}
