//! Threads that start programs.
//!
//! A program is to end when this process is killed, even by a signal that cannot be caught. The
//! system offers that (`prctl(2)`, `PR_SET_PDEATHSIG`), but counts the end of the *thread* that
//! started the program; so each is started by a thread of its own, which lives as long as it does.

use std::{io, sync::mpsc, thread};

use aikit_core::io::runtime;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

use super::family::Family;

/// All a thread needs that starts a program and waits.
const STACK_BYTES: usize = 256 << 10;

/// Starts a program that does not outlive this process, where the system can see to it (Linux);
/// what it starts in turn is not ended then. `mark` is the variable that says whose it is.
pub(super) async fn start(mut command: Command, mark: String) -> io::Result<(Child, Family)> {
    let (answer, started) = oneshot::channel();
    let work = move || {
        // Whoever asked may have gone while this thread was made.
        if answer.is_closed() {
            return;
        }
        end_with_this_thread(&mut command);
        let (alive, ended) = mpsc::channel();
        let started = start_here(command).map(|child| {
            let family = Family::new(child.id(), mark, alive);
            (child, family)
        });
        // Nobody may be there any more; the family is then ended as it is dropped.
        drop(answer.send(started));
        let _ended = ended.recv();
    };
    thread::Builder::new()
        .name("aikit-program".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)?;
    started.await.map_err(io::Error::other)?
}

fn start_here(mut command: Command) -> io::Result<Child> {
    // Pipes belong to the one runtime.
    let _entered = runtime().enter();
    command.spawn()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe function for this")]
fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    let ask = move || {
        // SAFETY: both calls take and give numbers, touch no memory of ours and take no lock, so
        // that they may be made between fork and exec.
        let is_orphan = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            u32::try_from(libc::getppid()) != Ok(parent)
        };
        if is_orphan {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    };
    // SAFETY: the function allocates nothing and takes no lock; an error of a kind alone is a
    // number.
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_this_thread(_: &mut Command) {}
