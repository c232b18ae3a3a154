//! Tools that use the machine.

mod run_process;

use aikit_core::tool::{ToolConstructor, built_in};

/// The tools of this folder.
pub(super) const TOOLS: &[ToolConstructor] = &[built_in::<run_process::RunProcess>];
