//! Shared vocabulary of aikit: the types and traits every other crate speaks.

pub mod clock;
pub mod error;
pub mod event;
pub mod graph;
pub mod io;
pub mod metrics;
pub mod value;

pub use error::{Error, ErrorKind, Result};
pub use value::Value;
