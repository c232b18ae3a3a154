//! What flows with a call from Python and back: contextvars, the running loop, the Context.

use std::sync::Arc;

use aikit_core::{
    Value,
    context::{Context, Overrides},
    per_process::{self, OfProcess},
    span, telemetry,
    tool::ToolContext,
};
use pyo3::{intern, prelude::*, sync::PyOnceLock, types::PyDict};

use crate::{interpreter, session, silence, slots::Slots};

/// Where a call came from; travels in the Context to where Python functions are called back.
#[derive(Debug)]
pub(crate) struct Origin {
    /// A copy of the caller's `contextvars.Context`.
    pub(crate) variables: Py<PyAny>,
    /// The caller's event loop; `None` when the caller waits without one.
    event_loop: Option<Py<PyAny>>,
    /// The process it was in.
    generation: u32,
}

impl Origin {
    /// The caller's event loop, where it may run: a forked child has none of its parent's threads.
    pub(crate) fn event_loop(&self) -> Option<&Py<PyAny>> {
        let is_here = self.generation == per_process::generation();
        self.event_loop.as_ref().filter(|_| is_here)
    }
}

/// What the calling function belongs to, if it was called by Rust or entered a Context.
pub(crate) fn current_scope(py: Python<'_>) -> PyResult<Option<Scope>> {
    let callbacks = interpreter::callbacks(py)?;
    let scope = callbacks.call_method0(intern!(py, "current_scope"))?;
    Ok(scope.cast::<Scope>().ok().map(|scope| scope.get().clone()))
}

/// What a call belongs to: as [`current_scope`], and silent where the program's handlers make it.
pub(crate) fn calling_scope(py: Python<'_>) -> PyResult<Option<Scope>> {
    let scope = current_scope(py)?;
    Ok(scope.map(|scope| {
        if scope.context.is_silent() || !silence::is_on(py) {
            return scope;
        }
        let silent = Overrides {
            silent: true,
            ..Overrides::default()
        };
        scope.with_context(scope.context.part(silent))
    }))
}

/// What the outermost call of a program begins with: below the span of OpenTelemetry that is the
/// current one, or with a trace of its own.
pub(crate) fn rooted(py: Python<'_>, mut overrides: Overrides, base: &Context) -> Overrides {
    overrides.silent = silence::is_on(py);
    if let Some(parent) = opentelemetry_parent(py) {
        let key = span::TRACEPARENT.to_owned();
        overrides.metadata.insert(key, Value::from(parent));
    } else if telemetry::is_on() {
        let new = || base.clock().uuid().simple().to_string();
        overrides.trace_id = Some(open_trace(py).unwrap_or_else(new));
    }
    overrides
}

/// The trace that `aikit.telemetry.start_trace` began around this call.
fn open_trace(py: Python<'_>) -> Option<String> {
    let variable = interpreter::callbacks(py)
        .ok()?
        .getattr(intern!(py, "open_trace"));
    let open = variable.ok()?.call_method0(intern!(py, "get")).ok()?;
    open.extract().ok()
}

/// The current span of OpenTelemetry's package, if the program uses it.
fn opentelemetry_parent(py: Python<'_>) -> Option<String> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let modules = interpreter::once(py, &MODULES, || {
        let modules = py
            .import(intern!(py, "sys"))?
            .getattr(intern!(py, "modules"))?;
        PyResult::Ok(modules.cast_into::<PyDict>()?.unbind())
    });
    // Only what somebody imported: looking for it would import it.
    let loaded = modules
        .ok()?
        .bind(py)
        .get_item(intern!(py, "opentelemetry.trace"));
    let trace = loaded.ok().flatten()?;
    let parent = || {
        let span = trace.call_method0(intern!(py, "get_current_span"))?;
        let place = span.call_method0(intern!(py, "get_span_context"))?;
        if !place.getattr(intern!(py, "is_valid"))?.is_truthy()? {
            return Ok(None);
        }
        let trace_id: u128 = place.getattr(intern!(py, "trace_id"))?.extract()?;
        let span_id: u64 = place.getattr(intern!(py, "span_id"))?.extract()?;
        let flags: u8 = place.getattr(intern!(py, "trace_flags"))?.extract()?;
        PyResult::Ok(Some(format!(
            "00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
        )))
    };
    parent().ok().flatten()
}

