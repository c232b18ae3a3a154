//! What a command works with: the process's environment and working directory.

use std::{pin::pin, sync::Arc};

use aikit_components::{
    config::{self, Ignored},
    nearest,
    registry::Setup,
    security::policy::Profile,
};
use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::{Overrides, Principal},
    io,
};
use clap::ValueEnum;
use futures::future::{Either, select};

use crate::terminal::{self, TerminalAsk};

/// The word for a profile on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileName {
    /// Files below the working directory, public hosts, servers of this machine
    Notebook,
    /// Files below the working directory, hosts of the allow list only; agents read no file that
    /// may hold keys
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

/// Checks the word for a profile.
///
/// # Errors
///
/// `invalid_args` with the nearest profile when there is none of that name.
pub fn check_profile(name: &str) -> Result<()> {
    if ProfileName::from_str(name, false).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = ProfileName::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|it| it.get_name().to_owned())
        .collect();
    let all = format!("the profiles are `{}`", known.join("`, `"));
    let hint = nearest::hint(name, known.iter().map(String::as_str), all);
    Err(Error::invalid_args(format!("no profile named `{name}`")).with_hint(hint))
}

/// The setup of a session in this process. Scripts read standard input, questions go to
/// the terminal, if there is one.
///
/// # Errors
///
/// `io` when the process has no working directory.
pub(crate) fn setup(profile: ProfileName) -> Result<Setup> {
    let working_directory = std::env::current_dir()?;
    let variables = config::environment();
    for Ignored { file, reason } in config::ignored(&working_directory, &variables) {
        let file = file.display();
        terminal::note(&format!("warning: {file} is ignored: {reason}"));
    }
    Ok(Setup {
        profile: profile.into(),
        working_directory,
        variables,
        ask: Some(Arc::new(TerminalAsk)),
        principal: Principal::default(),
    })
}

/// Waits for what `work` makes of a Context below `cx`. Ctrl-C cancels it, so that what it has
/// started ends with it.
///
/// # Errors
///
/// Those of the work; `interrupted` after Ctrl-C.
pub(crate) fn wait<T, F>(cx: &Context, work: impl FnOnce(Context) -> F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    wait_and(cx, work, || ())
}

/// As [`wait`], and calls `meanwhile` now and then.
///
/// # Errors
///
/// As for [`wait`].
pub(crate) fn wait_and<T, F>(
    cx: &Context,
    work: impl FnOnce(Context) -> F,
    mut meanwhile: impl FnMut(),
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let cx = cx.part(Overrides::default());
    let running = work(cx.clone());
    let waited = async move {
        let (mut running, pressed) = (Box::pin(running), pin!(tokio::signal::ctrl_c()));
        match select(&mut running, pressed).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                cx.cancel(ErrorKind::Interrupted, "interrupted by Ctrl-C");
                running.await
            }
        }
    };
    let poll = || {
        meanwhile();
        Ok(())
    };
    io::wait(waited, poll).flatten()
}
