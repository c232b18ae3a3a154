//! aikit-components.

pub mod models;
