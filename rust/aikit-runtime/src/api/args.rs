//! Arguments: data with functions and objects at any place in it, and their checked form.

use std::sync::Arc;

use aikit_core::{
    Context, Error, Result, Value,
    script::{Callable, ObjectId},
    value::Map,
};
use indexmap::IndexMap;

/// An object handed over by its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRef {
    /// Identity in the session's table.
    pub id: ObjectId,
    /// Name of its class, as the script's side knows it; the table decides.
    pub class: String,
}

/// One argument. What is pure data is always a [`Arg::Value`]; the list and the map stand for
/// those that hold a function or an object somewhere inside.
#[derive(Clone, Debug)]
pub enum Arg {
    /// Data.
    Value(Value),
    /// A function to call back.
    Callable(Arc<dyn Callable>),
    /// An object of the session.
    Object(ObjectRef),
    /// A list with functions or objects in it.
    List(Vec<Self>),
    /// A table with functions or objects in it.
    Map(IndexMap<String, Self>),
    /// A value of the engine's own, such as a task, by the name of its type. It never crosses: it
    /// stands for the value where an engine has its own functions' arguments checked.
    Opaque(&'static str),
}

impl Arg {
    /// A list; plain data when every item is.
    pub fn list(items: Vec<Self>) -> Self {
        if items.iter().all(Self::is_data) {
            Self::Value(items.into_iter().filter_map(Self::into_data).collect())
        } else {
            Self::List(items)
        }
    }

    /// A table; plain data when every member is.
    pub fn map(members: IndexMap<String, Self>) -> Self {
        if members.values().all(Self::is_data) {
            let members = members.into_iter();
            let data = members.filter_map(|(key, arg)| Some((key, arg.into_data()?)));
            Self::Value(Value::Map(data.collect::<Map>()))
        } else {
            Self::Map(members)
        }
    }

    const fn is_data(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    fn into_data(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl From<Value> for Arg {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// Arguments that were checked against the parameters of a function, by name.
#[derive(Debug)]
pub struct Args {
    /// What flows with the call.
    pub cx: Context,
    /// The object a method is called on.
    pub this: Option<ObjectId>,
    named: IndexMap<String, Arg>,
}

impl Args {
    pub(super) const fn new(
        cx: Context,
        this: Option<ObjectId>,
        named: IndexMap<String, Arg>,
    ) -> Self {
        Self { cx, this, named }
    }

    /// Takes the argument `name` out; `None` when it was left out.
    pub fn take(&mut self, name: &str) -> Option<Arg> {
        self.named.shift_remove(name)
    }

    /// Takes a table of options; an empty one when it was left out.
    #[must_use]
    pub fn options(&mut self, name: &str) -> Self {
        let named = match self.take(name) {
            Some(Arg::Map(members)) => members,
            _ => IndexMap::new(),
        };
        Self::new(self.cx.clone(), self.this, named)
    }

    /// Takes data; `null` when it was left out.
    pub fn value(&mut self, name: &str) -> Value {
        self.take(name)
            .and_then(Arg::into_value)
            .unwrap_or_default()
    }

    /// Takes a text, if it was given.
    pub fn string(&mut self, name: &str) -> Option<String> {
        match self.value(name) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Takes a text that the check has seen.
    ///
    /// # Errors
    ///
    /// `internal` when the row does not declare `name` as required.
    pub fn required_string(&mut self, name: &str) -> Result<String> {
        self.string(name).ok_or_else(|| undeclared(name))
    }

    /// Takes a function that the check has seen.
    ///
    /// # Errors
    ///
    /// `internal` when the row does not declare `name` as required.
    pub fn required_function(&mut self, name: &str) -> Result<Arc<dyn Callable>> {
        match self.take(name) {
            Some(Arg::Callable(function)) => Ok(function),
            _ => Err(undeclared(name)),
        }
    }

    /// Takes a function, if one was given.
    pub fn function(&mut self, name: &str) -> Option<Arc<dyn Callable>> {
        match self.take(name) {
            Some(Arg::Callable(function)) => Some(function),
            _ => None,
        }
    }

    /// Takes a count or size, if it was given.
    ///
    /// # Errors
    ///
    /// `invalid_args` when it is negative.
    pub fn size(&mut self, name: &str) -> Result<Option<usize>> {
        let value = self.value(name);
        if value.is_null() {
            return Ok(None);
        }
        let size = value.as_i64().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| {
            Error::invalid_args(format!(
                "`{name}` must not be negative, but it is `{value}`"
            ))
        })
    }

    /// Takes a number, if it was given.
    pub fn number(&mut self, name: &str) -> Option<f64> {
        self.value(name).as_f64()
    }

    /// Takes the items of a list; none when it was left out.
    pub fn items(&mut self, name: &str) -> Vec<Arg> {
        match self.take(name) {
            Some(Arg::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// Takes the items of a list of texts.
    pub fn strings(&mut self, name: &str) -> Vec<String> {
        let items = self.items(name).into_iter();
        let texts = items.filter_map(|item| match item {
            Arg::Value(Value::String(text)) => Some(text),
            _ => None,
        });
        texts.collect()
    }
}

impl Arg {
    /// The data of a checked argument, checked lists and tables of data included.
    pub fn into_value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Map(members) => {
                let members = members.into_iter();
                let data: Option<Map> = members
                    .map(|(key, arg)| Some((key, arg.into_value()?)))
                    .collect();
                data.map(Value::Map)
            }
            Self::Callable(_) | Self::Object(_) | Self::Opaque(_) => None,
        }
    }
}

fn undeclared(name: &str) -> Error {
    Error::internal(format!(
        "a row of the API table reads `{name}` without declaring it"
    ))
}
