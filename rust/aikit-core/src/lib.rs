//! Shared vocabulary of aikit: the types and traits every other crate speaks.
//!
//! Each module may use those above it and beside it:
//!
//! ```text
//! error  value  choice  markup  per_process  progress  quote  schema
//! io  metrics
//! clock  tape  span
//! stream  broadcast  event  channel  graph
//! context  script
//! logger  telemetry  hook  tracker
//! meter  procedure
//! model  storage
//! services
//! tool  agent
//! engine
//! ```
//!
//! One thing goes the other way: a [`Context`] carries the hooks, whose functions are called with
//! one.
//!
//! The crate depends on no other crate of the workspace and does no network I/O.

pub mod agent;
pub mod broadcast;
pub mod channel;
pub mod choice;
pub mod clock;
pub mod context;
pub mod engine;
pub mod error;
pub mod event;
pub mod graph;
pub mod hook;
pub mod io;
pub mod logger;
pub mod markup;
pub mod meter;
pub mod metrics;
pub mod model;
pub mod per_process;
pub mod procedure;
pub mod progress;
pub mod quote;
pub mod schema;
pub mod script;
pub mod services;
pub mod span;
pub mod storage;
pub mod stream;
pub mod tape;
pub mod telemetry;
pub mod tool;
pub mod tracker;
pub mod value;

pub use context::Context;
pub use error::{Error, ErrorKind, Result};
pub use value::Value;
