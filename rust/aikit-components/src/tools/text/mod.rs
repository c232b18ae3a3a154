//! Tools that look at text.

mod count_words;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[built_in::<count_words::CountWords>];
