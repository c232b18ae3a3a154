//! `flat`: the exact index, which compares the query with every row.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aikit_core::{
    Result,
    storage::{IdFilter, Metric, Scored, VectorIndex},
};

use super::rows::Rows;

/// Makes an empty index.
pub(super) fn open(dimension: usize, metric: Metric) -> Arc<dyn VectorIndex> {
    Arc::new(Flat {
        dimension,
        metric,
        rows: RwLock::new(Rows::new(dimension, metric)),
    })
}

#[derive(Debug)]
struct Flat {
    dimension: usize,
    metric: Metric,
    rows: RwLock<Rows>,
}

impl Flat {
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VectorIndex for Flat {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn len(&self) -> usize {
        self.read().len()
    }

    fn add(&self, ids: &[u64], rows: &[f32]) -> Result<()> {
        let prepared = self.read().check(ids, rows)?;
        let mut kept = self.write();
        for (id, row) in ids.iter().zip(prepared.chunks_exact(self.dimension)) {
            kept.put(*id, row);
        }
        Ok(())
    }

    fn delete(&self, ids: &[u64]) -> usize {
        let mut rows = self.write();
        ids.iter().filter(|id| rows.delete(**id)).count()
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&IdFilter<'_>>,
    ) -> Result<Vec<Scored>> {
        let rows = self.read();
        let query = rows.check_query(query)?;
        Ok(rows.scan(&query, k, filter))
    }
}
