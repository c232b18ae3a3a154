//! Who called whom: the procedures of one root call, their status and metrics.

mod node;
mod recent;
mod tree;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{node::ProcedureNode, recent::Recent, tree::Tree};
use crate::{Error, ErrorKind, clock::UnixMicros, metrics::Metrics};

/// Nodes one graph keeps; beyond this finished ones are folded into their parents.
const NODES_MAX: usize = 10_000;

/// Nodes that are looked at to find a finished one.
const LOOKS_MAX: usize = 64;

/// Identity of one execution of a procedure, unique in the process.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(u64);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl Pid {
    /// The number behind the `p`.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// Reads what [`fmt::Display`] writes: `p` and a number.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix('p')?.parse().ok().map(Self)
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

impl Status {
    /// Where an execution stands that ended so.
    pub fn of(error: Option<&Error>) -> Self {
        match error.map(Error::kind) {
            None => Self::Completed,
            Some(ErrorKind::Cancelled | ErrorKind::Interrupted | ErrorKind::Timeout) => {
                Self::Cancelled
            }
            Some(_) => Self::Failed,
        }
    }

    /// The word that scripts see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The executions of one root call.
#[derive(Debug, Default)]
pub struct ProcedureGraph(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// In the order of their beginnings: identities ascend.
    nodes: BTreeMap<Pid, Arc<ProcedureNode>>,
    /// The first without a caller.
    root: Option<Arc<ProcedureNode>>,
    /// How many were left out.
    folded: usize,
    /// Where the next look for a finished node begins.
    cursor: Pid,
    /// Nodes that were looked at in all.
    #[cfg(test)]
    looks: usize,
}

impl Kept {
    /// Leaves a finished node out, if one is near the cursor. It looks at few and goes on there
    /// the next time: among thousands that run, a look at all would make each beginning slow.
    fn fold_one(&mut self) -> bool {
        let behind = self.nodes.range(self.cursor..);
        let near = behind
            .chain(self.nodes.range(..self.cursor))
            .take(LOOKS_MAX);
        let mut found = None;
        for (pid, node) in near {
            self.cursor = Pid(pid.0 + 1);
            #[cfg(test)]
            {
                self.looks += 1;
            }
            if node.status() != Status::Running {
                found = Some(*pid);
                break;
            }
        }
        found.is_some_and(|pid| self.nodes.remove(&pid).is_some())
    }
}

impl ProcedureGraph {
    /// Makes the node of an execution that begins, and adds it. Beyond 10,000 an old finished one
    /// is left out, whose metrics already stand in its parent; where none is found the new one is
    /// left out, and its metrics go to its parent when it ends.
    pub fn register(
        self: &Arc<Self>,
        name: Arc<str>,
        parent: Option<Arc<ProcedureNode>>,
        started: UnixMicros,
    ) -> Arc<ProcedureNode> {
        self.register_in(name, (parent, None), started, None)
    }

    /// As [`ProcedureGraph::register`]; what it counts goes to the metrics of the Context it was
    /// called in, and so to its parent's. `total` counts what the execution uses as well.
    pub(crate) fn register_in(
        self: &Arc<Self>,
        name: Arc<str>,
        around: (Option<Arc<ProcedureNode>>, Option<Arc<Metrics>>),
        started: UnixMicros,
        total: Option<Arc<Metrics>>,
    ) -> Arc<ProcedureNode> {
        let node = ProcedureNode::new(name, around, started, (Arc::downgrade(self), total));
        let mut kept = self.kept();
        if node.parent.is_none() && kept.root.is_none() {
            kept.root = Some(Arc::clone(&node));
        }
        if kept.nodes.len() >= NODES_MAX {
            kept.folded += 1;
            if !kept.fold_one() {
                return node;
            }
        }
        kept.nodes.insert(node.pid, Arc::clone(&node));
        node
    }

    /// Finds a node.
    pub fn get(&self, pid: Pid) -> Option<Arc<ProcedureNode>> {
        self.kept().nodes.get(&pid).cloned()
    }

