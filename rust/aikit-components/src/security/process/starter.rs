//! The thread that starts programs.
//!
//! A program is to end when this process is killed, even by a signal that cannot be caught. The
//! system offers that (`prctl(2)`, `PR_SET_PDEATHSIG`), but counts the end of the *thread* that
//! started the program; so that thread is one which lives as long as the process.

use std::{io, sync::mpsc};

use aikit_core::{io::runtime, per_process::PerProcess};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

type Job = (Command, oneshot::Sender<io::Result<Child>>);

static STARTER: PerProcess<Option<mpsc::Sender<Job>>> = PerProcess::new();

/// Starts a program that does not outlive this process, where the system can see to it (Linux);
/// what it starts in turn is not ended then.
pub(super) async fn start(command: Command) -> io::Result<Child> {
    let Some(starter) = STARTER.get_or_init(thread) else {
        return start_here(command);
    };
    let (answer, child) = oneshot::channel();
    if let Err(mpsc::SendError((command, _))) = starter.send((command, answer)) {
        return start_here(command);
    }
    child.await.map_err(io::Error::other)?
}

fn thread() -> Option<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let work = move || {
        for (mut command, answer) in jobs {
            end_with_this_thread(&mut command);
            // Who asked may have gone; the program is then ended as it is dropped.
            drop(answer.send(start_here(command)));
        }
    };
    let named = std::thread::Builder::new().name("aikit-programs".to_owned());
    named.spawn(work).ok().map(|_| sender)
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
