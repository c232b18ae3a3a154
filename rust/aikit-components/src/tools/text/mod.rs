//! Tools that look at text.

mod count_words;
mod diff_text;
mod match_regex;
mod render_template;

use aikit_core::tool::{ToolConstructor, built_in};

pub(super) use self::diff_text::unified;

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[
    built_in::<count_words::CountWords>,
    built_in::<match_regex::MatchRegex>,
    built_in::<diff_text::DiffText>,
    built_in::<render_template::RenderTemplate>,
];
