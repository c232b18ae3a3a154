//! A picture of the names of a session, so that completion and inspection answer while a cell runs.
//!
//! It is brought up to date after every cell, so it must cost little when little changed: Lua looks
//! for the variables that did, and only these are looked at here.

use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaString, Table, Value};

use super::{
    library::{Entry, Originals},
    object::ObjectHandle,
    raw,
    state::State,
    text,
};

/// Most members of one table that are looked at.
const MEMBERS_MAX: usize = 500;
/// Most names in all, members included, after which no further variable is looked at.
const NAMES_MAX: usize = 20_000;
/// How much of a text a preview looks at, in bytes.
const PREVIEW_BYTES_MAX: usize = 512;
/// Longer texts are looked at each time: to compare them, the last one would have to be kept.
const COMPARED_BYTES_MAX: usize = 256;

/// A picture of the names of a session.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Local variables of earlier cells; they hide globals of the same name.
    locals: BTreeMap<String, Name>,
    globals: BTreeMap<String, Name>,
}

/// What is known about one variable.
#[derive(Debug)]
pub(super) struct Name {
    /// What it is, in one word.
    pub(super) kind: &'static str,
    /// What it is, in a line.
    pub(super) preview: String,
    /// Class of an object.
    pub(super) class: Option<&'static str>,
    /// What it is of Lua's own.
    pub(super) entry: Option<&'static Entry>,
    /// Members of a table.
    pub(super) members: BTreeMap<String, Member>,
}

/// What is known about a member of a table.
#[derive(Debug)]
pub(super) struct Member {
    /// What it is, in one word.
    pub(super) kind: &'static str,
    /// What it is of Lua's own, where the table is a library.
    pub(super) entry: Option<&'static Entry>,
}

/// What a look at the session found.
#[derive(Debug)]
pub(super) struct Look {
    locals: BTreeMap<String, Name>,
    /// Globals that changed; `None` for one that is gone.
    globals: BTreeMap<String, Option<Name>>,
    /// Whether these are all globals.
    is_whole: bool,
}

impl Names {
    /// Brings the picture up to date. The look is another step, because it runs code of Lua, and
    /// nobody may hold the picture meanwhile.
    pub(super) fn refresh(&mut self, look: Look) {
        self.locals = look.locals;
        if look.is_whole {
            self.globals.clear();
        }
        for (name, known) in look.globals {
            match known {
                Some(known) => self.globals.insert(name, known),
                None => self.globals.remove(&name),
            };
        }
    }

    /// All variables and what is known about them, in the order of their names.
    pub(super) fn all(&self) -> BTreeMap<&str, &Name> {
        let both = self.globals.iter().chain(&self.locals);
        both.map(|(name, known)| (name.as_str(), known)).collect()
    }

    /// What is known about one.
    pub(super) fn get(&self, name: &str) -> Option<&Name> {
        self.locals.get(name).or_else(|| self.globals.get(name))
    }
}

impl Look {
    /// Looks at the local variables of earlier cells, and at the globals that changed.
    pub(super) fn at(state: &State) -> Self {
        let mut total = 0;
        let originals = &*state.originals.borrow();
        // Local variables come first where there are too many.
        let kept: Vec<String> = state.kept.borrow().keys().cloned().collect();
        let locals = kept.into_iter().take(NAMES_MAX).map(|name| {
            let known = Name::of(&name, &state.kept_value(&name), originals, &mut total);
            (name, known)
        });
        let locals = locals.collect();
        let globals = state.lua.globals();
        // Without an answer, and when there are too many names to compare, all are looked at.
        let asked = state.changes.call((&globals, originals.libraries()));
        let changes: Option<Table> = asked.ok().flatten();
        let is_whole = changes.is_none();
        let globals = match changes {
            Some(changes) => changed(&globals, originals, &changes),
            None => all(&globals, originals, total),
        };
        Self {
            locals,
            globals,
            is_whole,
        }
    }
}

fn changed(
    globals: &Table,
    originals: &Originals,
    changes: &Table,
) -> BTreeMap<String, Option<Name>> {
    let names = changes.pairs::<LuaString, bool>().flatten();
    let looked = names.map(|(name, _)| {
        let value = globals.raw_get(&name).unwrap_or(Value::Nil);
        let name = name.to_string_lossy();
        let known = (!value.is_nil()).then(|| Name::of(&name, &value, originals, &mut 0));
        (name, known)
    });
    looked.collect()
}

fn all(globals: &Table, originals: &Originals, mut total: usize) -> BTreeMap<String, Option<Name>> {
    let mut names = BTreeMap::new();
    for (key, value) in globals.pairs::<Value, Value>().flatten().take(NAMES_MAX) {
        if total >= NAMES_MAX {
            break;
        }
        if let Value::String(name) = key {
            let name = name.to_string_lossy();
            let known = Name::of(&name, &value, originals, &mut total);
            names.insert(name, Some(known));
        }
    }
    names
}

