//! What Python's calls share: one assembled set of components a process.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aikit_components::{
    config,
    registry::{Carried, Components, Setup},
    security::policy::Profile,
};
use aikit_core::{Error, Result, context::Principal, per_process};
use pyo3::prelude::*;

use crate::{ask::PythonAsk, errors, interpreter, logging, packages};

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
    let fail = |error: Error| errors::to_python(py, &error);
    let pid = std::process::id();
    let folder = std::env::current_dir().map_err(|error| fail(error.into()))?;
    if let Some(components) = find(pid, &folder) {
        logging::refresh(py);
        return Ok(components);
    }
    // A daemon thread may be at this when the program ends, or forks.
    let _visit = interpreter::enter(py);
    let _making = interpreter::Making::begin(py);
    // Outside the lock: both may let other threads have the interpreter, and one of those that
    // waited for the lock would never give it back.
    per_process::watch_forks();
    logging::start(py)?;
    packages::register();
    let ask = Arc::new(PythonAsk::make(py)?);
    let carried = carried(pid);
    let assembled = assemble(folder.clone(), ask, carried).map_err(fail)?;
    let bridge = assembled.config.logging.python().map_err(fail)?;
    logging::take(py, bridge)?;
    let assembled = Arc::new(assembled);
    Ok(keep(pid, folder, assembled))
}

// Locked only while the interpreter is held and never while it could be let go, so neither a
// thread nor a fork can meet it locked.
static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

fn find(pid: u32, folder: &Path) -> Option<Arc<Components>> {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let session = current.as_ref()?;
    (session.pid == pid && session.folder == folder).then(|| Arc::clone(&session.components))
}

/// What is kept of the session before: that of this process in another folder, or its parent's.
///
/// A cassette, a closed network, channels, subscribers and hooks hold in whatever folder the program
/// is; a forked child goes on with the channels and the subscribers.
fn carried(pid: u32) -> Carried {
    let before = {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let before = current.as_ref();
        before.map(|it| (it.pid == pid, Arc::clone(&it.components)))
    };
    match before {
        None => Carried::default(),
        Some((true, session)) => Carried::of(&session),
        Some((false, parent)) => Carried::of_parent(&parent),
    }
}

/// Keeps the session, unless another thread was first; answers the one that is kept.
fn keep(pid: u32, folder: PathBuf, components: Arc<Components>) -> Arc<Components> {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some(first) if first.pid == pid && first.folder == folder => Arc::clone(&first.components),
        _ => {
            let kept = Arc::clone(&components);
            *current = Some(Current {
                pid,
                folder,
                components,
            });
            kept
        }
    }
}

fn assemble(
    working_directory: PathBuf,
    ask: Arc<PythonAsk>,
    carried: Carried,
) -> Result<Components> {
    let setup = Setup {
        profile: Profile::Notebook,
        working_directory,
        variables: config::environment(),
        ask: Some(ask),
        principal: Principal::default(),
    };
    Components::assemble_with(setup, carried)
}
