//! What ends or interrupts the process from outside: signals, and the death of its parent.

use std::{sync::Arc, time::Duration};

use aikit_core::clock::Clock;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::{
    handlers::{Desk, lifecycle::interrupt_until_stopped},
    kernel::Stop,
};

/// How often the parent is looked at.
const PARENT_INTERVAL: Duration = Duration::from_secs(1);

/// Interrupts the running cell at SIGINT, ends the kernel at SIGTERM.
#[cfg(unix)]
pub(crate) async fn watch_signals(desk: Arc<Desk>, stop: mpsc::Sender<Stop>) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(error) => {
            warn!(%error, "cannot receive signals; interrupt messages still work");
            return;
        }
    };
    loop {
        tokio::select! {
            Some(()) = interrupt.recv() => interrupt_until_stopped(&desk),
            Some(()) = terminate.recv() => request_stop(&stop).await,
            else => return,
        }
    }
}

/// Interrupts the running cell at Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn watch_signals(desk: Arc<Desk>, _stop: mpsc::Sender<Stop>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        interrupt_until_stopped(&desk);
    }
}

/// The process without which the kernel has no purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parent {
    pid: u32,
    /// A child is adopted by another process when its parent dies, even while the dead parent
    /// still has a number; for anybody else's death there is only that number.
    is_real: bool,
}

impl Parent {
    /// Looks whether this process is a child of `pid`, which must not have died yet.
    pub(crate) fn find(pid: u32) -> Self {
        let is_real = is_parent(pid);
        Self { pid, is_real }
    }
}

/// Ends the kernel when its parent is gone.
pub(crate) async fn watch_parent(
    desk: Arc<Desk>,
    parent: Option<Parent>,
    stop: mpsc::Sender<Stop>,
) {
    let Some(Parent { pid, is_real }) = parent else {
        return;
    };
    let clock: &Arc<dyn Clock> = desk.context.clock();
    while is_alive(pid) && (!is_real || is_parent(pid)) {
        clock.sleep(PARENT_INTERVAL).await;
    }
    debug!(pid, "the parent is gone");
    request_stop(&stop).await;
}

async fn request_stop(stop: &mpsc::Sender<Stop>) {
    // The loop that would hear it is ending already.
    let _ending = stop
        .send(Stop {
            restart: false,
            request: None,
        })
        .await;
}

#[cfg(unix)]
fn is_parent(pid: u32) -> bool {
    std::os::unix::process::parent_id() == pid
}

#[cfg(not(unix))]
fn is_parent(_pid: u32) -> bool {
    false
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    #[expect(unsafe_code, reason = "there is no safe function for this")]
    // SAFETY: signal 0 sends nothing; the call only looks the process up.
    let found = unsafe { libc::kill(pid, 0) } == 0;
    // A process of another user may not be signalled, but it is there.
    found || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

#[cfg(not(unix))]
fn is_alive(_pid: u32) -> bool {
    // Windows has no such number to ask for; Jupyter ends its kernels there by itself.
    true
}
