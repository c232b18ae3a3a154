//! What Python's calls share: one assembled set of components a process.

use std::sync::{Arc, Mutex, PoisonError};

use aikit_components::{models::Catalogue, tools::Registry};
use aikit_core::{Context, services::Services, tool::ToolContext};
use pyo3::prelude::*;

use crate::logging;

pub(crate) struct Session {
    cx: ToolContext,
    pub(crate) tools: Registry,
}

impl Session {
    pub(crate) fn tool_context(&self) -> ToolContext {
        self.cx.clone()
    }
}

/// The process's session; a forked child gets its own.
pub(crate) fn current(py: Python<'_>) -> PyResult<Arc<Session>> {
    static CURRENT: Mutex<Option<(u32, Arc<Session>)>> = Mutex::new(None);
    let pid = std::process::id();
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, session)) = &*current
        && *owner == pid
    {
        logging::refresh();
        return Ok(Arc::clone(session));
    }
    logging::start(py)?;
    let services = Services {
        models: Some(Arc::new(Catalogue::new(
            Arc::new(|name: &str| std::env::var(name).ok()),
            None,
        ))),
        ..Services::default()
    };
    let session = Arc::new(Session {
        tools: Registry::with_built_ins(),
        cx: ToolContext {
            context: Context::default(),
            services: Arc::new(services),
        },
    });
    *current = Some((pid, Arc::clone(&session)));
    Ok(session)
}
