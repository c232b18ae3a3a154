//! Tools: the table of those built in, the registry of a session, and the only way to call one.

mod computation;
mod data;
mod file;
mod function;
mod invoke;
mod knowledge;
mod registry;
mod schema;
mod system;
mod text;
mod web;

use aikit_core::{services::Permission, tool::ToolConstructor};

pub(crate) use self::schema::Schema;
pub use self::{
    function::{FunctionTool, FunctionToolOptions},
    invoke::{invoke, invoke_as},
    registry::Registry,
};
// What a tool that has acted reports must fit its answer.
use crate::security::limits::fit;

/// Every built-in tool, by folder, in the order of the reference page.
pub const BUILT_IN: &[(&str, &[ToolConstructor])] = &[
    ("text", text::TOOLS),
    ("data", data::TOOLS),
    ("file", file::TOOLS),
    ("web", web::TOOLS),
    ("system", system::TOOLS),
    ("knowledge", knowledge::TOOLS),
];

/// Tools an agent can be given together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Name, where a tool's name is expected.
    pub name: &'static str,
    /// What is in it.
    pub summary: &'static str,
    contains: fn(folder: &str, permissions: &[Permission]) -> bool,
}

/// The groups, in the order of the reference page.
pub const GROUPS: &[Group] = &[
    Group {
        name: "text",
        summary: "Tools that look at text.",
        contains: |folder, _| folder == "text",
    },
    Group {
        name: "data",
        summary: "Tools that compute with numbers and structured data.",
        contains: |folder, _| folder == "data",
    },
    Group {
        name: "files_read",
        summary: "Tools that read files.",
        contains: |_, permissions| permissions == [Permission::FileRead],
    },
    Group {
        name: "files",
        summary: "Tools that read, write, list and delete files.",
        contains: |folder, _| folder == "file",
    },
    Group {
        name: "web",
        summary: "Tools that use the network.",
        contains: |folder, _| folder == "web",
    },
    Group {
        name: "system",
        summary: "Tools that use the machine, such as its programs.",
        contains: |folder, _| folder == "system",
    },
    Group {
        name: "knowledge",
        summary: "Tools that know, or ask who knows.",
        contains: |folder, _| folder == "knowledge",
    },
    Group {
        name: "safe",
        summary: "Built-in tools that need no permission.",
        contains: |_, permissions| permissions.is_empty(),
    },
];
