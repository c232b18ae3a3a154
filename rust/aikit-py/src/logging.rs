//! `tracing` → Python's `logging`, under the names `aikit.*`.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aikit_core::clock::{Clock as _, SystemClock};
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger, ResetHandle};

use crate::interpreter;

/// How long the levels read from `logging` are trusted: asking for them at each record would take
/// the interpreter each time.
const LEVELS_TRUSTED: Duration = Duration::from_millis(500);

static RESET: OnceLock<ResetHandle> = OnceLock::new();
static LAST_RESET: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Sends records to Python's `logging` from now on; only the first call does anything.
pub(crate) fn start(py: Python<'_>) -> PyResult<()> {
    if RESET.get().is_some() {
        return Ok(());
    }
    let logger = Logger::new(py, Caching::LoggersAndLevels)?
        .filter(LevelFilter::Warn)
        .filter_target("aikit".to_owned(), LevelFilter::Debug);
    let reset = logger.reset_handle();
    // Another extension of this process may have installed its own logger, or another thread ours;
    // then that one is kept.
    if log::set_boxed_logger(Box::new(Renamed(logger))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
        RESET.get_or_init(|| reset);
    }
    Ok(())
}

/// Lets changed levels of `logging` take effect.
pub(crate) fn refresh() {
    let Some(reset) = RESET.get() else { return };
    let now = SystemClock.monotonic();
    let mut last = LAST_RESET.lock().unwrap_or_else(PoisonError::into_inner);
    if now.saturating_sub(*last) >= LEVELS_TRUSTED {
        *last = now;
        reset.reset();
    }
}

/// Gives the crates of aikit the names of one package: `aikit_core::io` is `aikit.core.io`.
struct Renamed(Logger);

impl Log for Renamed {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = rename(metadata.target());
        let metadata = Metadata::builder()
            .level(metadata.level())
            .target(&target)
            .build();
        self.0.enabled(&metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let target = rename(record.target());
        let record = Record::builder()
            .args(*record.args())
            .level(record.level())
            .target(&target)
            .file(record.file())
            .line(record.line())
            .module_path(record.module_path())
            .build();
        // The logger attaches by itself only for a record that somebody wants.
        interpreter::visit(|| self.0.log(&record));
    }

    fn flush(&self) {}
}

fn rename(target: &str) -> String {
    if let Some(rest) = target.strip_prefix("_aikit") {
        return format!("aikit::python{rest}");
    }
    match target.strip_prefix("aikit_") {
        Some(rest) => format!("aikit::{rest}"),
        None => target.to_owned(),
    }
}