impl Name {
    /// Whether it is a text, whose methods are those of `string`.
    pub(super) fn is_text(&self) -> bool {
        self.preview.starts_with("string ")
    }

    /// What is known about what a name means; `total` counts the names.
    pub(super) fn of(name: &str, value: &Value, originals: &Originals, total: &mut usize) -> Self {
        *total += 1;
        let entry = originals.find_at(name, value);
        let library = entry.filter(|it| it.is_library());
        let mut class = None;
        let mut members = BTreeMap::new();
        let preview = match value {
            Value::Table(table) if *total < NAMES_MAX => {
                let pairs = table.pairs::<Value, Value>().flatten().take(MEMBERS_MAX);
                let mut named = 0;
                for (key, value) in pairs {
                    if let Value::String(key) = key {
                        named += 1;
                        if key.as_bytes().len() <= raw::MEMBER_BYTES_MAX {
                            let key = key.to_string_lossy();
                            let entry = library.and_then(|library| {
                                originals.find_at(&format!("{}.{key}", library.name), &value)
                            });
                            let kind = kind(&value);
                            members.insert(key, Member { kind, entry });
                        }
                    }
                }
                *total += named;
                let length = table.raw_len();
                format!("table of {length} items and {named} named members")
            }
            Value::UserData(userdata) => match userdata.borrow::<ObjectHandle>() {
                Ok(handle) => {
                    class = Some(handle.class.name);
                    handle.class.summary.to_owned()
                }
                Err(_) => "object".to_owned(),
            },
            Value::String(text) => {
                // Never the whole of it: this runs after every cell.
                let shown: String = text::beginning(text, PREVIEW_BYTES_MAX)
                    .chars()
                    .take(60)
                    .collect();
                format!("string of {} bytes: {shown:?}", text.as_bytes().len())
            }
            Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => {
                format!("{} {}", value.type_name(), text::of(value))
            }
            other => other.type_name().to_owned(),
        };
        Self {
            kind: kind(value),
            preview,
            class,
            entry,
            members,
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Function(_) => "function",
        Value::Table(_) => "table",
        _ => "variable",
    }
}

/// Makes the function that finds which globals changed since it was called last: their names as
/// keys of a table, those that are gone among them; `nil` when there are too many names. Its second
/// argument has as keys the tables of which every member is compared.
///
/// # Errors
///
/// When Lua has no memory left.
pub(super) fn changes(lua: &Lua) -> mlua::Result<Function> {
    let limits = (MEMBERS_MAX, NAMES_MAX, COMPARED_BYTES_MAX);
    let given = (raw::shape(lua)?, limits.0, limits.1, limits.2);
    lua.load(CHANGES).set_name("=[aikit]").call(given)
}

/// It keeps nothing of the script alive: what was there last time is remembered weakly, and long
/// texts not at all. No metamethod is called.
const CHANGES: &str = r#"
local shape, members_max, names_max, compared_max = ...
local next, type, rawequal, rawget = next, type, rawequal, rawget
local mathtype, setmetatable = math.type, setmetatable
local known = {}
local seen = setmetatable({}, {__mode = "v"})
local looks = setmetatable({}, {__mode = "k"})
local pass = 0

-- Whether other members, or another length, than last time; and how many named members.
local function look(value, is_exact)
  local last = looks[value]
  if last and last.pass == pass then return last.is_new, 0 end
  local now, named = shape(value, members_max, is_exact)
  last = last or {}
  looks[value] = last
  last.pass, last.is_new, last.shape = pass, last.shape ~= now, now
  return last.is_new, named
end

return function(globals, exact)
  pass = pass + 1
  local changed, total = {}, 0
  for name, value in next, globals do
    if type(name) == "string" then
      total = total + 1
      local kind = type(value)
      local last = seen[name]
      -- One that is 1.0 now was another when it was 1.
      local is_new = not rawequal(last, value)
        or kind == "number" and mathtype(last) ~= mathtype(value)
      if kind == "table" then
        local is_reshaped, named = look(value, exact and exact[value])
        is_new, total = is_new or is_reshaped, total + named
      elseif kind == "string" and #value > compared_max then
        is_new, value = true, nil
      end
      if is_new then
        changed[name], known[name], seen[name] = true, true, value
      end
      if total > names_max then return nil end
    end
  end
  for name in next, known do
    if rawequal(rawget(globals, name), nil) then
      changed[name], known[name], seen[name] = true, nil, nil
    end
  end
  return changed
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that changed after each of some pieces of code.
    fn check(pieces: &[(&str, &[&str])]) {
        let lua = Lua::new();
        let ask = changes(&lua).unwrap();
        let globals = lua.globals();
        // Its members are the globals, so that it would change with each.
        globals.raw_remove("_G").unwrap();
        let look = || {
            let changed: Table = ask.call(&globals).unwrap();
            let mut names: Vec<String> = changed
                .pairs::<String, bool>()
                .map(|it| it.unwrap().0)
                .collect();
            names.sort();
            names
        };
        assert!(look().contains(&"string".to_owned()), "all at first");
        for (code, expected) in pieces {
            lua.load(*code).exec().unwrap();
            assert_eq!(look(), *expected, "{code}");
            assert_eq!(look(), [""; 0], "{code}, once");
        }
    }

