//! Records of the core → Python's `logging`, under the names `aikit.*`.
//!
//! The way that is taken unless the configuration says otherwise is written here: records of
//! pyo3-log know no level above `error`, and their fields stand in the message. The other way is
//! that crate.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use aikit_components::config::PythonBridge;
use aikit_core::{
    clock::{Clock as _, SystemClock},
    logger::{self, CONTEXT_FIELDS, FieldValue, Record, Sink},
};
use log::{LevelFilter, Log, Metadata};
use pyo3::{
    IntoPyObjectExt as _,
    exceptions::{PyException, PyKeyboardInterrupt},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString, PyTuple},
};
use pyo3_log::Caching;

use crate::{convert, interpreter, silence};

/// How long the levels of the loggers below `aikit` are trusted: looking at all of them at each
/// call would take longer than many a call. That of `aikit` itself is read at each call.
const LEVELS_TRUSTED: Duration = Duration::from_millis(500);

/// The number of Python's level `WARNING`.
const WARNING: u8 = 30;

static STARTED: OnceLock<()> = OnceLock::new();
static OWN_LEVEL: AtomicU8 = AtomicU8::new(WARNING);
/// The least level of a logger below `aikit` that has one.
static LEAST_BELOW: AtomicU8 = AtomicU8::new(u8::MAX);
static LAST_LOOK: Mutex<Option<Duration>> = Mutex::new(None);

/// Sends records to Python's `logging` from now on; only the first call does anything.
pub(crate) fn start(py: Python<'_>) -> PyResult<()> {
    if STARTED.get().is_some() {
        return Ok(());
    }
    look(py)?;
    logger::install();
    logger::set_host(Arc::new(PythonLogging));
    // Another extension of this process may have installed its own logger; then that one is kept.
    if log::set_boxed_logger(Box::new(Others)).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
    STARTED.get_or_init(|| ());
    Ok(())
}

/// Lets changed levels of `logging` take effect.
pub(crate) fn refresh(py: Python<'_>) {
    if STARTED.get().is_some() && look(py).is_ok() {
        logger::refresh();
    }
}

/// Takes the way to Python that the configuration names.
pub(crate) fn take(py: Python<'_>, bridge: PythonBridge) -> PyResult<()> {
    match bridge {
        PythonBridge::Aikit => logger::set_host(Arc::new(PythonLogging)),
        PythonBridge::Pyo3Log => {
            // It keeps no level: those of `logging` are asked at each record that may be wanted.
            let logger = pyo3_log::Logger::new(py, Caching::Nothing)?.filter(LevelFilter::Trace);
            logger::set_host(Arc::new(ThroughLog(logger)));
        }
    }
    Ok(())
}

fn logging(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let import = || PyResult::Ok(py.import(intern!(py, "logging"))?.unbind());
    Ok(interpreter::once(py, &MODULE, import)?.bind(py))
}

/// Reads the levels.
fn look(py: Python<'_>) -> PyResult<()> {
    static OWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let own = interpreter::once(py, &OWN, || {
        let logger = logging(py)?.call_method1(intern!(py, "getLogger"), ("aikit",))?;
        PyResult::Ok(logger.unbind())
    })?;
    let level = own.call_method0(py, intern!(py, "getEffectiveLevel"))?;
    OWN_LEVEL.store(number(level.extract(py)?), Ordering::Relaxed);
    let now = SystemClock.monotonic();
    {
        let mut last = LAST_LOOK.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|it| now.saturating_sub(it) < LEVELS_TRUSTED) {
            return Ok(());
        }
        *last = Some(now);
    }
    let manager = own.getattr(py, intern!(py, "manager"))?;
    let loggers = manager.getattr(py, intern!(py, "loggerDict"))?;
    let mut least = u8::MAX;
    for (name, logger) in loggers.bind(py).cast::<PyDict>()?.copy()?.iter() {
        if !name
            .extract::<&str>()
            .is_ok_and(|it| it.starts_with("aikit."))
        {
            continue;
        }
        // A name that only others stand below has no level.
        let level = logger
            .getattr(intern!(py, "level"))
            .and_then(|it| it.extract::<i64>());
        match level {
            Ok(0) | Err(_) => {}
            Ok(level) => least = least.min(number(level)),
        }
    }
    LEAST_BELOW.store(least, Ordering::Relaxed);
    Ok(())
}

fn number(level: i64) -> u8 {
    u8::try_from(level.max(0)).unwrap_or(u8::MAX)
}

/// The host of all records.
#[derive(Debug)]
struct PythonLogging;

impl Sink for PythonLogging {
    fn threshold(&self) -> u8 {
        let own = OWN_LEVEL.load(Ordering::Relaxed);
        own.min(LEAST_BELOW.load(Ordering::Relaxed))
    }

    fn write(&self, record: &Record<'_>) {
        interpreter::attach(|py| {
            // Otherwise it is what a handler itself brought about.
            if !silence::is_on(py) {
                settle(py, deliver(py, record).err(), record);
            }
        });
    }
}

