//! Vector indexes over numpy arrays.

#![expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands the arguments of a Python call over by value"
)]

use std::sync::Arc;

use aikit_components::vector;
use aikit_core::{
    Error, Result,
    storage::{self, Metric},
};
use numpy::{
    PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;

use crate::{errors, interpreter, whole::Whole};

/// Queries between two looks at the signals.
const QUERIES_AT_ONCE: usize = 64;

/// Ids and scores of a search, each of shape (queries, hits).
type Found<'py> = (Bound<'py, PyArray2<u64>>, Bound<'py, PyArray2<f32>>);

/// Nearest-neighbour search over rows of `float32`.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct VectorIndex(Arc<dyn storage::VectorIndex>);

#[pymethods]
impl VectorIndex {
    /// An empty index.
    #[new]
    fn new(py: Python<'_>, kind: &str, dimension: Whole, metric: &str) -> PyResult<Self> {
        let open = || vector::open(kind, dimension.named("dim")?, Metric::parse(metric)?);
        open()
            .map(Self)
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Adds rows of shape (n, dim), contiguous; a row replaces the one of its id.
    fn add(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u64>,
        rows: PyReadonlyArray2<'_, f32>,
    ) -> PyResult<()> {
        let (index, count, columns) = (&self.0, ids.len(), rows.shape()[1]);
        let (ids, rows) = (ids.as_slice()?, rows.as_slice()?);
        let added = interpreter::detached(py, || {
            check_columns(index.dimension(), columns)?;
            if rows.len() != count * columns {
                let given = rows.len() / columns.max(1);
                let message = format!("there are {count} ids for {given} rows");
                return Err(Error::invalid_args(message).with_hint("give one id for each row"));
            }
            index.add(ids, rows)
        });
        added.map_err(|error| errors::to_python(py, &error))
    }

    /// The nearest rows of each query, best first.
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: PyReadonlyArray2<'py, f32>,
        k: Whole,
    ) -> PyResult<Found<'py>> {
        let fail = |error: Error| errors::to_python(py, &error);
        let k: usize = k.named("k").map_err(fail)?;
        let (count, columns) = (queries.shape()[0], queries.shape()[1]);
        check_columns(self.0.dimension(), columns).map_err(fail)?;
        let wanted = k.min(self.0.len());
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        for batch in queries.as_slice()?.chunks(columns * QUERIES_AT_ONCE) {
            py.check_signals()?;
            for hits in interpreter::detached(py, || self.search_batch(batch, k)).map_err(fail)? {
                ids.extend(hits.iter().map(|hit| hit.id));
                scores.extend(hits.iter().map(|hit| hit.score));
            }
        }
        let width = ids.len().checked_div(count).unwrap_or(wanted);
        let shape = [count, width];
        Ok((
            PyArray1::from_vec(py, ids).reshape(shape)?,
            PyArray1::from_vec(py, scores).reshape(shape)?,
        ))
    }

    /// Deletes rows; answers how many there were.
    fn delete(&self, py: Python<'_>, ids: PyReadonlyArray1<'_, u64>) -> PyResult<usize> {
        let ids = ids.as_slice()?;
        Ok(interpreter::detached(py, || self.0.delete(ids)))
    }

    /// Number of rows.
    fn __len__(&self) -> usize {
        self.0.len()
    }
}

impl VectorIndex {
    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<storage::Scored>>> {
        queries
            .chunks(self.0.dimension())
            .map(|query| self.0.search(query, k, None))
            .collect()
    }
}

fn check_columns(dimension: usize, columns: usize) -> Result<()> {
    if columns == dimension {
        return Ok(());
    }
    let message = format!("the vectors have {columns} numbers, the index has {dimension}");
    Err(Error::invalid_args(message).with_hint(format!("pass arrays of shape (n, {dimension})")))
}
