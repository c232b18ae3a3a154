//! A value that each process makes for itself: a forked child does not get its parent's.

use std::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one, as far as [`forked`] was told.
/// Cheaper than the number of the process, which is asked of the system.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Says that this process is a forked child. Hosts that can fork call it first of all there.
pub fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
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
    fn all_threads_are_given_the_same_value() {
        const THREADS: usize = 8;
        static PLACE: PerProcess<usize> = PerProcess::new();
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let barrier = Barrier::new(THREADS);
        let ask = || {
            barrier.wait();
            *PLACE.get_or_init(|| MADE.fetch_add(1, Ordering::SeqCst))
        };
        let given: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(given.iter().all(|it| *it == given[0]), "{given:?}");
        let made = MADE.load(Ordering::SeqCst);
        assert_eq!(*PLACE.get_or_init(|| unreachable!()), given[0]);
        assert_eq!(MADE.load(Ordering::SeqCst), made);
    }
}
