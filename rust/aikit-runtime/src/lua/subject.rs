//! What somebody asks about: a name, and what stands there.

use mlua::{Table, Value};

use super::{callable, library::Entry, names::Name, object::ObjectHandle, state::State, text};
use crate::api;

/// Longest name that is looked for, in characters; what is longer is a text and no name.
const NAME_CHARS_MAX: usize = 200;
/// Most tables that are looked at for one member, each the `__index` of the one before.
const INDEXED_MAX: usize = 16;

/// A name that somebody asks about, and what stands there.
#[derive(Debug)]
pub(super) struct Subject {
    /// The name with its dots; the beginning of one that is too long.
    pub(super) name: String,
    /// What it is of Lua's own.
    pub(super) entry: Option<&'static Entry>,
    /// What its value is, in a line.
    pub(super) preview: Option<String>,
    /// Whether only code could tell what stands there.
    pub(super) is_hidden: bool,
}

/// What stands at a place, as far as it can be told without code.
enum Found {
    Value(Value),
    Nothing,
    /// An object or a function in `__index` decides, or too many tables do.
    Hidden,
}

impl Subject {
    /// Looks at what stands there; no code of the script runs.
    pub(super) fn of(state: &State, name: &str) -> Self {
        let mut subject = Self {
            name: name.to_owned(),
            entry: None,
            preview: None,
            is_hidden: false,
        };
        if let Some((end, _)) = name.char_indices().nth(NAME_CHARS_MAX) {
            subject.name.truncate(end);
            subject.name.push('…');
            return subject;
        }
        match value_at(state, name) {
            Found::Value(value) => {
                let originals = &*state.originals.borrow();
                subject.entry = originals.find_at(name, &value);
                subject.preview = Some(Name::of(name, &value, originals, &mut 0).preview);
            }
            Found::Nothing => {}
            Found::Hidden => subject.is_hidden = true,
        }
        subject
    }

    /// The same of a value: a text is a name; modules, functions, methods, classes and variables
    /// have one.
    ///
    /// # Errors
    ///
    /// Only when Lua is out of memory.
    pub(super) fn about(state: &State, value: &Value) -> mlua::Result<Option<Self>> {
        if let Value::String(name) = value {
            // Of a long text only so much is copied as makes it too long; a character has at most
            // four bytes.
            let name = text::beginning(name, 4 * (NAME_CHARS_MAX + 1));
            return Ok(Some(Self::of(state, &name)));
        }
        // What has its name now may be something else.
        if let Some(entry) = state.originals.borrow().find(value) {
            return Ok(Some(Self {
                name: entry.name.to_owned(),
                entry: Some(entry),
                preview: None,
                is_hidden: false,
            }));
        }
        let name = name_of(state, value)?;
        Ok(name.map(|name| Self::of(state, &name)))
    }
}

fn name_of(state: &State, subject: &Value) -> mlua::Result<Option<String>> {
    if let Value::UserData(userdata) = subject
        && let Ok(handle) = userdata.borrow::<ObjectHandle>()
    {
        return Ok(Some(handle.class.name.to_owned()));
    }
    let globals = state.lua.globals();
    for module in api::MODULES {
        let owner: Value = if module.name.is_empty() {
            Value::Table(globals.clone())
        } else {
            globals.raw_get(module.name)?
        };
        if owner == *subject && !module.name.is_empty() {
            return Ok(Some(module.name.to_owned()));
        }
        // A script may have put something else in the place of a module.
        let Value::Table(owner) = owner else {
            continue;
        };
        for function in module.functions {
            if owner.raw_get::<Value>(function.name)? == *subject {
                let is_global = module.name.is_empty();
                let owner = if is_global { "" } else { module.name };
                let dot = if is_global { "" } else { "." };
                return Ok(Some(format!("{owner}{dot}{}", function.name)));
            }
        }
    }
    for (class, methods) in state.classes.borrow().iter() {
        for pair in methods.pairs::<String, Value>() {
            let (method, function) = pair?;
            if function == *subject {
                return Ok(Some(format!("{class}:{method}")));
            }
        }
    }
    let member = state.members.borrow();
    let member = member
        .iter()
        .find(|(_, function)| Value::Function((*function).clone()) == *subject);
    if let Some((name, _)) = member {
        return Ok(Some(name.clone()));
    }
    Ok(callable::variable_of(state, subject))
}

/// What a variable is, or a member below it; a method of a text as well.
fn value_at(state: &State, name: &str) -> Found {
    let mut path = name.split(['.', ':']);
    let first = path.next().unwrap_or_default();
    let value = if state.kept.borrow().contains_key(first) {
        state.kept_value(first)
    } else {
        raw(&state.lua.globals(), first)
    };
    let mut found = Found::Value(value);
    // The members of a module are asked for elsewhere, and there are no others.
    let is_module = api::module(first).is_some();
    for (depth, member) in path.enumerate() {
        let Found::Value(owner) = found else {
            return found;
        };
        found = member_of(state, owner, member);
        if is_module && depth == 0 && matches!(found, Found::Hidden) {
            return Found::Nothing;
        }
    }
    match found {
        Found::Value(Value::Nil) => Found::Nothing,
        found => found,
    }
}

/// A member of a value, also of the tables that stand behind it.
fn member_of(state: &State, owner: Value, member: &str) -> Found {
    let mut owner = owner;
    for _ in 0..INDEXED_MAX {
        let table = match owner {
            Value::Table(table) => table,
            Value::String(_) => match raw(&state.lua.globals(), "string") {
                Value::Table(table) => table,
                _ => return Found::Nothing,
            },
            Value::UserData(userdata) => {
                let handle = userdata.borrow::<ObjectHandle>();
                let has_member = |class: &api::ApiClass| {
                    let mut fields = class.fields.iter();
                    class.method(member).is_some() || fields.any(|(name, _)| *name == member)
                };
                // What a class does not have, its objects have not either.
                return match handle {
                    Ok(handle) if !has_member(handle.class) => Found::Nothing,
                    _ => Found::Hidden,
                };
            }
            _ => return Found::Nothing,
        };
        let value = raw(&table, member);
        if !value.is_nil() {
            return Found::Value(value);
        }
        let Some(metatable) = table.metatable() else {
            return Found::Nothing;
        };
        owner = raw(&metatable, "__index");
        match owner {
            Value::Nil => return Found::Nothing,
            Value::Table(_) | Value::UserData(_) | Value::String(_) => {}
            _ => return Found::Hidden,
        }
    }
    Found::Hidden
}

fn raw(table: &Table, key: &str) -> Value {
    table.raw_get(key).unwrap_or(Value::Nil)
}
