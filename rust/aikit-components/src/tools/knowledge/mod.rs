//! Tools that know: what the user says.

mod ask_user;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[built_in::<ask_user::AskUser>];
