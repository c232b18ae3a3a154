//! Procedures of Python functions: what stands around a call, while Python makes it.
//!
//! The function, its middleware and their arguments are any Python objects, which cannot cross into
//! Rust as data; so Python goes from one to the next, and this begins and ends the execution,
//! holds arguments against the schema, publishes events and watches for the end of the Context.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use aikit_core::{
    Error, ErrorKind, Result, Value, context, io,
    per_process::OfProcess,
    procedure::{self, Call, Procedure, SourceType},
    schema::Schema,
    tool::ToolContext,
    tracker::{self, Boundary, Operation},
    value::Map,
};
use futures::FutureExt as _;
use pyo3::{exceptions::PyBaseException, prelude::*};

use crate::{
    callbacks::PyCallable,
    context::{Scope, calling_scope, current_scope, rooted},
    contexts::{Context, ContextOptions, seconds},
    convert::{self, PyValue, from_python},
    errors,
    handles::Handle,
    interpreter,
    named::Named,
    raised, session, wait,
};

/// What a procedure is made with.
#[pyclass(frozen, module = "aikit._aikit")]
#[derive(Clone)]
pub(crate) struct ProcedureOptions(Arc<procedure::ProcedureOptions>);

/// As Python writes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Given {
    name: String,
    schema: Option<PyValue>,
    timeout: Option<f64>,
    metadata: PyValue,
    boundary: String,
    is_hook: bool,
    context: Option<ContextOptions>,
}

impl Given {
    fn read(self) -> Result<procedure::ProcedureOptions> {
        let mut options = procedure::ProcedureOptions::new(self.name);
        if let Some(schema) = self.schema {
            options.schema = Some(Arc::new(Schema::new(schema.0)?));
        }
        options.timeout = self.timeout.map(seconds).transpose()?;
        options.metadata = match self.metadata.0 {
            Value::Null => Arc::default(),
            Value::Map(map) => Arc::new(map),
            other => {
                let message = format!("`metadata` is a value of type {}", other.type_name());
                return Err(Error::invalid_args(message).with_hint("give a mapping"));
            }
        };
        options.boundary = Boundary::from_name(&self.boundary)?;
        if self.is_hook {
            options.source_type = SourceType::Hook;
        }
        let context = self.context.map(ContextOptions::overrides).transpose()?;
        options.context = context.map(Arc::new);
        Ok(options)
    }
}

#[pymethods]
impl ProcedureOptions {
    #[new]
    fn new(py: Python<'_>, given: Named<Given>) -> PyResult<Self> {
        let options = given.0.read();
        options
            .map(|it| Self(Arc::new(it)))
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Holds arguments, by name, against the schema.
    fn check(&self, args: &Bound<'_, PyAny>) -> PyResult<()> {
        let checked = from_python(args).and_then(|args| self.0.check(&args));
        let checked = checked.or_else(|error| match convert::stand_ins(args) {
            None => Err(error),
            Some(both) => {
                let checked = both.iter().try_for_each(|it| self.0.check(it));
                checked.map_err(|error| convert::without_stand_ins(&error))
            }
        });
        checked.map_err(|error| errors::to_python(args.py(), &error))
    }

    #[getter]
    fn metadata(&self) -> PyValue {
        PyValue(Value::Map(Map::clone(&self.0.metadata)))
    }

    #[getter]
    fn source_type(&self) -> &'static str {
        self.0.source_type.name()
    }

    /// Whether a call may have to be given up before the function returns.
    fn is_limited(&self, py: Python<'_>) -> PyResult<bool> {
        if self.0.operation().timeout.is_some() {
            return Ok(true);
        }
        let own = self.0.context.as_ref().and_then(|it| it.timeout);
        // Inside of an execution, whoever waits for that one gives up.
        Ok(own.is_some()
            || current_scope(py)?.is_some_and(|scope| {
                scope.core().node().is_none() && scope.core().remaining().is_some()
            }))
    }

