//! Tools that compute with numbers and structured data.

mod calculate;
mod query_json;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<calculate::Calculate>,
    built_in::<query_json::QueryJson>,
];
