//! The script languages: a name and a constructor each.

use std::sync::Arc;

use aikit_core::{
    Error, Result,
    engine::{LanguageInfo, ScriptEngine},
};

use crate::{
    api::{Host, LocalHost, Session},
    lua::LuaEngine,
};

/// Starts an engine whose calls go to a host.
pub type EngineConstructor = fn(Arc<dyn Host>) -> Result<Arc<dyn ScriptEngine>>;

/// Every language, by the name that `open` takes.
pub const ENGINES: &[(&str, EngineConstructor)] =
    &[("lua", |host| Ok(Arc::new(LuaEngine::new(host)?)))];

/// What a front end needs to know about Lua, before there is an engine.
pub fn language() -> LanguageInfo {
    LuaEngine::language_info()
}

/// Starts an engine of the language `name` on a session in this process.
///
/// # Errors
///
/// `not_found` for an unknown language, `internal` when the engine cannot start.
pub fn open(name: &str, session: Session) -> Result<Arc<dyn ScriptEngine>> {
    let found = ENGINES.iter().find(|(language, _)| *language == name);
    let (_, start) = found.ok_or_else(|| {
        let names: Vec<String> = ENGINES
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        Error::not_found(format!("there is no script language `{name}`"))
            .with_hint(format!("the languages are {}", names.join(", ")))
    })?;
    start(Arc::new(LocalHost::new(session)))
}
