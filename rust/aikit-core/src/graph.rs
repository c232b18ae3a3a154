//! Who called whom: the procedures of one root call, their status and metrics.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Error, ErrorKind,
    clock::UnixMicros,
    metrics::{Metrics, Sums},
};

/// Nodes one graph keeps; beyond this finished ones are folded into their parents.
const NODES_MAX: usize = 10_000;

/// Nodes that are looked at to find a finished one.
const LOOKS_MAX: usize = 64;

/// Finished graphs that [`Recent`] keeps.
const RECENT_MAX: usize = 256;

/// Identity of one execution of a procedure, unique in the process.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(u64);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl Pid {
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
    fn new(
        name: Arc<str>,
        parent: Option<Arc<Self>>,
        started: UnixMicros,
        graph: Weak<ProcedureGraph>,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            pid: Pid(NEXT.fetch_add(1, Ordering::Relaxed)),
            name,
            parent,
            started,
            metrics: Metrics::default(),
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
            node.metrics.tell(&parent.metrics, &mut node.state().told);
            if parent.status() == Status::Running {
                return;
            }
            node = parent;
        }
    }

    /// Adds `amount` to the metric `key`.
    pub fn add_metric(&self, key: &str, amount: f64) {
        self.metrics.add(key, amount);
    }

    /// Replaces the metric `key`.
    pub fn set_metric(&self, key: &str, value: f64) {
        self.metrics.set(key, value);
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let node = ProcedureNode::new(name, parent, started, Arc::downgrade(self));
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

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The graphs of the last root calls that ended, oldest first; bounded.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<ProcedureGraph>>>);

impl Recent {
    /// Adds the graph of a root call that ended; beyond 256 the oldest is dropped.
    pub fn push(&self, graph: Arc<ProcedureGraph>) {
        let mut graphs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (graphs.len() == RECENT_MAX).then(|| graphs.pop_front());
        graphs.push_back(graph);
        drop(graphs);
        drop(oldest);
    }

    /// All that are kept, oldest first.
    pub fn all(&self) -> Vec<Arc<ProcedureGraph>> {
        let graphs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        graphs.iter().cloned().collect()
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
        child.add_metric("x", 2.0);
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
        leaf.add_metric("x", 1.0);
        leaf.complete(2);
        leaf.add_metric("x", 1.0);
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
    fn the_graphs_of_the_last_calls_are_kept() {
        let recent = Recent::default();
        let graphs: Vec<_> = (0..RECENT_MAX + 3).map(|_| graph()).collect();
        for graph in &graphs {
            recent.push(Arc::clone(graph));
        }
        let kept = recent.all();
        assert_eq!(kept.len(), RECENT_MAX);
        assert!(Arc::ptr_eq(&kept[0], &graphs[3]));
    }
}
