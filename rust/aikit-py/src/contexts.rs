//! Contexts and the nodes of their graphs, seen from Python.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Error, ErrorKind, Value, clock, context,
    context::{Overrides, Principal},
    event::EventKind,
    graph,
    metrics::UsageSums,
    per_process::OfProcess,
    procedure::{self, emit_chunk},
};
use pyo3::prelude::*;

use crate::{
    context::{Scope, calling_scope, current_scope, rooted},
    convert::{PyValue, from_python},
    errors,
    graph::{ProcedureNode, Tree},
    handles::HandleView,
    named::Named,
    procedures::Watch,
    session, silence,
    whole::Whole,
};

/// What flows with a call.
#[pyclass(frozen, eq, module = "aikit._aikit")]
pub(crate) struct Context {
    inner: OfProcess<context::Context>,
    /// Where it is entered: what the thread counts against stays.
    scope: Option<Scope>,
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.inner.is_same(&other.inner)
    }
}

impl Context {
    pub(crate) fn new(inner: context::Context, scope: Option<Scope>) -> Self {
        let inner = inner.into();
        Self { inner, scope }
    }
}

/// What a program may set; see `aikit.Context.create`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ContextOptions {
    user: Option<String>,
    tenant_id: Option<String>,
    roles: Option<Vec<String>>,
    metadata: Option<PyValue>,
    request_id: Option<String>,
    trace_id: Option<String>,
    traceparent: Option<String>,
    timeout: Option<f64>,
    tick: Option<Whole>,
}

impl ContextOptions {
    /// The overrides that stand for it.
    pub(crate) fn overrides(self) -> aikit_core::Result<Overrides> {
        let metadata = match self.metadata.map(|it| it.0) {
            None | Some(Value::Null) => aikit_core::value::Map::new(),
            Some(Value::Map(map)) => map,
            Some(other) => {
                let message = format!("`metadata` is a value of type {}", other.type_name());
                return Err(Error::invalid_args(message).with_hint("give a mapping"));
            }
        };
        let mut overrides = Overrides {
            request_id: self.request_id,
            trace_id: self.trace_id,
            roles: self.roles,
            metadata,
            timeout: self.timeout.map(seconds).transpose()?,
            tick: self.tick.map(|it| it.named("tick")).transpose()?,
            ..Overrides::default()
        };
        overrides.validate()?;
        if let Some(header) = self.traceparent {
            overrides.continue_trace(&header)?;
        }
        Ok(overrides)
    }

    /// The principal that is asked for, if it differs from `own`.
    fn principal(&self, own: &Principal) -> Option<Principal> {
        if self.user.is_none() && self.tenant_id.is_none() {
            return None;
        }
        let asked = Principal {
            id: self.user.clone().unwrap_or_else(|| own.id.clone()),
            tenant_id: self.tenant_id.clone().or_else(|| own.tenant_id.clone()),
            roles: self.roles.clone().unwrap_or_default(),
        };
        (asked.id != own.id || asked.tenant_id != own.tenant_id || self.roles.is_some())
            .then_some(asked)
    }
}

/// A time limit in seconds.
pub(crate) fn seconds(seconds: f64) -> aikit_core::Result<Duration> {
    clock::length(seconds).ok_or_else(|| {
        Error::invalid_args(format!("`timeout` is `{seconds}`"))
            .with_hint("give a number of seconds from 0 on, or None")
    })
}

