//! What Python's calls share: one assembled set of components a process.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use aikit_components::{
    config,
    registry::{Components, Setup},
    security::policy::Profile,
};
use aikit_core::{Error, Result, context::Principal};
use pyo3::prelude::*;

use crate::{errors, logging};

/// A session, and where it is valid.
struct Current {
    pid: u32,
    folder: PathBuf,
    components: Arc<Components>,
}

/// The process's session. A forked child gets its own, and so does a program that changes its
/// working directory: relative paths start there.
///
/// # Errors
///
/// `config` for a setting that is wrong, `io` when there is no working directory.
pub(crate) fn current(py: Python<'_>) -> PyResult<Arc<Components>> {
    static CURRENT: Mutex<Option<Current>> = Mutex::new(None);
    let fail = |error: Error| errors::to_python(py, &error);
    let pid = std::process::id();
    let folder = std::env::current_dir().map_err(|error| fail(error.into()))?;
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(session) = &*current
        && session.pid == pid
        && session.folder == folder
    {
        logging::refresh();
        return Ok(Arc::clone(&session.components));
    }
    logging::start(py)?;
    let components = Arc::new(assemble(folder.clone()).map_err(fail)?);
    *current = Some(Current {
        pid,
        folder,
        components: Arc::clone(&components),
    });
    Ok(components)
}

fn assemble(working_directory: PathBuf) -> Result<Components> {
    Components::assemble(Setup {
        profile: Profile::Notebook,
        working_directory,
        variables: config::environment(),
        ask: None,
        principal: Principal::default(),
    })
}
