//! `hnsw`: a hierarchical graph by the crate `hnsw_rs`.
//!
//! The crate panics on distances that are not numbers and on distances below zero, has no deletion,
//! may panic when it filters while walking, and ends the process on a damaged dump. So rows are
//! checked before it sees them, the distance here is never negative, deleted and replaced nodes
//! are left out of its answers, filters are applied to its answers, and the graph is never
//! dumped: whoever owns the rows adds them again.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

use aikit_core::{
    Result,
    storage::{IdFilter, Metric, Scored, VectorIndex},
};
use hnsw_rs::prelude::{Distance, Hnsw};

use crate::vector::{
    distance::{Kernels, kernels},
    rows::{Rows, best},
};

/// Links of a node on the upper layers; twice as many on the lowest.
const LINKS: usize = 16;

/// Candidates looked at while a node is linked.
const CANDIDATES_BUILD: usize = 200;

/// Least candidates looked at by a search.
const CANDIDATES_SEARCH_MIN: usize = 96;

/// Layers of the graph; the most the crate takes.
const LAYERS: usize = 16;

/// Below so many rows a scan is as fast as the graph, and exact.
const SCAN_ROWS_MAX: usize = 1_000;

/// Dead nodes that a graph may have for each live one before it is built again.
const DEAD_NODES_SHARE_MAX: f64 = 0.25;

/// How many more rows are asked for where a filter will leave some out.
const FILTER_FACTOR: usize = 4;

/// Threads that build a graph.
const BUILDERS_MAX: usize = 8;

/// Rows for which another building thread is worth while.
const ROWS_PER_BUILDER: usize = 256;

/// Makes an empty index.
pub(in crate::vector) fn open(dimension: usize, metric: Metric) -> Arc<dyn VectorIndex> {
    Arc::new(HnswIndex {
        dimension,
        metric,
        state: RwLock::new(State {
            rows: Rows::new(dimension, metric),
            graph: Graph::new(metric),
        }),
    })
}

#[derive(Debug)]
struct HnswIndex {
    dimension: usize,
    metric: Metric,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    rows: Rows,
    graph: Graph,
}

/// The crate's graph over numbered nodes; the number of a node is never used again.
struct Graph {
    metric: Metric,
    nodes: Hnsw<'static, f32, Near>,
    id_of: Vec<Option<u64>>,
    node_of: HashMap<u64, usize>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("metric", &self.metric)
            .field("nodes", &self.id_of.len())
            .field("live", &self.node_of.len())
            .finish_non_exhaustive()
    }
}

/// The distance the graph is built on: never negative, and smaller for the nearer row.
#[derive(Clone, Copy, Debug)]
struct Near {
    metric: Metric,
    kernels: Kernels,
}

impl Distance<f32> for Near {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.metric {
            // Rounding may make the product of two equal rows a hair more than 1.
            Metric::Cosine => (1.0 - (self.kernels.dot)(a, b)).max(0.0),
            // Any falling function will do, because the graph only compares distances.
            Metric::Dot => {
                let dot = (self.kernels.dot)(a, b);
                1.0 - dot / (1.0 + dot.abs())
            }
            Metric::L2 => (self.kernels.squared_distance)(a, b),
        }
    }
}

impl Graph {
    fn new(metric: Metric) -> Self {
        let near = Near {
            metric,
            kernels: kernels(),
        };
        Self {
            metric,
            nodes: Hnsw::new(LINKS, 0, LAYERS, CANDIDATES_BUILD, near),
            id_of: Vec::new(),
            node_of: HashMap::new(),
        }
    }

