//! `aikit kernel -f FILE`: serves one Jupyter connection until it is told to stop.

use std::{path::PathBuf, time::Duration};

use aikit_core::{Result, io};
use aikit_kernel::boot;
use clap::Args;

use crate::session::{ProfileName, setup};

#[derive(Args, Debug)]
pub(super) struct KernelArgs {
    /// Connection file that the front end wrote
    #[arg(short = 'f', long = "connection-file", value_name = "FILE")]
    connection_file: PathBuf,
    /// What cells may touch
    #[arg(long, value_enum, default_value_t = ProfileName::Notebook)]
    profile: ProfileName,
}

/// Runs the command; answers what is left of the time in which the process has to end.
///
/// # Errors
///
/// `config` for a wrong connection file, those of the session and the sockets.
pub(super) fn run(args: KernelArgs) -> Result<Duration> {
    let setup = setup(args.profile)?;
    let served = boot::serve_kernel(args.connection_file, setup);
    let exit = io::wait(served, || Ok(())).flatten()?;
    Ok(exit.time_left)
}
