//! The Jupyter kernel: sockets, messages, and the loop between clients and a script engine.
//!
//! ```text
//! wire              messages as data
//! connection socket the connection file; five sockets, and a client's ends of them
//! shares            one bound for what several shells keep
//! client capture history archive
//! handlers          one file a subject, named like its file in `wire`
//! kernel life       the loop; signals and the parent; senders, which of them knew what
//! lane end          the cells of one shell; the end, whose parts share one time limit
//! boot              puts a session together, or what says why there is none: misconfigured
//! ```

mod archive;
pub mod boot;
mod capture;
pub mod client;
pub mod connection;
mod end;
mod handlers;
mod history;
pub mod kernel;
mod lane;
mod life;
mod misconfigured;
mod senders;
mod shares;
pub mod socket;
pub mod wire;

pub use archive::{HistoryPlace, OpenStore};
pub use handlers::input::Asker;
