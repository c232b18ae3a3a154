//! The tools of one session: those built in and the user's own.

use std::sync::{Arc, PoisonError, RwLock};

use aikit_core::{
    Error, Result,
    tool::{self, DynTool, ToolSpec},
};
use indexmap::IndexMap;

use super::{BUILT_IN, GROUPS, Group};
use crate::nearest;

/// The tools of one session, by name. Cheap to clone; all clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<IndexMap<String, Entry>>>);

#[derive(Clone, Debug)]
struct Entry {
    tool: Arc<dyn DynTool>,
    /// Folder of a built-in tool; the user's tools have none.
    folder: Option<&'static str>,
}

impl Registry {
    /// A registry with every built-in tool.
    pub fn with_built_ins() -> Self {
        let entries = BUILT_IN.iter().flat_map(|(folder, tools)| {
            tools.iter().map(move |construct| {
                let tool = construct();
                (
                    tool.spec().name.clone(),
                    Entry {
                        tool,
                        folder: Some(*folder),
                    },
                )
            })
        });
        Self(Arc::new(RwLock::new(entries.collect())))
    }

    /// Adds a tool of the user's; one of the user's with the same name is replaced, so that a
    /// cell can be run again.
    ///
    /// # Errors
    ///
    /// `invalid_args` when the name belongs to a built-in tool or a group, or is no name.
    pub fn add(&self, tool: Arc<dyn DynTool>) -> Result<()> {
        let name = tool.spec().name.clone();
        tool::check_name(&name)?;
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_taken = GROUPS.iter().any(|group| group.name == name)
            || entries
                .get(&name)
                .is_some_and(|entry| entry.folder.is_some());
        if is_taken {
            return Err(Error::invalid_args(format!(
                "`{name}` is the name of a built-in tool or group"
            ))
            .with_hint("choose another name"));
        }
        entries.insert(name, Entry { tool, folder: None });
        Ok(())
    }

    /// Finds a tool by its name.
    ///
    /// # Errors
    ///
    /// `not_found`, with the nearest names.
    pub fn find(&self, name: &str) -> Result<Arc<dyn DynTool>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(name)
            .map(|entry| Arc::clone(&entry.tool))
            .ok_or_else(|| {
                let known = entries.keys().map(String::as_str);
                let all = entries
                    .keys()
                    .map(|it| format!("`{it}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                Error::not_found(format!("no tool named `{name}`")).with_hint(nearest::hint(
                    name,
                    known,
                    format!("the tools are {all}"),
                ))
            })
    }

    /// What is known about each tool, built-in ones first.
    pub fn list(&self) -> Vec<ToolSpec> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .values()
            .map(|entry| entry.tool.spec().clone())
            .collect()
    }

    /// The tools behind names of tools and of groups, each once, in the order they are named.
    ///
    /// # Errors
    ///
    /// `not_found` for a name that is neither, with the nearest names.
    pub fn resolve(&self, names: &[String]) -> Result<Vec<Arc<dyn DynTool>>> {
        let mut found: IndexMap<String, Arc<dyn DynTool>> = IndexMap::new();
        for name in names {
            let tools = match GROUPS.iter().find(|group| group.name == name) {
                Some(group) => self.members(group),
                None => vec![self.find(name)?],
            };
            found.extend(
                tools
                    .into_iter()
                    .map(|tool| (tool.spec().name.clone(), tool)),
            );
        }
        Ok(found.into_values().collect())
    }

    /// Adds what a name of a tool or of a group means to `tools`; what is there already, by itself
    /// or with another group, counts once.
    ///
    /// # Errors
    ///
    /// As of [`Registry::resolve`].
    pub fn resolve_into(&self, tools: &mut Vec<Arc<dyn DynTool>>, name: String) -> Result<()> {
        for tool in self.resolve(&[name])? {
            if !tools.iter().any(|it| Arc::ptr_eq(it, &tool)) {
                tools.push(tool);
            }
        }
        Ok(())
    }

    fn members(&self, group: &Group) -> Vec<Arc<dyn DynTool>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_member = |entry: &&Entry| {
            let permissions = &entry.tool.spec().permissions;
            entry
                .folder
                .is_some_and(|folder| (group.contains)(folder, permissions))
        };
        entries
            .values()
            .filter(is_member)
            .map(|entry| Arc::clone(&entry.tool))
            .collect()
    }
}