    /// Who called `pid`.
    pub fn parent(&self, pid: Pid) -> Option<Arc<ProcedureNode>> {
        self.get(pid)?.parent.clone()
    }

    /// Those that `pid` called, in the order of their beginnings.
    pub fn children(&self, pid: Pid) -> Vec<Arc<ProcedureNode>> {
        let is_child =
            |node: &&Arc<ProcedureNode>| node.parent.as_ref().is_some_and(|it| it.pid == pid);
        self.kept()
            .nodes
            .values()
            .filter(is_child)
            .cloned()
            .collect()
    }

    /// Ends the execution `pid`; nothing happens when it is unknown or has ended.
    pub fn update_status(&self, pid: Pid, status: Status, time: UnixMicros, error: Option<&Error>) {
        if let Some(node) = self.get(pid) {
            node.finish(status, time, error.map(ToString::to_string));
        }
    }

    /// Adds to the metrics of the caller of `pid` what it has not yet.
    pub fn propagate_metrics(&self, pid: Pid) {
        if let Some(node) = self.get(pid) {
            node.propagate_metrics();
        }
    }

    /// Whether a caller of `pid`, or a caller's caller, fits `predicate`.
    pub fn has_ancestor(&self, pid: Pid, predicate: impl Fn(&ProcedureNode) -> bool) -> bool {
        self.get(pid)
            .is_some_and(|node| node.has_ancestor(predicate))
    }

    /// Whether a caller of `pid`, or a caller's caller, has that name.
    pub fn has_ancestor_named(&self, pid: Pid, name: &str) -> bool {
        self.has_ancestor(pid, |node| &*node.name == name)
    }

    /// Every node that is kept, in the order of their beginnings.
    pub fn all(&self) -> Vec<Arc<ProcedureNode>> {
        self.kept().nodes.values().cloned().collect()
    }

    /// Every node that is kept and began no earlier than `pid`, in the order of their beginnings.
    fn since(&self, pid: Pid) -> Vec<Arc<ProcedureNode>> {
        self.kept()
            .nodes
            .range(pid..)
            .map(|(_, node)| Arc::clone(node))
            .collect()
    }

    /// How many executions there were, those left out included.
    pub fn count(&self) -> usize {
        let kept = self.kept();
        kept.nodes.len() + kept.folded
    }

    /// The first execution without a caller; found without a search.
    pub fn root(&self) -> Option<Arc<ProcedureNode>> {
        self.kept().root.clone()
    }

    /// Forgets every node. Those that run go on, and their metrics still reach their callers.
    pub fn clear(&self) {
        let cleared = std::mem::take(&mut *self.kept());
        // Dropped outside of the lock: there may be many.
        drop(cleared);
    }