#[pymethods]
impl Context {
    /// A Context of the program's own, in the session's services.
    #[staticmethod]
    fn create(py: Python<'_>, options: Named<ContextOptions>) -> PyResult<Self> {
        let options = options.0;
        let scope = calling_scope(py)?;
        let base = match &scope {
            Some(scope) => scope.core().clone(),
            None => session::current(py)?.tool_context().context,
        };
        let principal = options.principal(base.principal());
        let is_continued = options.traceparent.is_some();
        let make = || {
            let base = base.checked_parent()?;
            let mut overrides = options.overrides()?;
            overrides.silent = silence::is_on(py);
            if scope.is_none() && overrides.trace_id.is_none() && !is_continued {
                overrides = rooted(py, overrides, base);
            }
            let Some(principal) = principal else {
                return Ok(base.request_child(overrides));
            };
            let is_other = principal.id != base.principal().id
                || principal.tenant_id != base.principal().tenant_id;
            if base.is_inside_call() {
                if is_other {
                    let message = format!(
                        "a call of `{}` cannot become one of `{}`",
                        base.principal().id,
                        principal.id
                    );
                    return Err(Error::new(ErrorKind::Denied, message).with_hint(
                        "set the user where the request begins, outside of every call",
                    ));
                }
                return Ok(base.request_child(overrides));
            }
            overrides.roles = None;
            overrides.principal = Some(principal);
            Ok(base.request_child(overrides))
        };
        let inner = make().map_err(|error| errors::to_python(py, &error))?;
        Ok(Self::new(inner, scope))
    }

    /// The Context of the running function, if there is one.
    #[staticmethod]
    fn current(py: Python<'_>) -> PyResult<Option<Self>> {
        let scope = current_scope(py)?;
        Ok(scope.map(|scope| Self::new(scope.core().clone(), Some(scope))))
    }

    /// A Context below this one.
    fn child(&self, py: Python<'_>, options: Named<ContextOptions>) -> PyResult<Self> {
        let options = options.0;
        let principal = options.principal(self.inner.principal());
        let is_other = principal.is_some_and(|it| {
            let own = self.inner.principal();
            it.id != own.id || it.tenant_id != own.tenant_id
        });
        let overrides = if is_other {
            let message = "a child cannot have another user or tenant than its parent";
            Err(Error::new(ErrorKind::Denied, message)
                .with_hint("make it with `Context.create`, outside of every call"))
        } else {
            options.overrides()
        };
        let child = overrides.and_then(|it| Ok(self.inner.checked_parent()?.child(it)));
        let child = child.map_err(|error| errors::to_python(py, &error))?;
        Ok(Self::new(child, self.scope.clone()))
    }

    /// What to keep in the context variable while this Context is the current one.
    fn scope(&self) -> Scope {
        match &self.scope {
            Some(scope) => scope.with_context(self.inner.clone()),
            None => Scope::new(self.inner.clone(), None),
        }
    }

    /// Publishes an event.
    fn emit(
        &self,
        py: Python<'_>,
        kind: String,
        data: &Bound<'_, PyAny>,
        source: Option<String>,
    ) -> PyResult<()> {
        let read = || Ok((from_python(data)?, EventKind::custom(&kind)?));
        let (data, kind) = read().map_err(|error| errors::to_python(py, &error))?;
        let _sequence = match source {
            Some(source) => self.inner.emit_from(kind, data, Some(source)),
            None => self.inner.publish(kind, data),
        };
        Ok(())
    }

    /// Publishes what a generator hands out, unless the Context has ended.
    pub(crate) fn emit_chunk(
        &self,
        py: Python<'_>,
        index: u64,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let checked = self.inner.check();
        checked.map_err(|error| errors::to_python(py, &error))?;
        if self.inner.is_observed() {
            // What is no data is handed out all the same; the event says what it is.
            let value = from_python(value).unwrap_or_else(|_| Value::from(value.to_string()));
            emit_chunk(&self.inner, index, &value);
        }
        Ok(())
    }

    /// Cancels it and what is below it.
    fn cancel(&self, reason: String) {
        self.inner.cancel(ErrorKind::Cancelled, reason);
    }

    /// Calls `stopped` from a thread of Rust's when it ends, until the watch is dropped.
    fn watch(&self, stopped: Py<PyAny>) -> Watch {
        Watch::new(self.inner.clone(), stopped)
    }

    /// Events and cancellation of the operation that this belongs to, when somebody holds its
    /// handle.
    #[getter]
    fn operation(&self) -> Option<HandleView> {
        procedure::HandleView::of(&self.inner).map(HandleView::new)
    }

