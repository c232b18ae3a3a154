//! Everything a script or a Python program can call.
//!
//! Each module may use those above it:
//!
//! ```text
//! backoff  html  nearest
//! plot
//! security
//! storage  vector
//! config
//! hooks  project
//! event_log  state
//! artifacts
//! sessions
//! http
//! telemetry
//! models  rag
//! tools
//! agents
//! registry
//! ```

pub mod agents;
pub mod artifacts;
mod backoff;
pub mod config;
pub mod event_log;
pub mod hooks;
pub mod html;
pub mod http;
pub mod models;
pub mod nearest;
pub mod plot;
pub mod project;
pub mod rag;
pub mod registry;
pub mod security;
pub mod sessions;
pub mod state;
pub mod storage;
pub mod telemetry;
pub mod tools;
pub mod vector;