    /// Calls a function without arguments on a thread of its own, as a procedure, and waits for it
    /// no longer than its time limit and its Context allow.
    fn run_limited(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let procedure = self.procedure(function)?;
        let work = |cx: ToolContext| async move {
            procedure.call(&cx.context, Value::Null).await.map(drop)
        };
        wait::blocking_as(py, work, raised::original)
    }

    /// `run_limited` as an awaitable.
    fn arun_limited<'py>(
        &self,
        py: Python<'py>,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let procedure = self.procedure(function)?;
        let work = |cx: ToolContext| async move {
            procedure.call(&cx.context, Value::Null).await.map(drop)
        };
        wait::awaitable_as(py, work, raised::original)
    }

    /// Starts a function without arguments as a procedure.
    fn start(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<Handle> {
        let procedure = self.procedure(function)?;
        let cx = wait::started(py)?;
        Ok(Handle::of_function(
            procedure.start(&cx.context, Value::Null),
        ))
    }
}

impl ProcedureOptions {
    /// The procedure that calls `function`, which holds the arguments against the schema itself.
    fn procedure(&self, function: &Bound<'_, PyAny>) -> PyResult<Procedure> {
        let callable = PyCallable::make(function)?;
        let mut options = procedure::ProcedureOptions::clone(&self.0);
        options.schema = None;
        let handler = move |call: Call| {
            let answer = callable.call(&call.cx, Vec::new());
            let caller = Caller(Some(call.cx));
            async move {
                let answer = answer.await;
                caller.has_its_answer();
                answer
            }
            .boxed()
        };
        Ok(Procedure::create(options, Arc::new(handler)))
    }
}

/// Whoever waits for a function. When that one is gone the function's Context ends: a generator, or
/// what looks at it now and then, ends as well.
struct Caller(Option<context::Context>);

impl Caller {
    fn has_its_answer(mut self) {
        self.0 = None;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(cx) = self.0.take().filter(|it| it.check().is_ok()) {
            cx.cancel(ErrorKind::Cancelled, "the caller stopped waiting");
        }
    }
}

/// One execution that has begun.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Execution {
    running: OfProcess<Mutex<Option<tracker::Execution>>>,
    scope: Scope,
    caller: OfProcess<context::Context>,
    operation: Operation,
    chunks: AtomicU64,
}

#[pymethods]
impl Execution {
    /// Begins an execution below the running function, or below the session.
    #[staticmethod]
    fn begin(py: Python<'_>, options: &ProcedureOptions) -> PyResult<Self> {
        let overrides = options.0.context.as_deref();
        begin(py, options.0.operation(), overrides)
    }

    /// Begins that of a block, which has a name, a time limit and a boundary.
    #[staticmethod]
    fn begin_block(
        py: Python<'_>,
        name: String,
        timeout: Option<f64>,
        boundary: &str,
    ) -> PyResult<Self> {
        let operation = || -> Result<Operation> {
            let timeout = timeout.map(seconds).transpose()?;
            let boundary = Boundary::from_name(boundary)?;
            Ok(Operation::new(name)
                .with_timeout(timeout.filter(|it| !it.is_zero()))
                .with_boundary(boundary))
        };
        let operation = operation().map_err(|error| errors::to_python(py, &error))?;
        begin(py, operation, None)
    }

    /// What to keep in the context variable while it runs.
    #[getter]
    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    #[getter]
    fn context(&self) -> Context {
        Context::new(self.scope.core().clone(), Some(self.scope.clone()))
    }

