//! The nodes of a Context's graph, seen from Python.

use std::sync::Arc;

use aikit_core::graph;
use pyo3::prelude::*;

use crate::{convert::PyValue, errors};

/// Executions as people see them, as they were when it was made.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Tree(pub(crate) graph::Tree);

#[pymethods]
impl Tree {
    /// In lines of characters.
    fn text(&self) -> String {
        self.0.text()
    }

    /// In HTML, with parts that can be folded.
    fn html(&self) -> String {
        self.0.html()
    }

    /// Beside the time that each of them took.
    fn svg(&self) -> String {
        self.0.svg()
    }
}

/// One execution of a procedure.
#[pyclass(frozen, eq, module = "aikit._aikit")]
pub(crate) struct ProcedureNode {
    node: Arc<graph::ProcedureNode>,
    /// Keeps the children, which the node alone does not.
    graph: Arc<graph::ProcedureGraph>,
}

impl PartialEq for ProcedureNode {
    fn eq(&self, other: &Self) -> bool {
        self.node.pid == other.node.pid
    }
}

impl ProcedureNode {
    /// The node of that identity, if there is one.
    pub(crate) fn find(
        graph: &Arc<graph::ProcedureGraph>,
        pid: Option<graph::Pid>,
    ) -> Option<Self> {
        let node = graph.get(pid?)?;
        Some(Self::new(node, Arc::clone(graph)))
    }

    pub(crate) const fn new(
        node: Arc<graph::ProcedureNode>,
        graph: Arc<graph::ProcedureGraph>,
    ) -> Self {
        Self { node, graph }
    }

    fn with(&self, node: Arc<graph::ProcedureNode>) -> Self {
        Self {
            node,
            graph: Arc::clone(&self.graph),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of this century fit in 53 bits"
)]
fn unix_seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[pymethods]
impl ProcedureNode {
    #[getter]
    fn pid(&self) -> String {
        self.node.pid.to_string()
    }

    #[getter]
    fn parent_pid(&self) -> Option<String> {
        self.node.parent.as_ref().map(|it| it.pid.to_string())
    }

    #[getter]
    fn name(&self) -> &str {
        &self.node.name
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.node.status().name()
    }

    /// Seconds since 1970-01-01 UTC.
    #[getter]
    fn started(&self) -> f64 {
        unix_seconds(self.node.started)
    }

    /// Seconds since 1970-01-01 UTC.
    #[getter]
    fn completed(&self) -> Option<f64> {
        self.node.completed().map(unix_seconds)
    }

    #[getter]
    fn error(&self) -> Option<String> {
        self.node.error()
    }

    #[getter]
    fn depth(&self) -> usize {
        self.node.depth()
    }

    #[getter]
    fn parent(&self) -> Option<Self> {
        self.node.parent.clone().map(|it| self.with(it))
    }

    #[getter]
    fn children(&self) -> Vec<Self> {
        let children = self.graph.children(self.node.pid);
        children.into_iter().map(|it| self.with(it)).collect()
    }

    /// It and what it called.
    fn tree(&self) -> Tree {
        Tree(graph::Tree::below(&self.graph, self.node.pid))
    }

    #[getter]
    fn ancestors(&self) -> Vec<Self> {
        self.node
            .ancestors()
            .cloned()
            .map(|it| self.with(it))
            .collect()
    }

    #[getter]
    fn metrics(&self) -> PyValue {
        PyValue(self.node.metrics.to_nested())
    }

    fn add_metric(&self, py: Python<'_>, name: &str, amount: f64) -> PyResult<()> {
        errors::raise(py, self.node.add_metric(name, amount))
    }

    fn set_metric(&self, py: Python<'_>, name: &str, value: f64) -> PyResult<()> {
        errors::raise(py, self.node.set_metric(name, value))
    }

    fn get_metric(&self, name: &str) -> f64 {
        self.node.get_metric(name)
    }

    /// Adds sums by name.
    fn merge_metrics(&self, py: Python<'_>, sums: Vec<(String, f64)>) -> PyResult<()> {
        errors::raise(
            py,
            self.node.metrics.merge_sums(&sums.into_iter().collect()),
        )
    }
}
