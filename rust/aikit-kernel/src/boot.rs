//! Puts a session together: configuration → components → engine → kernel.
//!
//! The only file of this crate that names the components and the runtime; everything else sees
//! a `dyn ScriptEngine`.

use std::{path::PathBuf, sync::Arc};

use aikit_components::registry::{Components, Setup};
use aikit_core::{Context, ErrorKind, Result, engine::ScriptEngine, services::Ask};
use aikit_runtime::{api::Session, engines};

use crate::{
    archive::HistoryPlace,
    connection::ConnectionInfo,
    handlers::input::Asker,
    kernel::{Exit, Kernel, KernelOptions, Program},
    misconfigured::Misconfigured,
};

/// The language of a session.
const LANGUAGE: &str = "lua";

/// A session that is ready to run scripts.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What scripts and programs can call.
    pub components: Components,
    /// The language.
    pub engine: Arc<dyn ScriptEngine>,
}

/// Puts a session together.
///
/// # Errors
///
/// As of [`Components::assemble`] and [`engines::open`].
pub fn open(setup: Setup) -> Result<Boot> {
    let components = Components::assemble(setup)?;
    let engine = engines::open(LANGUAGE, Session::new(components.clone()))?;
    Ok(Boot { components, engine })
}

/// Runs the kernel that `connection_file` describes until it is told to end. Questions go to the
/// front end, whatever `setup` says.
///
/// # Errors
///
/// `config` for a wrong connection file, and those of [`Kernel::bind`] and [`open`]; but where
/// the configuration is wrong, each cell says so.
pub async fn serve_kernel(connection_file: PathBuf, setup: Setup) -> Result<Exit> {
    let connection = ConnectionInfo::read(&connection_file)?;
    let parent_pid = setup.variables.get("JPY_PARENT_PID");
    let parent_pid = parent_pid.and_then(|text| text.trim().parse().ok());
    let options = KernelOptions {
        connection_file: Some(connection_file),
        parent_pid,
        clock: None,
    };
    // Before anything that takes time: a client that comes too early tries again a tenth of a
    // second later.
    let kernel = Kernel::bind(connection, options).await?;
    let asker = Arc::new(Asker::default());
    let ask: Arc<dyn Ask> = Arc::clone(&asker) as _;
    let opened = open(Setup {
        ask: Some(ask),
        ..setup
    });
    let program = match opened {
        Ok(Boot { components, engine }) => Program {
            history: history(&components),
            engine,
            context: components.context,
            asker: Some(asker),
        },
        // What the user wrote is wrong, and here is where the user looks.
        Err(error) if error.kind() == ErrorKind::Config => {
            tracing::error!(%error, "no session can be put together");
            Program {
                history: None,
                engine: Arc::new(Misconfigured::new(&error, engines::language())),
                context: Context::default(),
                asker: Some(asker),
            }
        }
        Err(error) => return Err(error),
    };
    Ok(kernel.run(program).await)
}

/// Where the cells are kept: in the store of the project, among what belongs to the tenant.
fn history(components: &Components) -> Option<HistoryPlace> {
    if !components.config.kernel.history {
        return None;
    }
    let space = components.project.space(&components.context).ok()?;
    let project = components.project.clone();
    Some(HistoryPlace {
        prefix: space.prefix("history"),
        open: Arc::new(move || {
            let project = project.clone();
            Box::pin(async move { project.keys().await })
        }),
    })
}