/// One call from Python into Rust.
pub(crate) struct Entry {
    origin: Arc<Origin>,
    parent: Option<Scope>,
}

impl Entry {
    /// A call that blocks its thread: async functions run on aikit's own loop.
    pub(crate) fn blocking(py: Python<'_>) -> PyResult<Self> {
        Self::new(py, None)
    }

    /// A call that is awaited, or started: async functions run on the caller's loop, if it runs.
    pub(crate) fn awaiting(py: Python<'_>) -> PyResult<Self> {
        let event_loop = interpreter::callbacks(py)?.call_method0(intern!(py, "running_loop"))?;
        Self::new(py, (!event_loop.is_none()).then(|| event_loop.unbind()))
    }

    fn new(py: Python<'_>, event_loop: Option<Py<PyAny>>) -> PyResult<Self> {
        static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let copy = interpreter::once(py, &COPY, || {
            let module = py.import(intern!(py, "contextvars"))?;
            Ok(module.getattr(intern!(py, "copy_context"))?.unbind())
        })?;
        let copy = copy.bind(py);
        let parent = calling_scope(py)?;
        Ok(Self {
            origin: Arc::new(Origin {
                variables: copy.call0()?.unbind(),
                event_loop,
                generation: per_process::generation(),
            }),
            parent,
        })
    }

    /// The session's services in a Context of this call: below the Context of the function that
    /// makes it, when an agent or a tool called that function.
    pub(crate) fn tool_context(&self, py: Python<'_>) -> PyResult<ToolContext> {
        let overrides = Overrides {
            host: Some(Arc::clone(&self.origin) as _),
            ..Overrides::default()
        };
        let base = session::current(py)?.tool_context();
        let context = match &self.parent {
            Some(scope) => scope.context.part(overrides),
            None => base
                .context
                .root_child(rooted(py, overrides, &base.context)),
        };
        Ok(base.with_context(context))
    }

    /// Says, until the guard is dropped, that the calling thread is blocked: its loop takes no
    /// work, and the function that runs on it does not count against the bound.
    pub(crate) fn hold_thread(&self, py: Python<'_>) -> PyResult<Held> {
        let task = interpreter::callbacks(py)?.call_method0(intern!(py, "block_loop"))?;
        let slots = self.parent.as_ref().and_then(|scope| scope.slots.clone());
        if let Some(slots) = &slots {
            slots.lend();
        }
        Ok(Held {
            task: (!task.is_none()).then(|| task.unbind()),
            slots,
        })
    }
}

/// A thread that waits for Rust.
pub(crate) struct Held {
    /// The task that blocks its loop, see `aikit/_callbacks.py`.
    task: Option<Py<PyAny>>,
    slots: Option<Arc<Slots>>,
}

impl Held {
    /// Looks whether the caller was told to stop.
    ///
    /// # Errors
    ///
    /// What a signal handler raised, or `asyncio.CancelledError` when the task that blocks its
    /// loop was cancelled; that is what `asyncio.run` makes of a first Ctrl-C.
    pub(crate) fn check(&self, py: Python<'_>) -> PyResult<()> {
        py.check_signals()?;
        match &self.task {
            Some(task) => task.call_method0(py, intern!(py, "check")).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(slots) = &self.slots {
            slots.take_back();
        }
        if let Some(task) = self.task.take() {
            // The thread is attached, so this only fails while the interpreter ends.
            let _ended =
                interpreter::try_attach(|py| task.call_method0(py, intern!(py, "unblock")));
        }
    }
}

/// What a Python function that Rust calls knows of its caller; kept in a context variable, so
/// that calls it makes into aikit belong to the same run.
#[pyclass(frozen, module = "aikit._aikit")]
#[derive(Debug)]
pub(crate) struct Scope {
    context: OfProcess<Context>,
    /// The bound the function counts against, when it holds a thread.
    slots: Option<Arc<Slots>>,
}

impl Clone for Scope {
    fn clone(&self) -> Self {
        self.with_context(self.context.clone())
    }
}

impl Scope {
    pub(crate) fn new(context: Context, slots: Option<Arc<Slots>>) -> Self {
        let context = context.into();
        Self { context, slots }
    }

    /// The same place, in another Context.
    pub(crate) fn with_context(&self, context: Context) -> Self {
        Self {
            context: context.into(),
            slots: self.slots.clone(),
        }
    }

    pub(crate) fn core(&self) -> &Context {
        &self.context
    }
}
