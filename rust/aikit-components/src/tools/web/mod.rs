//! Tools that use the network.

mod read_webpage;
mod request_http;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<request_http::RequestHttp>,
    built_in::<read_webpage::ReadWebpage>,
];
