//! What a function takes: names, kinds, and the one check of arguments against them.

use std::fmt::Write as _;

use aikit_components::nearest;
use aikit_core::{Error, Result, Value, value::Map};
use indexmap::IndexMap;

use super::{ApiFunction, Arg};

/// One parameter, or one named option of a table.
#[derive(Debug)]
pub struct Param {
    /// Name; a reserved word neither of Lua nor of Python.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value is shown nowhere, such as in errors.
    pub secret: bool,
    /// One sentence.
    pub summary: &'static str,
    /// Which texts it can be, or its items can, for the completion.
    pub known: Known,
}

/// The texts that an argument can be.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// Any, as far as the table knows.
    Nothing,
    /// These, which its summary, or that of its function, names.
    Texts(&'static [&'static str]),
    /// The names of the records that a function of the session without arguments lists, and others.
    Listed {
        /// Name of the module.
        module: &'static str,
        /// Name of the function.
        function: &'static str,
        /// The others.
        also: &'static [&'static str],
    },
}

/// A parameter that must be given.
pub const fn required(name: &'static str, kind: Kind, summary: &'static str) -> Param {
    Param {
        name,
        kind,
        required: true,
        secret: false,
        summary,
        known: Known::Nothing,
    }
}

/// A parameter that may be left out.
pub const fn optional(name: &'static str, kind: Kind, summary: &'static str) -> Param {
    Param {
        name,
        kind,
        required: false,
        secret: false,
        summary,
        known: Known::Nothing,
    }
}

/// An option that may be left out, and whose value is shown nowhere.
pub const fn secret(name: &'static str, kind: Kind, summary: &'static str) -> Param {
    Param {
        secret: true,
        ..optional(name, kind, summary)
    }
}

