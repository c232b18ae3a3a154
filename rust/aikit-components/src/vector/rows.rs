//! Vectors by id, one after the other in memory, and the exact search over them.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

use aikit_core::{
    Error, Result,
    storage::{IdFilter, Metric, Scored},
};

use super::distance::{Kernels, kernels};

/// Longest vector where the length counts: the product of two longer ones overflows a float.
const LENGTH_MAX: f64 = 1e18;

/// A checked set of rows: finite, of one dimension, of length one where the metric is cosine.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) dimension: usize,
    pub(super) metric: Metric,
    kernels: Kernels,
    ids: Vec<u64>,
    numbers: Vec<f32>,
    slots: HashMap<u64, usize>,
}

impl Rows {
    pub(super) fn new(dimension: usize, metric: Metric) -> Self {
        Self {
            dimension,
            metric,
            kernels: kernels(),
            ids: Vec::new(),
            numbers: Vec::new(),
            slots: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The ids and their rows, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[f32])> {
        let ids = self.ids.iter().copied();
        ids.zip(self.numbers.chunks_exact(self.dimension))
    }

    /// Checks and prepares rows for [`Rows::put`], without keeping them.
    ///
    /// # Errors
    ///
    /// `invalid_args`, with the number of the row that does not fit.
    pub(super) fn check(&self, ids: &[u64], rows: &[f32]) -> Result<Vec<f32>> {
        if ids.len().checked_mul(self.dimension) != Some(rows.len()) {
            let message = format!(
                "{} numbers are not {} vectors of dimension {}",
                rows.len(),
                ids.len(),
                self.dimension
            );
            return Err(Error::invalid_args(message)
                .with_hint("give one vector of the index's dimension for each id"));
        }
        let mut prepared = rows.to_vec();
        for (place, row) in prepared.chunks_exact_mut(self.dimension).enumerate() {
            let named = || format!("vector {place} (id `{}`)", ids[place]);
            self.prepare(row, named)?;
        }
        Ok(prepared)
    }

    /// Checks and prepares a query.
    ///
    /// # Errors
    ///
    /// `invalid_args` when it does not fit.
    pub(super) fn check_query(&self, query: &[f32]) -> Result<Vec<f32>> {
        if query.len() != self.dimension {
            let message = format!(
                "the query has dimension {}, the index {}",
                query.len(),
                self.dimension
            );
            return Err(Error::invalid_args(message)
                .with_hint("embed the query with the embedder of the index"));
        }
        let mut prepared = query.to_vec();
        self.prepare(&mut prepared, || "the query".to_owned())?;
        Ok(prepared)
    }

    fn prepare(&self, row: &mut [f32], named: impl Fn() -> String) -> Result<()> {
        if let Some(place) = row.iter().position(|number| !number.is_finite()) {
            let message = format!("{} has `{}` at place {place}", named(), row[place]);
            return Err(Error::invalid_args(message).with_hint("give finite numbers only"));
        }
        // In doubles: the squares of numbers near the largest float overflow a float.
        let squares = row.iter().map(|number| f64::from(*number).powi(2));
        let length = squares.sum::<f64>().sqrt();
        if self.metric != Metric::Cosine {
            if length > LENGTH_MAX {
                let message = format!("{} has length {length:e}", named());
                return Err(Error::invalid_args(message).with_hint(format!(
                    "scale the vectors to a length below {LENGTH_MAX:e}"
                )));
            }
            return Ok(());
        }
        if length == 0.0 {
            let message = format!("{} has length zero, so it has no angle", named());
            return Err(Error::invalid_args(message)
                .with_hint("leave such vectors out, or use the metric `l2`"));
        }
        for number in row {
            #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
            let scaled = (f64::from(*number) / length) as f32;
            *number = scaled;
        }
        Ok(())
    }

    /// Keeps a prepared row; it replaces the one of its id.
    pub(super) fn put(&mut self, id: u64, row: &[f32]) {
        if let Some(slot) = self.slots.get(&id) {
            let begin = slot * self.dimension;
            self.numbers[begin..begin + self.dimension].copy_from_slice(row);
            return;
        }
        self.slots.insert(id, self.ids.len());
        self.ids.push(id);
        self.numbers.extend_from_slice(row);
    }

    /// Deletes a row; the last one takes its place.
    pub(super) fn delete(&mut self, id: u64) -> bool {
        let Some(slot) = self.slots.remove(&id) else {
            return false;
        };
        let last = self.ids.len() - 1;
        self.ids.swap_remove(slot);
        if slot != last {
            self.slots.insert(self.ids[slot], slot);
            let moved = last * self.dimension..(last + 1) * self.dimension;
            self.numbers.copy_within(moved, slot * self.dimension);
        }
        self.numbers.truncate(last * self.dimension);
        true
    }

    /// The score of the row `id` against a prepared query.
    pub(super) fn score(&self, query: &[f32], id: u64) -> Option<Scored> {
        let begin = self.slots.get(&id)? * self.dimension;
        let row = &self.numbers[begin..begin + self.dimension];
        let score = self.score_row(query, row);
        Some(Scored { id, score })
    }

    fn score_row(&self, query: &[f32], row: &[f32]) -> f32 {
        match self.metric {
            // Rounding may pass 1 by a hair.
            Metric::Cosine => (self.kernels.dot)(query, row).clamp(-1.0, 1.0),
            Metric::Dot => (self.kernels.dot)(query, row),
            Metric::L2 => -(self.kernels.squared_distance)(query, row),
        }
    }

    /// Compares a prepared query with every row that `filter` keeps.
    pub(super) fn scan(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&IdFilter<'_>>,
    ) -> Vec<Scored> {
        let kept = self
            .iter()
            .filter(|(id, _)| filter.is_none_or(|keep| keep(*id)));
        best(
            kept.map(|(id, row)| Scored {
                id,
                score: self.score_row(query, row),
            }),
            k,
        )
    }
}

/// The `k` best, best first, equal scores by id.
pub(super) fn best(found: impl Iterator<Item = Scored>, k: usize) -> Vec<Scored> {
    let mut heap: BinaryHeap<Ranked> = BinaryHeap::new();
    for scored in found {
        if heap.len() < k {
            heap.push(Ranked(scored));
        } else if let Some(mut worst) = heap.peek_mut()
            && Ranked(scored) < *worst
        {
            *worst = Ranked(scored);
        }
    }
    heap.into_sorted_vec().into_iter().map(|it| it.0).collect()
}

/// Orders by rank: the best is the least.
#[derive(Clone, Copy, Debug)]
struct Ranked(Scored);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.0.score.total_cmp(&self.0.score);
        by_score.then(self.0.id.cmp(&other.0.id))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
