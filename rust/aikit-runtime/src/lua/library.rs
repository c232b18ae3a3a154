//! What a script finds of Lua's own libraries, for help and inspection.

mod control;
mod values;

use std::{collections::HashMap, fmt::Write as _};

use mlua::{Lua, Table, Value};

/// One function, one other value or one library.
#[derive(Debug)]
pub(super) struct Entry {
    /// Name with that of its library: `string.rep`.
    pub(super) name: &'static str,
    kind: Kind,
    summary: &'static str,
}

#[derive(Debug)]
enum Kind {
    /// What it takes, and what it returns.
    Function(&'static str, &'static str),
    Value,
    Library,
}

const fn function(
    name: &'static str,
    takes: &'static str,
    returns: &'static str,
    summary: &'static str,
) -> Entry {
    Entry {
        name,
        kind: Kind::Function(takes, returns),
        summary,
    }
}

const fn value(name: &'static str, summary: &'static str) -> Entry {
    Entry {
        name,
        kind: Kind::Value,
        summary,
    }
}

const fn library(name: &'static str, summary: &'static str) -> Entry {
    Entry {
        name,
        kind: Kind::Library,
        summary,
    }
}

/// Every name of the environment that is Lua's own: the functions of no library first.
fn entries() -> impl Iterator<Item = &'static Entry> {
    control::ENTRIES.iter().chain(values::ENTRIES)
}

impl Entry {
    /// The function with its parameters, or the name alone.
    fn usage(&self) -> String {
        match self.kind {
            Kind::Function(takes, _) => format!("{}({takes})", self.name),
            Kind::Value | Kind::Library => self.name.to_owned(),
        }
    }

    /// Whether it is a library.
    pub(super) const fn is_library(&self) -> bool {
        matches!(self.kind, Kind::Library)
    }

    /// The description, as Markdown.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("**{}**\n\n{}", self.usage(), self.summary);
        match self.kind {
            Kind::Function(_, returns) => {
                let _ = write!(text, "\n\nReturns {returns}.");
            }
            Kind::Library => {
                text.push('\n');
                for member in members(self.name) {
                    let _ = write!(text, "\n- `{}`: {}", member.usage(), member.summary);
                }
            }
            Kind::Value => {}
        }
        text
    }
}

/// The entry of a name with its dots.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

/// The entry of a name whose letters may be large where they should be small, or the other way
/// round.
pub(super) fn meant(name: &str) -> Option<&'static Entry> {
    let is_it = |entry: &&Entry| entry.name.eq_ignore_ascii_case(name);
    entries().find(is_it)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    entries().map(|entry| entry.name)
}

/// The names without a dot: the functions of no library, and the libraries.
pub(super) fn globals() -> impl Iterator<Item = &'static str> {
    names().filter(|name| !name.contains('.'))
}

fn members(library: &str) -> impl Iterator<Item = &'static Entry> {
    let is_member = move |entry: &&Entry| {
        let owner = entry.name.split_once('.').map(|(owner, _)| owner);
        owner == Some(library)
    };
    entries().filter(is_member)
}

/// The functions and tables that the entries describe, as a script finds them first. A script may
/// put others in their place.
#[derive(Debug, Default)]
pub(super) struct Originals {
    /// By their addresses, which nothing else gets as long as they stand here.
    entries: HashMap<usize, (Value, &'static Entry)>,
    /// Numbers and texts by their names: others may be equal.
    plain: HashMap<&'static str, (Value, &'static Entry)>,
    /// The libraries, as keys.
    libraries: Option<Table>,
}

impl Originals {
    /// Those of an environment in which the script has not run yet.
    ///
    /// # Errors
    ///
    /// Only when Lua is out of memory.
    pub(super) fn of(lua: &Lua) -> mlua::Result<Self> {
        let globals = lua.globals();
        let libraries = lua.create_table()?;
        let mut originals = Self::default();
        for entry in entries() {
            let found: Value = match entry.name.split_once('.') {
                Some((owner, name)) => globals.raw_get::<Table>(owner)?.raw_get(name)?,
                None => globals.raw_get(entry.name)?,
            };
            if entry.is_library() {
                libraries.raw_set(&found, true)?;
            }
            if let Value::Function(_) | Value::Table(_) = found {
                let address = found.to_pointer().addr();
                originals.entries.insert(address, (found, entry));
            } else {
                originals.plain.insert(entry.name, (found, entry));
            }
        }
        originals.libraries = Some(libraries);
        Ok(originals)
    }

    /// What a value is of Lua's own.
    pub(super) fn find(&self, value: &Value) -> Option<&'static Entry> {
        let (original, entry) = self.entries.get(&value.to_pointer().addr())?;
        (original == value).then_some(*entry)
    }

    /// The same of a value that has this name, with its dots.
    pub(super) fn find_at(&self, name: &str, value: &Value) -> Option<&'static Entry> {
        self.find(value).or_else(|| {
            let (original, entry) = self.plain.get(name)?;
            // An integer may equal a float.
            let is_same = original == value && original.type_name() == value.type_name();
            is_same.then_some(*entry)
        })
    }

    /// The libraries, as keys of a table.
    pub(super) const fn libraries(&self) -> Option<&Table> {
        self.libraries.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lua::{clock, natives, sandbox};

    /// The environment of a session without what the API table puts there.
    fn environment() -> Lua {
        let lua = sandbox::new_lua().unwrap();
        natives::install(&lua).unwrap();
        clock::install(&lua).unwrap();
        lua
    }

    fn is_library(name: &str, value: &Value) -> bool {
        matches!(value, Value::Table(_)) && name != "_G"
    }

    #[test]
    fn everything_of_lua_has_an_entry_and_every_entry_is_there() {
        let lua = environment();
        let mut there = BTreeSet::new();
        for pair in lua.globals().pairs::<String, Value>() {
            let (name, found) = pair.unwrap();
            if let Value::Table(library) = &found
                && is_library(&name, &found)
            {
                for member in library.pairs::<String, Value>() {
                    there.insert(format!("{name}.{}", member.unwrap().0));
                }
            }
            there.insert(name);
        }
        let described: BTreeSet<String> = names().map(str::to_owned).collect();
        assert_eq!(described, there);
        assert_eq!(described.len(), entries().count(), "no name twice");
    }

    #[test]
    fn entries_say_what_the_values_are() {
        let lua = environment();
        let originals = Originals::of(&lua).unwrap();
        for entry in entries() {
            let found: Value = lua.load(format!("return {}", entry.name)).eval().unwrap();
            let is_function = matches!(entry.kind, Kind::Function(..));
            assert_eq!(found.is_function(), is_function, "{}", entry.name);
            let is_member = entry.name.contains('.');
            let is_library = !is_member && is_library(entry.name, &found);
            assert_eq!(entry.is_library(), is_library, "{}", entry.name);
            if is_function || is_library {
                let original = originals.find(&found).unwrap();
                assert_eq!(original.name, entry.name);
            }
            let summary = entry.summary;
            assert!(
                summary.ends_with(['.', '…']) && summary.starts_with(char::is_uppercase),
                "{}: {summary}",
                entry.name
            );
        }
    }
}
