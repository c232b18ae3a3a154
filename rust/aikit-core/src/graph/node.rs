//! One execution of a procedure: its status, its metrics, who called it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use super::{Pid, ProcedureGraph, Status};
use crate::{
    Error, Result,
    clock::UnixMicros,
    metrics::{Counting, Metrics, Sums},
};

/// One execution of a procedure.
#[derive(Debug)]
pub struct ProcedureNode {
    /// Its identity.
    pub pid: Pid,
    /// Name of the procedure.
    pub name: Arc<str>,
    /// Who called it; `None` for the root.
    pub parent: Option<Arc<Self>>,
    /// When it began.
    pub started: UnixMicros,
    /// What it counted, its finished children included.
    pub metrics: Metrics,
    /// Metrics of the Context it was called in, where those are not the parent's own; what is
    /// added there reaches the parent.
    around: Option<Arc<Metrics>>,
    graph: Weak<ProcedureGraph>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    status: Status,
    completed: Option<UnixMicros>,
    error: Option<String>,
    /// The part of the metrics that the parent has already.
    told: Sums,
}

impl ProcedureNode {
    pub(super) fn new(
        name: Arc<str>,
        (parent, around): (Option<Arc<Self>>, Option<Arc<Metrics>>),
        started: UnixMicros,
        (graph, total): (Weak<ProcedureGraph>, Option<Arc<Metrics>>),
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            pid: Pid(NEXT.fetch_add(1, Ordering::Relaxed)),
            name,
            parent,
            started,
            metrics: Metrics::counted_in(total),
            around,
            graph,
            state: Mutex::new(State {
                status: Status::Running,
                completed: None,
                error: None,
                told: Sums::default(),
            }),
        })
    }

    /// Where the execution stands.
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// When it ended, if it has.
    pub fn completed(&self) -> Option<UnixMicros> {
        self.state().completed
    }

    /// Why it failed, if it did.
    pub fn error(&self) -> Option<String> {
        self.state().error.clone()
    }

    /// Ends the execution well; see [`ProcedureNode::finish`].
    pub fn complete(&self, time: UnixMicros) {
        self.finish(Status::Completed, time, None);
    }

    /// Ends the execution with an error; see [`ProcedureNode::finish`].
    pub fn fail(&self, time: UnixMicros, error: &Error) {
        self.finish(Status::Failed, time, Some(error.to_string()));
    }

    /// Ends the execution as cancelled; see [`ProcedureNode::finish`].
    pub fn cancel(&self, time: UnixMicros) {
        self.finish(Status::Cancelled, time, None);
    }

    /// Ends the execution, which happens once: what comes later changes nothing. Its metrics are
    /// added to its parent's, on failure too.
    pub fn finish(&self, status: Status, time: UnixMicros, error: Option<String>) {
        {
            let mut state = self.state();
            if state.status != Status::Running {
                return;
            }
            state.status = status;
            state.completed = Some(time);
            state.error = error;
        }
        self.propagate_metrics();
    }

    /// Adds to the parent's metrics what it has not yet of this node's, and to those above where
    /// the parent has ended already.
    pub fn propagate_metrics(&self) {
        let mut node = self;
        while let Some(parent) = node.parent.as_deref() {
            let told = node.around.as_deref().unwrap_or(&parent.metrics);
            node.metrics.tell(told, &mut node.state().told);
            if parent.status() == Status::Running {
                return;
            }
            node = parent;
        }
    }

    /// Adds `amount` to the metric `key`.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`].
    pub fn add_metric(&self, key: &str, amount: f64) -> Result<()> {
        self.metrics.count(key, amount)
    }

    /// Replaces the metric `key`.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`].
    pub fn set_metric(&self, key: &str, value: f64) -> Result<()> {
        self.metrics.set(key, value)
    }

    /// The metric `key`; 0 when nothing was added to it.
    pub fn get_metric(&self, key: &str) -> f64 {
        self.metrics.get(key)
    }

    /// Adds every metric of `source` to this node's.
    pub fn merge_metrics(&self, source: &Metrics) {
        self.metrics.merge(source);
    }

    /// Those it called, in the order of their beginnings; without what the graph has left out.
    pub fn children(&self) -> Vec<Arc<Self>> {
        let graph = self.graph.upgrade();
        graph.map_or_else(Vec::new, |graph| graph.children(self.pid))
    }

    /// Who called it, who called that one, and so on.
    pub fn ancestors(&self) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(self.parent.as_ref(), |node| node.parent.as_ref())
    }

    /// Whether a caller, or a caller's caller, fits `predicate`.
    pub fn has_ancestor(&self, predicate: impl Fn(&Self) -> bool) -> bool {
        self.ancestors().any(|node| predicate(node))
    }

    /// How many callers stand above; 0 for the root.
    pub fn depth(&self) -> usize {
        self.ancestors().count()
    }

    pub(super) fn footprint(&self) -> usize {
        let error = self.state().error.as_ref().map_or(0, String::len);
        // What was told of the metrics takes as much again.
        let metrics = 2 * self.metrics.footprint();
        let around = self.around.as_ref().map_or(0, |it| it.footprint());
        size_of::<Self>() + self.name.len() + error + metrics + around
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counting for ProcedureNode {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
