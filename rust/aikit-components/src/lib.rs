//! Everything a script or a Python program can call.
//!
//! Each module may use those above it:
//!
//! ```text
//! nearest
//! security
//! http
//! models
//! tools
//! agents
//! ```

pub mod agents;
pub mod http;
pub mod models;
pub mod nearest;
pub mod security;
pub mod tools;
