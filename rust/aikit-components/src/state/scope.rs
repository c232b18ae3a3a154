//! Scopes: who shares a state.

use std::{fmt, str::FromStr};

use aikit_core::{Error, Result};

use crate::project;

/// Longest identity of a scope in bytes.
pub(super) const ID_BYTES_MAX: usize = 256;

/// Who shares a state.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scope {
    /// Everybody of the tenant.
    #[default]
    Global,
    /// One user.
    User(String),
    /// One session.
    Session(String),
    /// One agent.
    Agent(String),
    /// One workflow.
    Workflow(String),
    /// One tool.
    Tool(String),
    /// Whoever knows the name.
    Custom(String),
}

/// A word before the colon, and what it makes of an identity.
type Kind = (&'static str, fn(String) -> Scope);

const KINDS: &[Kind] = &[
    ("user", Scope::User),
    ("session", Scope::Session),
    ("agent", Scope::Agent),
    ("workflow", Scope::Workflow),
    ("tool", Scope::Tool),
    ("custom", Scope::Custom),
];

impl FromStr for Scope {
    type Err = Error;

    /// Reads `global` or `KIND:ID`.
    fn from_str(text: &str) -> Result<Self> {
        if text == "global" {
            return Ok(Self::Global);
        }
        let (kind, id) = text.split_once(':').unwrap_or((text, ""));
        let Some((_, make)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            let shown: String = text.chars().take(40).collect();
            let kinds: Vec<String> = KINDS.iter().map(|(it, _)| format!("`{it}:ID`")).collect();
            return Err(
                Error::invalid_args(format!("`{}` is no scope", shown.escape_debug()))
                    .with_hint(format!("use `global` or one of {}", kinds.join(", "))),
            );
        };
        project::check_name(
            &format!("the identity of the scope `{kind}`"),
            id,
            ID_BYTES_MAX,
        )?;
        Ok(make(id.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = match self {
            Self::Global => return f.write_str("global"),
            Self::User(id) => ("user", id),
            Self::Session(id) => ("session", id),
            Self::Agent(id) => ("agent", id),
            Self::Workflow(id) => ("workflow", id),
            Self::Tool(id) => ("tool", id),
            Self::Custom(id) => ("custom", id),
        };
        write!(f, "{kind}:{id}")
    }
}
