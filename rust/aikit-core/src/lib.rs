//! Shared vocabulary of aikit: the types and traits every other crate speaks.

pub mod error;
pub mod value;

pub use error::{Error, ErrorKind, Result};
pub use value::Value;
