//! Fields of records, as a script puts them together.

use aikit_core::{Error, ErrorKind, logger::SCRIPT_FIELDS_MAX};
use mlua::{Function, Lua, LuaString, Table, Value};

use super::error;

/// `Log.compose_context_fields`: of two fields with the same name the later wins.
pub(super) fn compose(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, all: Vec<Table>| {
        let mut composed = Fields {
            names: Vec::new(),
            constants: lua.create_table()?,
        };
        for (index, table) in all.iter().enumerate() {
            composed.add(index + 1, table)?;
        }
        for name in composed.names {
            composed.constants.raw_push(name)?;
        }
        Ok(composed.constants)
    })
}

/// What [`compose`] has found until now.
struct Fields {
    /// Names of metadata of the Context.
    names: Vec<LuaString>,
    /// Fields by their names.
    constants: Table,
}

impl Fields {
    fn add(&mut self, position: usize, table: &Table) -> mlua::Result<()> {
        let length = table.raw_len();
        // Each is looked for among those before it.
        if length + self.names.len() > SCRIPT_FIELDS_MAX {
            let message = format!(
                "`Log.compose_context_fields`: more than {SCRIPT_FIELDS_MAX} names of metadata"
            );
            let error = Error::new(ErrorKind::LimitExceeded, message);
            return Err(error::to_lua(
                error.with_hint("name those that each record needs"),
            ));
        }
        for index in 1..=length {
            let Value::String(name) = table.raw_get(index)? else {
                return Err(no_name(position, &index.to_string()));
            };
            self.constants.raw_set(&name, Value::Nil)?;
            self.names.retain(|it| *it != name);
            self.names.push(name);
        }
        for pair in table.pairs::<Value, Value>() {
            match pair? {
                (Value::String(name), value) => {
                    self.names.retain(|it| *it != name);
                    self.constants.raw_set(name, value)?;
                }
                (Value::Integer(index), _)
                    if usize::try_from(index).is_ok_and(|it| (1..=length).contains(&it)) => {}
                (key, _) => return Err(no_name(position, &key.to_string()?)),
            }
        }
        Ok(())
    }
}

fn no_name(position: usize, key: &str) -> mlua::Error {
    let message = format!("`Log.compose_context_fields`: `fields[{position}][{key}]` is no name");
    let hint = "name metadata of the Context, or write `name = value`";
    error::to_lua(Error::invalid_args(message).with_hint(hint))
}