/// What an argument may be.
#[derive(Debug)]
pub enum Kind {
    /// Anything that is data.
    Any,
    /// Anything at all; only what an engine implements itself can take it.
    Anything,
    /// Any number of further values; the last parameter of what an engine implements itself.
    Rest,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text.
    String,
    /// A table with text keys.
    Table,
    /// A list of one kind.
    List(&'static Self),
    /// A function.
    Function,
    /// An object of the class of this name.
    Object(&'static str),
    /// A table of named options; others are refused.
    Options(&'static [Param]),
    /// The first of these that fits.
    Either(&'static [Self]),
}

impl Kind {
    /// The options of a table of options, those of an alternative included.
    pub fn options(&self) -> Box<dyn Iterator<Item = &'static Param>> {
        match self {
            Self::Options(options) => Box::new(options.iter()),
            Self::Either(kinds) => Box::new(kinds.iter().flat_map(Self::options)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Whether a list can be of this kind.
    pub fn is_list(&self) -> bool {
        match self {
            Self::List(_) => true,
            Self::Either(kinds) => kinds.iter().any(Self::is_list),
            _ => false,
        }
    }

    /// The kind in words: `string`, `list of number`, `function or Tool`.
    pub fn label(&self) -> String {
        match self {
            Self::Any | Self::Anything => "any value".to_owned(),
            Self::Rest => "any values".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::Table => "table".to_owned(),
            Self::List(item) => format!("list of {}", item.label()),
            Self::Function => "function".to_owned(),
            Self::Object(class) => (*class).to_owned(),
            Self::Options(_) => "table of options".to_owned(),
            Self::Either(kinds) => {
                let labels: Vec<String> = kinds.iter().map(Self::label).collect();
                labels.join(" or ")
            }
        }
    }

    /// The kind in words, with the options that a table needs.
    fn wanted(&self) -> String {
        let needed = match self {
            Self::Options(options) => needed(options),
            _ => Vec::new(),
        };
        match &*needed {
            [] => self.label(),
            needed => format!("{} with {}", self.label(), quoted(needed)),
        }
    }

    /// Whether the outer shape of `arg` is this kind's, to choose among alternatives.
    fn has_shape_of(&self, arg: &Arg) -> bool {
        match (self, arg) {
            (Self::Anything | Self::Rest, _)
            | (Self::Any, Arg::Value(_))
            | (Self::Boolean, Arg::Value(Value::Bool(_)))
            | (Self::String, Arg::Value(Value::String(_)))
            | (Self::Function, Arg::Callable(_) | Arg::Opaque("function"))
            | (Self::List(_), Arg::List(_) | Arg::Value(Value::List(_)))
            | (Self::Options(_), Arg::Map(_) | Arg::Value(Value::Map(_)))
            | (Self::Table, Arg::Value(Value::Map(_))) => true,
            // Scripts write an empty list like an empty table.
            (Self::List(_), Arg::Value(Value::Map(map))) => map.is_empty(),
            (Self::Table | Self::Options(_), Arg::Value(Value::List(items))) => items.is_empty(),
            (Self::Integer, Arg::Value(value)) => value.as_i64().is_some(),
            (Self::Number, Arg::Value(value)) => value.as_f64().is_some(),
            (Self::Object(class), Arg::Object(object)) => object.class == *class,
            (Self::Either(kinds), arg) => kinds.iter().any(|kind| kind.has_shape_of(arg)),
            _ => false,
        }
    }

    /// The argument in the form the implementations read, or why it does not fit.
    fn fit(&self, arg: Arg, path: &Path<'_>) -> Result<Arg> {
        if !self.has_shape_of(&arg) {
            return Err(match self {
                Self::Any | Self::Table => path.no_data(&arg),
                _ => None,
            }
            .unwrap_or_else(|| path.mismatch(&self.wanted(), &arg)));
        }
        match self {
            Self::Either(kinds) => {
                let fitting = kinds.iter().find(|kind| kind.has_shape_of(&arg));
                fitting.map_or_else(
                    || Err(path.mismatch(&self.label(), &Arg::Value(Value::Null))),
                    |kind| kind.fit(arg, path),
                )
            }
            Self::List(item) => {
                let items = arg.into_items().into_iter().enumerate();
                let fitted: Result<Vec<Arg>> = items
                    .map(|(index, arg)| item.fit(arg, &path.item(index + 1)))
                    .collect();
                Ok(Arg::List(fitted?))
            }
            Self::Options(options) => {
                let fitted = fit_options(options, arg.into_members(), path)?;
                Ok(Arg::Map(fitted))
            }
            Self::Table => Ok(match arg {
                Arg::Value(Value::List(_)) => Arg::Value(Value::Map(Map::new())),
                other => other,
            }),
            Self::Integer => Ok(match &arg {
                Arg::Value(value) => Arg::Value(value.as_i64().into()),
                _ => arg,
            }),
            _ => Ok(arg),
        }
    }
}

impl Param {
    /// It is one of these texts.
    #[must_use]
    pub const fn one_of(self, texts: &'static [&'static str]) -> Self {
        Self {
            known: Known::Texts(texts),
            ..self
        }
    }

    /// It is a name that the function `function` of the module `module` lists.
    #[must_use]
    pub const fn listed(self, module: &'static str, function: &'static str) -> Self {
        self.listed_or(module, function, &[])
    }

    /// The same, or one of these texts.
    #[must_use]
    pub const fn listed_or(
        self,
        module: &'static str,
        function: &'static str,
        also: &'static [&'static str],
    ) -> Self {
        Self {
            known: Known::Listed {
                module,
                function,
                also,
            },
            ..self
        }
    }

    /// The parameter in one word: `name: string`, `args?: table`.
    pub fn usage(&self) -> String {
        let mark = if self.required { "" } else { "?" };
        format!("{}{mark}: {}", self.name, self.kind.label())
    }
}

/// Where in a call an argument stands, for messages.
struct Path<'a> {
    function: &'a str,
    usage: &'a str,
    /// A call as it may be, where the usage does not show what the options are.
    example: Option<&'static str>,
    argument: String,
    /// Whether what stands there is not shown.
    is_secret: bool,
}

impl Path<'_> {
    fn item(&self, position: usize) -> Self {
        Path {
            argument: format!("{}[{position}]", self.argument),
            ..*self
        }
    }

    fn member(&self, name: &str) -> Self {
        let argument = if self.argument.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.argument)
        };
        Path { argument, ..*self }
    }

    fn mismatch(&self, expected: &str, found: &Arg) -> Error {
        self.error(&format!(
            "`{}` must be {}, but it is {}",
            self.argument,
            with_article(expected),
            found.describe(self.is_secret)
        ))
    }

    /// The first thing in `found` that is no data; `None` where something else is wrong.
    fn no_data(&self, found: &Arg) -> Option<Error> {
        let what = match found {
            Arg::List(items) => {
                let mut items = items.iter().enumerate();
                return items.find_map(|(index, it)| self.item(index + 1).no_data(it));
            }
            Arg::Map(members) => {
                let mut members = members.iter();
                return members.find_map(|(name, it)| self.member(name).no_data(it));
            }
            Arg::Value(_) => return None,
            Arg::Callable(_) => "function",
            Arg::Object(object) => &object.class,
            Arg::Opaque(name) => name,
        };
        let problem = format!(
            "`{}` is {}, which cannot be handed over",
            self.argument,
            with_article(what)
        );
        let hint = "hand over numbers, texts, booleans, and tables of these";
        Some(self.error(&problem).with_hint(hint))
    }

    fn error(&self, problem: &str) -> Error {
        let mut hint = format!("call it as `{}`", self.usage);
        if let Some(example) = self.example {
            let _ = write!(hint, ", such as `{example}`");
        }
        Error::invalid_args(format!("`{}`: {problem}", self.function)).with_hint(hint)
    }
}

