//! Who acts, and on whose behalf.

/// Who typed or chose what is being done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Caller {
    /// Code typed by the owner.
    #[default]
    User,
    /// Arguments chosen by a model, or code written by one.
    Agent,
}

impl Caller {
    /// The word used in messages and audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
        }
    }
}

/// On whose behalf a call runs; set by the host, never by a script.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Principal {
    /// The user's identity.
    pub id: String,
    /// The tenant the user belongs to, if there are tenants.
    pub tenant_id: Option<String>,
    /// Roles granted by the host.
    pub roles: Vec<String>,
}