    #[test]
    fn what_changed_is_found_and_nothing_else() {
        check(&[
            ("", &[]),
            ("x = 1 y = 'text' z = {}", &["x", "y", "z"]),
            ("x = 1", &[]),
            ("x = 1.0", &["x"]),
            ("x = nil", &["x"]),
            ("y = 'other' z.a = 1", &["y", "z"]),
            ("z.a = 2", &[]),
            ("z.a = print", &["z"]),
            ("z.a = nil z.b = print", &["z"]),
            ("z[1] = 1", &["z"]),
            ("string.trim = print", &["string"]),
            ("z = {b = print, 1}", &["z"]),
            ("also = z", &["also"]),
            ("z.c = 1", &["also", "z"]),
            ("function f() end", &["f"]),
        ]);
    }

    #[test]
    fn every_member_of_some_tables_is_compared() {
        let lua = Lua::new();
        let ask = changes(&lua).unwrap();
        lua.load("t = {n = 1, f = function() end, s = 'x'} other = {n = 1}")
            .exec()
            .unwrap();
        let exact: Table = lua.load("return {[t] = true}").eval().unwrap();
        let look = || ask.call::<Table>((lua.globals(), &exact)).unwrap();
        look();
        for code in [
            "t.n = 2",
            "t.n = 2.0",
            "t.n = false",
            "t.f = function() end",
            "t.s = 'y'",
            "t.s = nil",
        ] {
            lua.load(code).exec().unwrap();
            lua.load("other.n = other.n + 1").exec().unwrap();
            let changed = look();
            assert!(changed.contains_key("t").unwrap(), "{code}");
            assert!(!changed.contains_key("other").unwrap(), "{code}");
            assert!(!look().contains_key("t").unwrap(), "{code}, once");
        }
    }

    #[test]
    fn long_names_of_members_are_counted_and_not_compared() {
        check(&[
            ("z = {}", &["z"]),
            ("z[('x'):rep(1000)] = 1", &["z"]),
            ("z[('x'):rep(1000)] = nil z[('y'):rep(1000)] = 1", &[]),
            ("z[('x'):rep(1000)] = 1", &["z"]),
            ("z[('x'):rep(1000)] = nil z[('x'):rep(1001)] = 1", &["z"]),
        ]);
    }

    #[test]
    fn long_texts_are_looked_at_each_time_and_no_metamethod_is_asked() {
        let lua = Lua::new();
        let ask = changes(&lua).unwrap();
        let look = || ask.call::<Option<Table>>(lua.globals());
        lua.load(
            "long = ('x'):rep(1000)
             local angry = {__eq = error, __len = error, __pairs = error, __index = error}
             one, two = setmetatable({}, angry), setmetatable({}, angry)",
        )
        .exec()
        .unwrap();
        for _ in 0..2 {
            assert!(look().unwrap().unwrap().contains_key("long").unwrap());
        }
        lua.load("one, two = two, one").exec().unwrap();
        let changed = look().unwrap().unwrap();
        assert!(changed.contains_key("one").unwrap() && changed.contains_key("two").unwrap());
    }

    #[test]
    fn what_the_script_let_go_of_is_kept_by_nobody() {
        let lua = Lua::new();
        let ask = changes(&lua).unwrap();
        lua.load("held = {} weak = setmetatable({held}, {__mode = 'v'})")
            .exec()
            .unwrap();
        let _changed: Table = ask.call(lua.globals()).unwrap();
        lua.load("held = nil collectgarbage()").exec().unwrap();
        assert!(lua.load("return weak[1] == nil").eval::<bool>().unwrap());
        let changed: Table = ask.call(lua.globals()).unwrap();
        assert!(changed.contains_key("held").unwrap(), "its name is told");
    }

    #[test]
    fn too_many_names_are_not_compared() {
        let lua = Lua::new();
        let ask = changes(&lua).unwrap();
        lua.load("for i = 1, 20001 do _G['name' .. i] = i end")
            .exec()
            .unwrap();
        assert!(ask.call::<Option<Table>>(lua.globals()).unwrap().is_none());
    }
}