    /// Raises when it was cancelled or its deadline has passed.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.inner
            .check()
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Whether it was cancelled.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    /// Seconds until the deadline.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        self.inner.remaining().map(|it| it.as_secs_f64())
    }

    #[getter]
    fn request_id(&self) -> &str {
        self.inner.request_id()
    }

    #[getter]
    fn trace_id(&self) -> &str {
        self.inner.trace_id()
    }

    #[getter]
    fn execution_id(&self) -> Option<String> {
        self.inner.execution_id()
    }

    #[getter]
    fn tick(&self) -> Option<u64> {
        self.inner.tick()
    }

    /// `(id, tenant_id, roles)`.
    #[getter]
    fn user(&self) -> (String, Option<String>, Vec<String>) {
        let Principal {
            id,
            tenant_id,
            roles,
        } = self.inner.principal().clone();
        (id, tenant_id, roles)
    }

    #[getter]
    fn caller(&self) -> &'static str {
        self.inner.caller().name()
    }

    #[getter]
    fn metadata(&self) -> PyValue {
        PyValue(Value::Map(self.inner.metadata().clone()))
    }

    fn add_metric(&self, py: Python<'_>, name: &str, amount: f64) -> PyResult<()> {
        errors::raise(py, self.inner.metrics().count(name, amount))
    }

    fn set_metric(&self, py: Python<'_>, name: &str, value: f64) -> PyResult<()> {
        errors::raise(py, self.inner.metrics().set(name, value))
    }

    fn get_metric(&self, name: &str) -> f64 {
        self.inner.metrics().get(name)
    }

    /// All metrics, nested by the dots of their names.
    #[getter]
    fn metrics(&self) -> PyValue {
        PyValue(self.inner.metrics().to_nested())
    }

    /// Adds input tokens, output tokens, requests and US dollars.
    fn add_usage(&self, py: Python<'_>, sums: (f64, f64, f64, f64)) -> PyResult<()> {
        let (input_tokens, output_tokens, requests, cost_usd) = sums;
        let usage = UsageSums {
            input_tokens,
            output_tokens,
            requests,
            cost_usd,
            ..UsageSums::default()
        };
        errors::raise(py, self.inner.metrics().count_usage(&usage))
    }

    #[getter]
    fn usage(&self) -> PyValue {
        PyValue(self.inner.metrics().usage().to_value())
    }

    #[getter]
    fn node(&self) -> Option<ProcedureNode> {
        self.inner.node().map(|node| self.node_of(node))
    }

    #[getter]
    fn origin(&self) -> Option<ProcedureNode> {
        self.inner.origin().map(|node| self.node_of(node))
    }

    /// The nodes of the graph, in the order of their beginnings.
    #[getter]
    fn nodes(&self) -> Vec<ProcedureNode> {
        let nodes = self.inner.graph().all();
        nodes.iter().map(|node| self.node_of(node)).collect()
    }

    /// The node of that identity.
    fn find_node(&self, pid: &str) -> Option<ProcedureNode> {
        let node = self.inner.graph().get(graph::Pid::parse(pid)?)?;
        Some(self.node_of(&node))
    }

    #[getter]
    fn root(&self) -> Option<ProcedureNode> {
        let root = self.inner.graph().root()?;
        Some(self.node_of(&root))
    }

    /// How many executions the graph has seen.
    #[getter]
    fn execution_count(&self) -> usize {
        self.inner.graph().count()
    }

    /// The executions of the graph as they are now.
    fn tree(&self) -> Tree {
        Tree(graph::Tree::of(self.inner.graph()))
    }

    fn clear_graph(&self) {
        self.inner.graph().clear();
    }

    #[getter]
    fn is_standalone(&self) -> bool {
        self.inner.is_standalone()
    }

    fn is_within(&self, name: &str) -> bool {
        self.inner.is_within(name)
    }

    fn has_ancestor_named(&self, name: &str) -> bool {
        self.inner.has_ancestor_named(name)
    }

    #[getter]
    fn origin_name(&self) -> Option<&str> {
        self.inner.origin_name()
    }

    #[getter]
    fn execution_info(&self) -> Option<PyValue> {
        self.inner.execution_info().map(|it| PyValue(it.to_value()))
    }
}

impl Context {
    fn node_of(&self, node: &Arc<graph::ProcedureNode>) -> ProcedureNode {
        ProcedureNode::new(Arc::clone(node), Arc::clone(self.inner.graph()))
    }
}