    /// Raises when the Context was cancelled or its deadline has passed.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let checked = self.scope.core().check();
        checked.map_err(|error| errors::to_python(py, &self.explain(error)))
    }

    /// Publishes what a generator hands out, unless the Context has ended.
    fn chunk(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let index = self.chunks.fetch_add(1, Ordering::Relaxed);
        self.context().emit_chunk(value.py(), index, value)
    }

    /// Calls a function without arguments on a thread of its own, within the execution, and waits
    /// for it no longer than the execution may take. Without a waiter the execution is cancelled.
    fn run_limited(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let callable = PyCallable::make(function)?;
        let own = self.scope.core().clone();
        let work = |cx: ToolContext| async move {
            let caller = Caller(Some(own.clone()));
            let answer = own.within(callable.call(&cx.context, Vec::new())).await;
            caller.has_its_answer();
            answer.flatten().map(drop)
        };
        wait::blocking_as(py, work, raised::original)
    }

    /// Calls `stopped` from a thread of Rust's when the Context ends, until the watch is dropped.
    fn watch(&self, stopped: Py<PyAny>) -> Watch {
        Watch::new(self.scope.core().clone(), stopped)
    }

    /// Ends it with a result; raises where that came too late.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let Some(running) = self.take() else {
            return Ok(());
        };
        errors::raise(py, running.settle(&self.caller, &self.operation, Ok(())))
    }

    /// Ends it with an exception; answers the one to raise in its place, where that says more.
    fn fail(&self, py: Python<'_>, raised: Bound<'_, PyBaseException>) -> Option<Py<PyAny>> {
        let running = self.take()?;
        let name = &*self.operation.name;
        let is_cancelled = errors::is_cancellation(py, raised.as_any());
        let stopped = self.scope.core().check().err().filter(|_| is_cancelled);
        let is_stopped = stopped.is_some();
        let error = if let Some(stopped) = stopped {
            // The Context ended, and so its task was cancelled.
            stopped
        } else {
            // Every procedure around has the exception anew. So what it costs to write its frames
            // down is paid where somebody sees them.
            let is_seen = self.scope.core().is_observed();
            errors::of_procedure(py, name, PyErr::from_value(raised.into_any()), is_seen)
        };
        let is_timeout = error.kind() == ErrorKind::Timeout;
        let said = is_timeout.then(|| error.message().to_owned());
        let error = self.explain(error);
        running.end(Some(&error));
        let says_more = is_stopped || said.is_some_and(|said| error.message() != said);
        let own = || errors::to_python(py, &error).into_value(py).into_any();
        says_more.then(own)
    }

    /// Ends it as cancelled: a generator whose reader has gone.
    fn abandon(&self) {
        drop(self.take());
    }
}

impl Execution {
    fn take(&self) -> Option<tracker::Execution> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn explain(&self, error: Error) -> Error {
        tracker::explain(self.scope.core(), &self.caller, &self.operation, error)
    }
}

fn begin(
    py: Python<'_>,
    operation: Operation,
    overrides: Option<&context::Overrides>,
) -> PyResult<Execution> {
    let (caller, scope) = if let Some(scope) = calling_scope(py)? {
        (scope.core().clone(), Some(scope))
    } else {
        let base = session::current(py)?.tool_context().context;
        let overrides = rooted(py, context::Overrides::default(), &base);
        (base.root_child(overrides), None)
    };
    let caller = overrides.map_or(caller.clone(), |it| caller.part(it.clone()));
    let running = tracker::Execution::begin(&caller, &operation);
    let running = running.map_err(|error| errors::to_python(py, &error))?;
    let cx = running.context().clone();
    let scope = scope.map_or_else(
        || Scope::new(cx.clone(), None),
        |it| it.with_context(cx.clone()),
    );
    Ok(Execution {
        running: Mutex::new(Some(running)).into(),
        scope,
        caller: caller.into(),
        operation,
        chunks: AtomicU64::new(0),
    })
}

/// Waits for the end of a Context, until dropped.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Watch(Mutex<Option<io::AbortOnDrop>>);

impl Watch {
    pub(crate) fn new(cx: context::Context, stopped: Py<PyAny>) -> Self {
        let watching = io::spawn(async move {
            cx.stopped().await;
            let call = move || interpreter::attach(|py| stopped.call0(py).map(drop));
            if let Ok(Some(Err(error))) = io::runtime().spawn_blocking(call).await {
                tracing::debug!(%error, "nobody was told that a context ended");
            }
        });
        Self(Mutex::new(Some(io::AbortOnDrop(watching.abort_handle()))))
    }
}

#[pymethods]
impl Watch {
    fn close(&self) {
        let watching = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(watching);
    }
}
