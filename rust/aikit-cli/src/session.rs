//! What a command works with: the process's environment and working directory.

use std::{io::IsTerminal as _, sync::Arc};

use aikit_components::{config, registry::Setup, security::policy::Profile};
use aikit_core::{Result, context::Principal, services::Ask};
use clap::ValueEnum;

use crate::terminal::TerminalAsk;

/// The word for a profile on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileName {
    /// As in a notebook of your own
    Notebook,
    /// As on a server: nothing that is not granted
    Served,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Notebook => Self::Notebook,
            ProfileName::Served => Self::Served,
        }
    }
}

/// The setup of a session in this process. Questions go to the terminal, if there is one.
///
/// # Errors
///
/// `io` when the process has no working directory.
pub(crate) fn setup(profile: ProfileName) -> Result<Setup> {
    let is_terminal = std::io::stdin().is_terminal();
    let ask: Option<Arc<dyn Ask>> = is_terminal.then(|| Arc::new(TerminalAsk) as _);
    Ok(Setup {
        profile: profile.into(),
        working_directory: std::env::current_dir()?,
        variables: config::environment(),
        ask,
        principal: Principal::default(),
    })
}
