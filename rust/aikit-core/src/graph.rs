//! Who called whom: the procedures of one root call, their status and metrics.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use indexmap::IndexMap;

use crate::{clock::UnixMicros, metrics::Metrics};

/// Nodes one graph keeps; finished leaves are folded into their parents beyond this.
const NODES_MAX: usize = 10_000;

/// Identity of one execution of a procedure, unique in the process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(u64);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// Where a procedure stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It has begun.
    Running,
    /// It ended well.
    Completed,
    /// It ended with an error.
    Failed,
    /// It was cancelled or its deadline passed.
    Cancelled,
}

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    status: Status,
    completed: Option<UnixMicros>,
    error: Option<String>,
}

impl ProcedureNode {
    /// A new running node.
    pub fn new(name: Arc<str>, parent: Option<Arc<Self>>, started: UnixMicros) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            pid: Pid(NEXT.fetch_add(1, Ordering::Relaxed)),
            name,
            parent,
            started,
            metrics: Metrics::default(),
            state: Mutex::new(State {
                status: Status::Running,
                completed: None,
                error: None,
            }),
        })
    }

    /// Where the execution stands.
    pub fn status(&self) -> Status {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .status
    }

    /// When it ended, if it has.
    pub fn completed(&self) -> Option<UnixMicros> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .completed
    }

    /// Why it failed, if it did.
    pub fn error(&self) -> Option<String> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .error
            .clone()
    }

    /// Ends the execution once; its metrics are added to its parent's, on failure too.
    pub fn finish(&self, status: Status, time: UnixMicros, error: Option<String>) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.status != Status::Running {
                return;
            }
            *state = State {
                status,
                completed: Some(time),
                error,
            };
        }
        if let Some(parent) = &self.parent {
            parent.metrics.merge(&self.metrics);
        }
    }

    /// Whether a caller, or a caller's caller, fits `predicate`.
    pub fn has_ancestor(&self, predicate: impl Fn(&Self) -> bool) -> bool {
        std::iter::successors(self.parent.as_deref(), |node| node.parent.as_deref()).any(predicate)
    }

    /// How many callers stand above; 0 for the root.
    pub fn depth(&self) -> usize {
        std::iter::successors(self.parent.as_deref(), |node| node.parent.as_deref()).count()
    }
}

/// The executions of one root call.
#[derive(Debug, Default)]
pub struct ProcedureGraph {
    nodes: Mutex<IndexMap<Pid, Arc<ProcedureNode>>>,
    folded: AtomicUsize,
}

impl ProcedureGraph {
    /// Adds a node. Beyond 10,000 the oldest finished one is left out; its metrics already stand
    /// in its parent.
    pub fn register(&self, node: Arc<ProcedureNode>) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= NODES_MAX {
            let finished = nodes
                .values()
                .position(|node| node.status() != Status::Running);
            if let Some(index) = finished {
                nodes.shift_remove_index(index);
                self.folded.fetch_add(1, Ordering::Relaxed);
            }
        }
        nodes.insert(node.pid, node);
    }

    /// Finds a node.
    pub fn get(&self, pid: Pid) -> Option<Arc<ProcedureNode>> {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&pid)
            .cloned()
    }

    /// Every node that is kept, in the order of their beginnings.
    pub fn all(&self) -> Vec<Arc<ProcedureNode>> {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// How many executions there were, those left out included.
    pub fn count(&self) -> usize {
        let kept = self
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        kept + self.folded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn metrics_go_to_the_parent_once_and_on_failure_too() {
        let root = ProcedureNode::new(Arc::from("root"), None, 0);
        let child = ProcedureNode::new(Arc::from("child"), Some(Arc::clone(&root)), 1);
        child.metrics.add("x", 2.0);
        child.finish(Status::Failed, 2, Some("why".to_owned()));
        child.finish(Status::Completed, 3, None);
        assert_eq!(
            root.metrics.to_value(),
            Value::map([("x", Value::Float(2.0))])
        );
        assert_eq!(
            (child.status(), child.completed()),
            (Status::Failed, Some(2))
        );
        assert!(child.has_ancestor(|node| &*node.name == "root"));
        assert_eq!((root.depth(), child.depth()), (0, 1));
    }

    #[test]
    fn a_graph_is_bounded_and_still_counts() {
        let graph = ProcedureGraph::default();
        for _ in 0..NODES_MAX + 5 {
            let node = ProcedureNode::new(Arc::from("n"), None, 0);
            node.finish(Status::Completed, 0, None);
            graph.register(node);
        }
        assert_eq!(
            (graph.all().len(), graph.count()),
            (NODES_MAX, NODES_MAX + 5)
        );
    }
}
