//! The signal of interrupts, shared with the program around us: our handler is kept in place, and
//! signals that are not ours go on to the program's own.
#![expect(
    unsafe_code,
    reason = "signals exist as a C interface only; every block says why it is sound"
)]

use std::{
    os::raw::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

use aikit_core::{Error, Result};
use libc::siginfo_t;

/// Urgent data on a socket: ignored by default, and hardly used.
pub(super) const SIGNAL: c_int = libc::SIGURG;

/// A handler that takes the three arguments of `SA_SIGINFO`.
pub(super) type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Most handlers of the program that are remembered.
const HANDLERS_MAX: usize = 8;
/// Most threads that can be inside of these at once.
const THREADS_MAX: usize = 16;

/// A handler that the program had set, and the one that it had set before. Never freed, because
/// ours may read it at any time; there is a new one only when the program sets another.
struct Earlier {
    address: usize,
    takes_info: bool,
    before: *const Self,
}

/// The handler that the program has set last; null when there is none.
static EARLIER: AtomicPtr<Earlier> = AtomicPtr::new(ptr::null_mut());

/// Whether a thread is setting the handler.
static SETTING: AtomicBool = AtomicBool::new(false);

/// Makes sure that the signal comes to `own`. Costs one system call when it does already, and is
/// therefore asked each time before one is sent: a program may set its own at any time. No lock is
/// held, because a process that forks meanwhile would keep it for ever.
///
/// # Errors
///
/// `internal` when the system refuses.
pub(super) fn keep(own: Handler) -> Result<()> {
    let current = current()?;
    if current.sa_sigaction == own as usize || SETTING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    remember(&current, own as usize);
    // SAFETY: the structure is filled before it is used; without SA_RESTART a blocking read of the
    // script ends as well.
    let refused = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = own as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(SIGNAL, &raw const action, ptr::null_mut()) != 0
    };
    let outcome = if refused { Err(refusal()) } else { Ok(()) };
    SETTING.store(false, Ordering::SeqCst);
    outcome
}

fn current() -> Result<libc::sigaction> {
    // SAFETY: the structure may be all zeros, and the system fills it.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        match libc::sigaction(SIGNAL, ptr::null(), &raw mut current) {
            0 => Ok(current),
            _ => Err(refusal()),
        }
    }
}

fn refusal() -> Error {
    Error::internal("the system refused the handler of SIGURG")
        .with_source(std::io::Error::last_os_error())
}

/// Puts the handler of the program before those that it had set earlier.
fn remember(current: &libc::sigaction, own: usize) {
    let address = current.sa_sigaction;
    if matches!(address, libc::SIG_DFL | libc::SIG_IGN) {
        // The program wants its signals no more.
        return EARLIER.store(ptr::null_mut(), Ordering::SeqCst);
    }
    let kept: Vec<&Earlier> = chain()
        .filter(|earlier| ![address, own].contains(&earlier.address))
        .take(HANDLERS_MAX - 1)
        .collect();
    let leak = |address, takes_info, before| -> *const Earlier {
        Box::leak(Box::new(Earlier {
            address,
            takes_info,
            before,
        }))
    };
    let before = kept.iter().rev().fold(ptr::null(), |before, earlier| {
        leak(earlier.address, earlier.takes_info, before)
    });
    let takes_info = current.sa_flags & libc::SA_SIGINFO != 0;
    let head = leak(address, takes_info, before);
    EARLIER.store(head.cast_mut(), Ordering::SeqCst);
}

/// The program's handlers, the latest first.
fn chain() -> impl Iterator<Item = &'static Earlier> {
    let at = |pointer: *const Earlier| {
        // SAFETY: these are leaked and never change.
        unsafe { pointer.as_ref() }
    };
    let first = at(EARLIER.load(Ordering::SeqCst));
    std::iter::successors(first, move |earlier| at(earlier.before))
}

/// A thread that is inside of handlers of the program, and how many.
struct Inside {
    thread: AtomicUsize,
    count: AtomicUsize,
}

/// Not a thread-local variable, which a handler must not touch for the first time.
static INSIDE: [Inside; THREADS_MAX] = [const {
    Inside {
        thread: AtomicUsize::new(0),
        count: AtomicUsize::new(0),
    }
}; THREADS_MAX];

/// Calls the program's handler. One that calls ours in turn, because it found it in place when it
/// was set, gets to the one before: never to itself, which would have no end. Called by our
/// handler only.
pub(super) fn pass_on(thread: usize, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let own = INSIDE
        .iter()
        .find(|inside| inside.thread.load(Ordering::SeqCst) == thread);
    let free = |inside: &&Inside| {
        let free = &inside.thread;
        free.compare_exchange(0, thread, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    };
    let Some(inside) = own.or_else(|| INSIDE.iter().find(free)) else {
        return;
    };
    let count = inside.count.fetch_add(1, Ordering::SeqCst);
    if let Some(earlier) = chain().nth(count) {
        // SAFETY: the address is that of a handler, which was set with or without `SA_SIGINFO`.
        unsafe {
            if earlier.takes_info {
                std::mem::transmute::<usize, Handler>(earlier.address)(signal, info, context);
            } else {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(earlier.address)(signal);
            }
        }
    }
    inside.count.store(count, Ordering::SeqCst);
    if count == 0 {
        inside.thread.store(0, Ordering::SeqCst);
    }
}