    /// Bytes of memory that it takes, about.
    fn footprint(&self) -> usize {
        self.kept().nodes.values().map(|it| it.footprint()).sum()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn graph() -> Arc<ProcedureGraph> {
        Arc::default()
    }

    fn node(
        graph: &Arc<ProcedureGraph>,
        parent: Option<&Arc<ProcedureNode>>,
    ) -> Arc<ProcedureNode> {
        graph.register(Arc::from("n"), parent.cloned(), 0)
    }

    #[test]
    fn metrics_go_to_the_parent_once_and_on_failure_too() {
        let graph = graph();
        let root = graph.register(Arc::from("root"), None, 0);
        let child = graph.register(Arc::from("child"), Some(Arc::clone(&root)), 1);
        child.add_metric("x", 2.0).unwrap();
        child.fail(2, &Error::new(ErrorKind::ToolFailed, "why"));
        child.complete(3);
        assert_eq!(
            root.metrics.to_value(),
            Value::map([("x", Value::Float(2.0))])
        );
        assert_eq!(
            (child.status(), child.completed()),
            (Status::Failed, Some(2))
        );
        assert!(child.error().unwrap().contains("why"));
        assert!(graph.has_ancestor_named(child.pid, "root"));
        assert!(!graph.has_ancestor_named(root.pid, "root"));
        assert_eq!((root.depth(), child.depth()), (0, 1));
    }

    #[test]
    fn what_is_counted_after_the_end_still_goes_up() {
        let graph = graph();
        let root = node(&graph, None);
        let middle = node(&graph, Some(&root));
        let leaf = node(&graph, Some(&middle));
        middle.cancel(1);
        leaf.add_metric("x", 1.0).unwrap();
        leaf.complete(2);
        leaf.add_metric("x", 1.0).unwrap();
        graph.propagate_metrics(leaf.pid);
        let sums = [&root, &middle, &leaf].map(|it| it.metrics.to_value());
        assert_eq!(
            sums,
            [(); 3].map(|()| Value::map([("x", Value::Float(2.0))]))
        );
    }

    #[test]
    fn a_node_knows_its_relatives() {
        let graph = graph();
        let root = node(&graph, None);
        let (first, second) = (node(&graph, Some(&root)), node(&graph, Some(&root)));
        let pids =
            |nodes: Vec<Arc<ProcedureNode>>| nodes.iter().map(|it| it.pid).collect::<Vec<_>>();
        assert_eq!(pids(root.children()), [first.pid, second.pid]);
        assert_eq!(graph.parent(second.pid).unwrap().pid, root.pid);
        assert_eq!(graph.root().unwrap().pid, root.pid);
        graph.update_status(first.pid, Status::Cancelled, 5, None);
        assert_eq!(first.status(), Status::Cancelled);
        assert_eq!(Pid::parse(&root.pid.to_string()), Some(root.pid));
        assert_eq!(
            [Pid::parse("x1"), Pid::parse("p"), Pid::parse("p-1")],
            [None; 3]
        );
        graph.clear();
        assert!(graph.root().is_none() && root.children().is_empty());
        assert_eq!(graph.count(), 0);
    }

    #[test]
    fn a_graph_is_bounded_and_still_counts() {
        let graph = graph();
        for _ in 0..NODES_MAX + 5 {
            node(&graph, None).complete(0);
        }
        assert_eq!(
            (graph.all().len(), graph.count()),
            (NODES_MAX, NODES_MAX + 5)
        );
    }

    #[test]
    fn executions_that_run_at_once_are_bounded_too() {
        let graph = graph();
        let nodes: Vec<_> = (0..NODES_MAX + 5).map(|_| node(&graph, None)).collect();
        assert_eq!(
            (graph.all().len(), graph.count()),
            (NODES_MAX, NODES_MAX + 5)
        );
        // Once one of them has ended, there is room for another, wherever it stands.
        nodes[NODES_MAX / 2].complete(1);
        for _ in 0..NODES_MAX {
            node(&graph, None);
        }
        assert!(graph.get(nodes[NODES_MAX / 2].pid).is_none());
        nodes[7].complete(1);
        for _ in 0..=NODES_MAX / LOOKS_MAX {
            node(&graph, None);
        }
        assert!(graph.get(nodes[7].pid).is_none());
        assert_eq!(graph.all().len(), NODES_MAX);
    }

    #[test]
    fn beyond_the_bound_a_beginning_looks_at_few_nodes_whatever_runs() {
        let looks = |graph: &ProcedureGraph| graph.kept().looks;
        // Where all have ended the first one that is looked at goes.
        let ended = graph();
        for _ in 0..3 * NODES_MAX {
            node(&ended, None).complete(0);
        }
        assert_eq!(looks(&ended), 2 * NODES_MAX);
        // Where all run, or all but every hundredth, a few are looked at and not all.
        for gap in [usize::MAX, 100] {
            let running = graph();
            let nodes: Vec<_> = (0..NODES_MAX).map(|_| node(&running, None)).collect();
            for it in nodes.iter().step_by(gap) {
                it.complete(1);
            }
            let more = 2_000;
            for _ in 0..more {
                node(&running, None);
            }
            assert!(looks(&running) <= more * LOOKS_MAX, "{}", looks(&running));
            assert_eq!(running.count(), NODES_MAX + more);
        }
    }
}
