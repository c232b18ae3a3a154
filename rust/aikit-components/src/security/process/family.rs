//! A program and all it started.
//!
//! They are one process group, but a member can leave it (`setsid(2)`). Where the system shows
//! the environment of processes (Linux), those that left are found by a variable that all inherit,
//! as build servers do it; who clears its environment as well is not found.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use aikit_core::io::runtime;

/// Counts the programs of this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The mark of one program: the name of a variable in its environment. Not `AIKIT_…`: those are
/// settings, and unknown ones are refused.
pub(super) fn mark() -> String {
    // Its seed differs from process to process.
    let random = RandomState::new().hash_one(std::process::id());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("_AIKIT_PROGRAM_{random:016x}_{count}")
}

/// Ends the group of a program, and all that carry its mark, when it is dropped.
pub(super) struct Family {
    group: Option<i32>,
    mark: Option<String>,
    /// Kept until the end: the thread that started the program waits for it to be dropped.
    _alive: mpsc::Sender<()>,
}

impl Family {
    pub(super) fn new(group: Option<u32>, mark: String, alive: mpsc::Sender<()>) -> Self {
        let group = group.and_then(|id| i32::try_from(id).ok());
        Self {
            group,
            mark: Some(mark),
            _alive: alive,
        }
    }

    /// Ends all, and waits until that is done.
    pub(super) async fn end(mut self) {
        if let Some(work) = self.begin() {
            drop(work.await);
        }
    }

    fn begin(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        if let Some(id) = self.group.take() {
            kill_group(id);
        }
        let mark = self.mark.take()?;
        Some(runtime().spawn_blocking(move || kill_marked(&mark)))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        drop(self.begin());
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "there is no safe function for this")]
fn kill_group(id: i32) {
    // SAFETY: the call takes two numbers and touches no memory. The group was made for the
    // program, and its id stays taken while one of its members is there.
    unsafe {
        libc::killpg(id, libc::SIGKILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: i32) {}

#[cfg(target_os = "linux")]
fn kill_marked(mark: &str) {
    /// A program may start another one while it is looked at.
    const ROUNDS_MAX: usize = 100;

    for _ in 0..ROUNDS_MAX {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return;
        };
        let mut is_found = false;
        for id in entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok()) {
            is_found |= is_marked(id, mark) && kill_one(id, mark);
        }
        if !is_found {
            return;
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn kill_marked(_: &str) {}

#[cfg(target_os = "linux")]
fn is_marked(id: i32, mark: &str) -> bool {
    // Those of others cannot be read; one that has ended has none.
    let Ok(variables) = std::fs::read(format!("/proc/{id}/environ")) else {
        return false;
    };
    variables
        .split(|it| *it == 0)
        .any(|it| it.strip_prefix(mark.as_bytes()) == Some(b"=1"))
}

/// Ends one process by a handle, so that another one that got its number meanwhile is safe.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe function for this")]
fn kill_one(id: i32, mark: &str) -> bool {
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

    // SAFETY: the call takes two numbers and touches no memory.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
    let Ok(handle @ 0..) = RawFd::try_from(handle) else {
        return false;
    };
    // SAFETY: the system has just given it to us, so nobody else closes it.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    // Looked at again: now the number cannot be another's any more.
    if !is_marked(id, mark) {
        return false;
    }
    let no_details = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the handle is open, and the call accepts the null pointer in place of details.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            libc::SIGKILL,
            no_details,
            0,
        )
    };
    sent == 0
}