    /// Links new nodes, on several threads when there are many.
    fn add(&mut self, rows: &[(u64, &[f32])]) {
        let mut numbered = Vec::with_capacity(rows.len());
        for (id, row) in rows {
            self.remove(*id);
            let node = self.id_of.len();
            self.id_of.push(Some(*id));
            self.node_of.insert(*id, node);
            numbered.push((node, *row));
        }
        let insert = |part: &[(usize, &[f32])]| {
            for (node, row) in part {
                self.nodes.insert((row, *node));
            }
        };
        // The first node alone: those after it need a place to begin.
        let begun = usize::from(self.id_of.len() == numbered.len()).min(numbered.len());
        let (first, rest) = numbered.split_at(begun);
        insert(first);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(BUILDERS_MAX).min(rest.len() / ROWS_PER_BUILDER);
        if threads < 2 {
            insert(rest);
            return;
        }
        thread::scope(|scope| {
            for part in rest.chunks(rest.len().div_ceil(threads)) {
                scope.spawn(|| insert(part));
            }
        });
    }

    fn remove(&mut self, id: u64) {
        if let Some(node) = self.node_of.remove(&id) {
            self.id_of[node] = None;
        }
    }

    fn dead_share(&self) -> f64 {
        let (all, live) = (self.id_of.len(), self.node_of.len());
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
        let share = (all - live) as f64 / live.max(1) as f64;
        share
    }

    /// Ids of about `count` live rows near the query; fewer when the graph misses some.
    fn near(&self, query: &[f32], count: usize) -> impl Iterator<Item = u64> {
        let dead = self.id_of.len() - self.node_of.len();
        // Dead nodes take places in the answer: as many more are asked for as may be dead.
        let share = count.saturating_mul(dead) / self.node_of.len().max(1);
        let wanted = count.saturating_add(share).min(self.id_of.len());
        let candidates = wanted.saturating_mul(2).max(CANDIDATES_SEARCH_MIN);
        let found = self.nodes.search(query, wanted, candidates);
        found.into_iter().filter_map(|it| self.id_of[it.d_id])
    }
}

impl State {
    /// Builds the graph anew when too many of its nodes are dead.
    fn tidy(&mut self) {
        if self.graph.dead_share() > DEAD_NODES_SHARE_MAX {
            self.graph = Graph::new(self.graph.metric);
            let rows: Vec<(u64, &[f32])> = self.rows.iter().collect();
            self.graph.add(&rows);
        }
    }
}

impl HnswIndex {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VectorIndex for HnswIndex {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn len(&self) -> usize {
        self.read().rows.len()
    }

    fn add(&self, ids: &[u64], rows: &[f32]) -> Result<()> {
        let prepared = self.read().rows.check(ids, rows)?;
        let mut state = self.write();
        let prepared = prepared.chunks_exact(self.dimension);
        // The last row of an id counts, as when they are added one by one.
        let distinct: HashMap<u64, &[f32]> = ids.iter().copied().zip(prepared).collect();
        let mut added: Vec<(u64, &[f32])> = distinct.into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        for (id, row) in &added {
            state.rows.put(*id, row);
        }
        state.graph.add(&added);
        state.tidy();
        Ok(())
    }

    fn delete(&self, ids: &[u64]) -> usize {
        let mut state = self.write();
        let mut count = 0;
        for id in ids {
            state.graph.remove(*id);
            count += usize::from(state.rows.delete(*id));
        }
        state.tidy();
        count
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&IdFilter<'_>>,
    ) -> Result<Vec<Scored>> {
        let state = self.read();
        let query = state.rows.check_query(query)?;
        if state.rows.len() <= SCAN_ROWS_MAX || k >= state.rows.len() {
            return Ok(state.rows.scan(&query, k, filter));
        }
        // A filter takes places of the answer too; how many is not known before.
        let wanted = filter.map_or(k, |_| k.saturating_mul(FILTER_FACTOR));
        let near = state.graph.near(&query, wanted);
        let kept = near.filter(|id| filter.is_none_or(|keep| keep(*id)));
        let found = best(kept.filter_map(|id| state.rows.score(&query, id)), k);
        if found.len() < k {
            // The filter kept little, or the graph was cut off from some rows.
            return Ok(state.rows.scan(&query, k, filter));
        }
        Ok(found)
    }
}