/// Deals with what a handler raised: an error is told on the error stream, now and then.
fn settle(py: Python<'_>, raised: Option<PyErr>, record: &Record<'_>) {
    let Some(ends) = raised else { return };
    if ends.is_instance_of::<PyException>(py) {
        // The stream may be the program's own, which may fail as well: there is nobody else to tell.
        drop(silence::keep(py, || tell_lost(py, ends, record)));
        return;
    }
    if ends.is_instance_of::<PyKeyboardInterrupt>(py) {
        // The main thread gets it at its next look, as if Ctrl-C had come a moment later.
        let module = py.import(intern!(py, "_thread"));
        let sent = module.and_then(|it| it.call_method0(intern!(py, "interrupt_main")));
        if sent.is_ok() {
            return;
        }
    }
    ends.write_unraisable(py, None);
}

fn tell_lost(py: Python<'_>, error: PyErr, record: &Record<'_>) -> PyResult<()> {
    let module = py.import(intern!(py, "aikit._lost_records"))?;
    let told = (error.into_value(py), record.target, record.to_text());
    module.call_method1(intern!(py, "tell"), told).map(drop)
}

fn deliver(py: Python<'_>, record: &Record<'_>) -> PyResult<()> {
    let logger = logging(py)?.call_method1(intern!(py, "getLogger"), (record.target,))?;
    let level = record.level.number();
    let is_wanted = logger.call_method1(intern!(py, "isEnabledFor"), (level,))?;
    if !is_wanted.is_truthy()? {
        return Ok(());
    }
    let made = logger.call_method1(
        intern!(py, "makeRecord"),
        (
            record.target,
            level,
            record.file.unwrap_or("(aikit)"),
            record.line.unwrap_or_default(),
            record.to_text(),
            PyTuple::empty(py),
            py.None(),
        ),
    )?;
    // Attributes that every record has, so that a format can name them; `None` outside of calls.
    for name in CONTEXT_FIELDS {
        made.setattr(name, py.None())?;
    }
    for (name, value) in record.context.iter() {
        set(&made, name, value)?;
    }
    for (name, value) in record.fields.iter() {
        set(&made, name, value)?;
    }
    silence::keep(py, || logger.call_method1(intern!(py, "handle"), (made,)))?;
    Ok(())
}

/// Sets a field as an attribute; one that `logging` has a meaning for gets a longer name.
fn set(record: &Bound<'_, PyAny>, name: &str, value: FieldValue<'_>) -> PyResult<()> {
    let value = match value {
        FieldValue::Text(text) => PyString::new(record.py(), text).into_any(),
        FieldValue::Int(number) => number.into_bound_py_any(record.py())?,
        FieldValue::Bool(is) => is.into_bound_py_any(record.py())?,
        FieldValue::Data(value) => convert::to_python(record.py(), value)?,
    };
    let is_taken = matches!(name, "message" | "asctime") || record.hasattr(name)?;
    if is_taken && !CONTEXT_FIELDS.contains(&name) {
        return record.setattr(format!("aikit_{name}"), value);
    }
    record.setattr(name, value)
}

/// The host of all records that goes through pyo3-log.
#[derive(Debug)]
struct ThroughLog(pyo3_log::Logger);

impl Sink for ThroughLog {
    fn threshold(&self) -> u8 {
        PythonLogging.threshold()
    }

    fn write(&self, record: &Record<'_>) {
        let level = match record.level {
            logger::Level::Trace => log::Level::Trace,
            logger::Level::Debug => log::Level::Debug,
            logger::Level::Info => log::Level::Info,
            logger::Level::Warn => log::Level::Warn,
            logger::Level::Error | logger::Level::Fatal => log::Level::Error,
        };
        // It makes dots of the double colons of Rust's paths.
        let target = record.target.replace('.', "::");
        let text = record.to_text();
        let send = || {
            self.0.log(
                &log::Record::builder()
                    .args(format_args!("{text}"))
                    .level(level)
                    .target(&target)
                    .file(record.file)
                    .line(record.line)
                    .build(),
            );
        };
        interpreter::attach(|py| {
            if !silence::is_on(py) {
                silence::keep(py, send);
                // It leaves what a handler raises to whoever looks next, which harms a call that
                // has nothing to do with it.
                settle(py, PyErr::take(py), record);
            }
        });
    }
}

/// Takes the records of libraries that know `log` and not `tracing`.
struct Others;

impl Log for Others {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        logger::is_level_enabled(level(metadata.level()))
    }

    fn log(&self, record: &log::Record<'_>) {
        let place = record.file().zip(record.line());
        let level = level(record.level());
        if self.enabled(record.metadata()) {
            logger::foreign(level, record.target(), &record.args().to_string(), place);
        }
    }

    fn flush(&self) {}
}

const fn level(level: log::Level) -> logger::Level {
    match level {
        log::Level::Trace => logger::Level::Trace,
        log::Level::Debug => logger::Level::Debug,
        log::Level::Info => logger::Level::Info,
        log::Level::Warn => logger::Level::Warn,
        log::Level::Error => logger::Level::Error,
    }
}