/// Checks positional arguments against the parameters of `row` and names them; `qualified` is its
/// full name.
///
/// # Errors
///
/// `invalid_args`, naming the function, the argument, what was expected and what was found.
pub(super) fn fit(
    row: &ApiFunction,
    qualified: &str,
    args: Vec<Arg>,
) -> Result<IndexMap<String, Arg>> {
    let params = row.params;
    let needs_options = params.iter().any(|it| match it.kind {
        Kind::Options(options) => it.required && !needed(options).is_empty(),
        _ => false,
    });
    let path = Path {
        function: qualified,
        usage: &row.usage(qualified),
        example: needs_options.then_some(row.example),
        argument: String::new(),
        is_secret: false,
    };
    let takes_more = matches!(params.last().map(|last| &last.kind), Some(Kind::Rest));
    if args.len() > params.len() && !takes_more {
        let problem = format!(
            "takes at most {} arguments, but {} were given",
            params.len(),
            args.len()
        );
        return Err(path.error(&problem));
    }
    let mut args = args.into_iter();
    let mut named = IndexMap::new();
    for param in params {
        fit_param(param, args.next(), &path, &mut named)?;
    }
    Ok(named)
}

fn fit_options(
    options: &'static [Param],
    mut members: IndexMap<String, Arg>,
    path: &Path<'_>,
) -> Result<IndexMap<String, Arg>> {
    let mut named = IndexMap::new();
    for option in options {
        fit_param(option, members.shift_remove(option.name), path, &mut named)?;
    }
    let Some((unknown, _)) = members.first() else {
        return Ok(named);
    };
    let known: Vec<&str> = options.iter().map(|option| option.name).collect();
    let otherwise = format!("the options are {}", quoted(&known));
    let hint = nearest::hint(unknown, known, otherwise);
    Err(path
        .error(&format!("there is no option `{unknown}`"))
        .with_hint(hint))
}

fn fit_param(
    param: &'static Param,
    arg: Option<Arg>,
    path: &Path<'_>,
    named: &mut IndexMap<String, Arg>,
) -> Result<()> {
    let mut path = path.member(param.name);
    // What was given in place of a table of options may be the secret among them.
    path.is_secret = param.secret || param.kind.options().any(|option| option.secret);
    // Where anything may stand, null is a value like the others.
    let is_left_out = |arg: &Arg| {
        matches!(arg, Arg::Value(Value::Null)) && !matches!(param.kind, Kind::Any | Kind::Anything)
    };
    match arg.filter(|arg| !is_left_out(arg)) {
        Some(arg) => {
            named.insert(param.name.to_owned(), param.kind.fit(arg, &path)?);
        }
        None if param.required => {
            let mut problem = format!("`{}` is missing", path.argument);
            if !matches!(param.kind, Kind::Any | Kind::Anything) {
                let wanted = with_article(&param.kind.wanted());
                let _ = write!(problem, "; it must be {wanted}");
            }
            return Err(path.error(&problem));
        }
        None => {}
    }
    Ok(())
}

/// The names of the options that must be given.
fn needed(options: &[Param]) -> Vec<&'static str> {
    let needed = options.iter().filter(|it| it.required);
    needed.map(|it| it.name).collect()
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl Arg {
    fn into_items(self) -> Vec<Self> {
        match self {
            Self::List(items) => items,
            Self::Value(Value::List(items)) => items.into_iter().map(Self::Value).collect(),
            _ => Vec::new(),
        }
    }

    fn into_members(self) -> IndexMap<String, Self> {
        match self {
            Self::Map(members) => members,
            Self::Value(Value::Map(map)) => map
                .into_iter()
                .map(|(key, value)| (key, Self::Value(value)))
                .collect(),
            _ => IndexMap::new(),
        }
    }

    /// The argument for messages: its type, and its value when that is short and no secret.
    fn describe(&self, is_secret: bool) -> String {
        const SHOWN_MAX: usize = 40;
        match self {
            Self::Value(Value::Null) => "missing".to_owned(),
            Self::Value(value) => {
                let shown = value.to_string();
                if !is_secret && shown.chars().count() <= SHOWN_MAX {
                    format!("the {} `{shown}`", value.type_name())
                } else {
                    format!("of type {}", value.type_name())
                }
            }
            Self::Callable(function) => format!("the function `{}`", function.name()),
            Self::Object(object) => format!("an object of class `{}`", object.class),
            Self::Opaque(name) => with_article(name),
            Self::List(_) => "an array".to_owned(),
            Self::Map(_) => "a table with functions or objects inside".to_owned(),
        }
    }
}

/// `a string`, `an integer`; `any value` and `nil` need none.
pub(crate) fn with_article(label: &str) -> String {
    if label.starts_with("any ") || ["nil", "null"].contains(&label) {
        return label.to_owned();
    }
    let is_vowel = label.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
    format!("{} {label}", if is_vowel { "an" } else { "a" })
}
