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

/// Nodes that are looked at to find a finished one.
const LOOKS_MAX: usize = 64;

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
    kept: Mutex<Kept>,
    folded: AtomicUsize,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order of their beginnings.
    nodes: IndexMap<Pid, Arc<ProcedureNode>>,
    /// Where the next look for a finished node begins.
    cursor: usize,
}

impl Kept {
    /// Leaves a finished node out, if one is near the cursor. It looks at few and goes on there
    /// the next time: among thousands that run, a look at all would make each beginning slow.
    fn fold_one(&mut self) -> bool {
        for _ in 0..LOOKS_MAX {
            let index = self.cursor % self.nodes.len().max(1);
            let Some((_, node)) = self.nodes.get_index(index) else {
                return false;
            };
            if node.status() != Status::Running {
                self.nodes.shift_remove_index(index);
                self.cursor = index;
                return true;
            }
            self.cursor = index + 1;
        }
        false
    }
}

impl ProcedureGraph {
    /// Adds a node. Beyond 10,000 an old finished one is left out, whose metrics already stand in
    /// its parent; where none is found the new one is left out, and its metrics go to its parent
    /// when it ends.
    pub fn register(&self, node: Arc<ProcedureNode>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.nodes.len() >= NODES_MAX {
            self.folded.fetch_add(1, Ordering::Relaxed);
            if !kept.fold_one() {
                return;
            }
        }
        kept.nodes.insert(node.pid, node);
    }

    /// Finds a node.
    pub fn get(&self, pid: Pid) -> Option<Arc<ProcedureNode>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .nodes
            .get(&pid)
            .cloned()
    }

    /// Every node that is kept, in the order of their beginnings.
    pub fn all(&self) -> Vec<Arc<ProcedureNode>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .nodes
            .values()
            .cloned()
            .collect()
    }

    /// How many executions there were, those left out included.
    pub fn count(&self) -> usize {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .nodes
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

    #[test]
    fn executions_that_run_at_once_are_bounded_too() {
        let graph = ProcedureGraph::default();
        let new = || ProcedureNode::new(Arc::from("n"), None, 0);
        let nodes: Vec<_> = (0..NODES_MAX + 5).map(|_| new()).collect();
        for node in &nodes {
            graph.register(Arc::clone(node));
        }
        assert_eq!(
            (graph.all().len(), graph.count()),
            (NODES_MAX, NODES_MAX + 5)
        );
        // Once one of them has ended, there is room for another, wherever it stands.
        nodes[NODES_MAX / 2].finish(Status::Completed, 1, None);
        for _ in 0..NODES_MAX {
            graph.register(new());
        }
        assert!(graph.get(nodes[NODES_MAX / 2].pid).is_none());
        nodes[7].finish(Status::Completed, 1, None);
        for _ in 0..=NODES_MAX / LOOKS_MAX {
            graph.register(new());
        }
        assert!(graph.get(nodes[7].pid).is_none());
        assert_eq!(graph.all().len(), NODES_MAX);
    }
}
