//! Approximate indexes: graphs whose edges lead to near rows.

pub(super) mod hnsw_rs;
