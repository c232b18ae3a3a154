//! The graphs of the last root calls, for a host that shows them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::ProcedureGraph;

/// Finished graphs that are kept.
const GRAPHS_MAX: usize = 256;

/// Bytes of memory that they may take, about; the last is kept whatever its size.
const BYTES_MAX: usize = 1 << 26;

/// The graphs of the last root calls that ended, oldest first; bounded in number and in bytes.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Graphs>);

#[derive(Debug, Default)]
struct Graphs {
    /// Each with the memory it took when it was added.
    kept: VecDeque<(Arc<ProcedureGraph>, usize)>,
    bytes: usize,
}

impl Recent {
    /// Adds the graph of a root call that ended; beyond 256 of them, and beyond 64 MiB, the oldest
    /// are dropped.
    pub fn push(&self, graph: Arc<ProcedureGraph>) {
        let bytes = graph.footprint();
        let mut dropped = Vec::new();
        {
            let mut graphs = self.graphs();
            graphs.kept.push_back((graph, bytes));
            graphs.bytes += bytes;
            while graphs.kept.len() > GRAPHS_MAX
                || (graphs.bytes > BYTES_MAX && graphs.kept.len() > 1)
            {
                let Some(oldest) = graphs.kept.pop_front() else {
                    break;
                };
                graphs.bytes -= oldest.1;
                dropped.push(oldest);
            }
        }
        // Outside of the lock: there may be many nodes.
        drop(dropped);
    }

    /// All that are kept, oldest first.
    pub fn all(&self) -> Vec<Arc<ProcedureGraph>> {
        let graphs = self.graphs();
        graphs.kept.iter().map(|it| Arc::clone(&it.0)).collect()
    }

    fn graphs(&self) -> MutexGuard<'_, Graphs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of one node whose name has that many bytes.
    fn graph(bytes: usize) -> Arc<ProcedureGraph> {
        let graph = Arc::<ProcedureGraph>::default();
        graph.register("x".repeat(bytes).into(), None, 0);
        graph
    }

    #[test]
    fn the_graphs_of_the_last_calls_are_kept() {
        let recent = Recent::default();
        let graphs: Vec<_> = (0..GRAPHS_MAX + 3).map(|_| graph(1)).collect();
        for graph in &graphs {
            recent.push(Arc::clone(graph));
        }
        let kept = recent.all();
        assert_eq!(kept.len(), GRAPHS_MAX);
        assert!(Arc::ptr_eq(&kept[0], &graphs[3]));
    }

    #[test]
    fn large_graphs_are_kept_as_far_as_there_is_memory_and_the_last_always() {
        let recent = Recent::default();
        let quarter = BYTES_MAX / 4;
        for _ in 0..10 {
            recent.push(graph(quarter));
        }
        // What a node takes beside its name makes the fourth one too many.
        assert_eq!(recent.all().len(), 3);
        let last = graph(BYTES_MAX + 1);
        recent.push(Arc::clone(&last));
        let kept = recent.all();
        assert!(kept.len() == 1 && Arc::ptr_eq(&kept[0], &last));
        recent.push(graph(1));
        assert_eq!(recent.all().len(), 1);
    }
}
