//! Nearest-neighbour indexes behind `aikit_core::storage::VectorIndex`.
//!
//! An index is one row of [`INDEXES`]; its conformance test compares it with `flat`.

mod distance;
mod flat;
mod graph;
mod rows;

use std::sync::Arc;

use aikit_core::{
    Error, Result,
    storage::{Metric, VectorIndex},
};

/// Longest vector an index takes.
pub const DIMENSION_MAX: usize = 65_536;

/// A row of [`INDEXES`].
#[derive(Clone, Copy, Debug)]
pub struct IndexKind {
    /// The word for it in settings.
    pub name: &'static str,
    /// What it is good for, one sentence.
    pub summary: &'static str,
    open: fn(usize, Metric) -> Arc<dyn VectorIndex>,
}

/// Every kind of index.
pub const INDEXES: &[IndexKind] = &[
    IndexKind {
        name: "flat",
        summary: "Compares the query with every row: exact, and fast up to some 100,000 rows.",
        open: flat::open,
    },
    IndexKind {
        name: "hnsw",
        summary: "Walks a graph of near rows: approximate, for many rows and many searches.",
        open: graph::hnsw_rs::open,
    },
];

/// Makes an empty index for vectors of length `dimension`.
///
/// # Errors
///
/// `not_found` for an unknown kind, `invalid_args` for a dimension outside 1 to
/// [`DIMENSION_MAX`].
pub fn open(kind: &str, dimension: usize, metric: Metric) -> Result<Arc<dyn VectorIndex>> {
    let Some(found) = INDEXES.iter().find(|it| it.name == kind) else {
        let names: Vec<String> = INDEXES.iter().map(|it| format!("`{}`", it.name)).collect();
        return Err(Error::not_found(format!("no vector index named `{kind}`"))
            .with_hint(format!("use one of {}", names.join(", "))));
    };
    if !(1..=DIMENSION_MAX).contains(&dimension) {
        return Err(
            Error::invalid_args(format!("`{dimension}` is no dimension of a vector"))
                .with_hint(format!("use a number from 1 to {DIMENSION_MAX}")),
        );
    }
    Ok((found.open)(dimension, metric))
}
