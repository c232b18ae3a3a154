//! Inspection: what the API table and the session know about a name.

use std::{collections::BTreeSet, fmt::Write as _, sync::RwLock};

use aikit_components::nearest;
use aikit_core::{Value, value::Map};

use super::{
    argument::path,
    complete::{self, Names},
    lexer::{Kind, tokens},
    library::{self, Entry},
    subject::Subject,
};
use crate::api::{self, ApiFunction, ApiModule, Host};

/// The name around `cursor`, with what stands before its dots.
pub(super) fn name_at(code: &str, cursor: usize) -> Vec<&str> {
    let tokens = tokens(code);
    let under = tokens
        .iter()
        .rposition(|token| token.kind == Kind::Name && token.start <= cursor);
    // After an opening parenthesis the function before it is meant.
    under.map_or_else(Vec::new, |index| path(&tokens[..=index]))
}

/// Describes a name with its dots, as [`describe`]; what the API table does not know, by what
/// stands there.
pub(super) async fn describe_name(
    names: &RwLock<Names>,
    host: &dyn Host,
    subject: &Subject,
    detail: u8,
) -> Option<Map> {
    let name = &*subject.name;
    if let Some(entry) = subject.entry {
        return Some(bundle(entry.describe()));
    }
    // What the script has put in the place of a function of Lua is not described as that function.
    if library::find(name).is_none()
        && let Some(found) = describe_written(names, host, name, detail).await
    {
        return Some(found);
    }
    let preview = subject.preview.as_ref()?;
    Some(bundle(format!("**{name}**: {preview}")))
}

/// Describes a name however it is written. A colon after a class means its method, even where a
/// module has the name of the class.
async fn describe_written(
    names: &RwLock<Names>,
    host: &dyn Host,
    name: &str,
    detail: u8,
) -> Option<Map> {
    let method = name
        .split_once(':')
        .and_then(|(class, method)| api::class(class)?.method(method));
    if let Some(method) = method {
        return Some(bundle(describe_function(method, name, detail)));
    }
    let path: Vec<&str> = name.split(['.', ':']).collect();
    if let Some(found) = describe(names, host, &path, detail).await {
        return Some(found);
    }
    // Whoever asks may not know how a name is written, or that it is one of a method.
    let of_lua = || Some((library::meant(name)?.name.to_owned(), None));
    let (meant, function) = meant(&path).or_else(of_lua)?;
    if let Some(function) = function {
        return Some(bundle(describe_function(function, &meant, detail)));
    }
    let path: Vec<&str> = meant.split('.').collect();
    describe(names, host, &path, detail).await
}

/// What a name means whose letters are large where they should be small, or the other way round:
/// its right form, and the method where it is one.
fn meant(path: &[&str]) -> Option<(String, Option<&'static ApiFunction>)> {
    let is = |known: &str, given: &str| known.eq_ignore_ascii_case(given);
    let (owner, rest) = path.split_first()?;
    let module = api::MODULES.iter().find(|it| is(it.name, owner));
    match (module, rest) {
        (Some(module), []) => Some((module.name.to_owned(), None)),
        (None, []) => {
            let functions = api::module("")?.functions;
            let found = functions.iter().find(|it| is(it.name, owner))?;
            Some((found.name.to_owned(), None))
        }
        (_, [member]) => {
            let classes = api::MODULES.iter().flat_map(|it| it.classes);
            let class = classes.into_iter().find(|it| is(it.name, owner));
            let function = module.and_then(|it| {
                let found = it.functions.iter().find(|row| is(row.name, member))?;
                Some((format!("{}.{}", it.name, found.name), None))
            });
            function
                .or_else(|| {
                    let class = class?;
                    let found = class.methods.iter().find(|row| is(row.name, member))?;
                    Some((format!("{}:{}", class.name, found.name), Some(found)))
                })
                .or_else(|| Some((format!("{}.{member}", module?.name), None)))
        }
        _ => None,
    }
}

/// What there is, a line each: what `help()` prints.
pub(super) fn overview() -> String {
    let mut text = String::new();
    let width = api::MODULES
        .iter()
        .map(|it| it.name.len())
        .max()
        .unwrap_or(0);
    for module in api::MODULES.iter().filter(|it| !it.name.is_empty()) {
        let _ = writeln!(text, "{:width$}  {}", module.name, module.summary);
    }
    if let Some(globals) = api::module("") {
        let names: Vec<&str> = globals.functions.iter().map(|it| it.name).collect();
        let _ = writeln!(text, "\n{}\n  {}", globals.summary, names.join(", "));
    }
    let names: Vec<&str> = library::globals().collect();
    let _ = writeln!(text, "\nOf Lua itself.\n  {}", names.join(", "));
    text.push_str(
        "\n`help('RAG')`, `help(Tool.invoke)` or `RAG?` at the end of a cell say more; \
         `Tool.list()` lists the tools.",
    );
    text
}

/// What is said of a name that is not described.
pub(super) fn unknown(names: &RwLock<Names>, subject: &Subject) -> String {
    let name = &*subject.name;
    if subject.is_hidden {
        let member = name.replace(':', ".");
        return format!(
            "nothing is known of `{name}`: what is there is found only by code; \
             `print({member})` runs it"
        );
    }
    let modules = api::MODULES.iter().filter(|it| !it.name.is_empty());
    let functions = api::MODULES.iter().flat_map(|module| {
        let owner = module.name;
        let qualified = move |it: &ApiFunction| match owner {
            "" => it.name.to_owned(),
            owner => format!("{owner}.{}", it.name),
        };
        module.functions.iter().map(qualified)
    });
    let methods = api::MODULES
        .iter()
        .flat_map(|it| it.classes)
        .flat_map(|class| {
            let qualified = |it: &ApiFunction| format!("{}:{}", class.name, it.name);
            class.methods.iter().map(qualified)
        });
    let mut known: BTreeSet<String> = modules.map(|it| it.name.to_owned()).collect();
    known.extend(functions.chain(methods));
    known.extend(library::names().map(str::to_owned));
    add_variables(&mut known, names, name);
    let known = known.iter().map(String::as_str);
    let hint = nearest::hint(name, known, "`help()` lists what there is");
    format!("there is no `{name}`: {hint}")
}

/// Adds the variables, and the members of the one whose member `name` would be.
fn add_variables(known: &mut BTreeSet<String>, names: &RwLock<Names>, name: &str) {
    let Ok(names) = names.read() else { return };
    known.extend(names.all().into_keys().map(str::to_owned));
    let Some((owner, _)) = name.split_once(['.', ':']) else {
        return;
    };
    let Some(found) = names.get(owner) else {
        return;
    };
    known.extend(found.members.keys().map(|it| format!("{owner}.{it}")));
    if let Some(class) = found.class.and_then(api::class) {
        let methods = class.methods.iter();
        known.extend(methods.map(|it| format!("{owner}:{}", it.name)));
        known.extend(class.fields.iter().map(|(it, _)| format!("{owner}.{it}")));
    }
}

/// Describes a name as a MIME bundle; `None` when nothing is known.
pub(super) async fn describe(
    names: &RwLock<Names>,
    host: &dyn Host,
    path: &[&str],
    detail: u8,
) -> Option<Map> {
    let text = match complete::find(names, path) {
        Some(function) => describe_function(function, &qualified(names, path), detail),
        None => match of_lua(names, path) {
            Some(entry) => entry.describe(),
            None => describe_other(names, host, path).await?,
        },
    };
    Some(bundle(text))
}

/// What a path means of Lua's own, as far as the picture of the names tells.
fn of_lua(names: &RwLock<Names>, path: &[&str]) -> Option<&'static Entry> {
    let names = names.read().ok()?;
    match path {
        [name] => names.get(name)?.entry,
        [owner, member] => {
            let known = names.get(owner)?;
            let owner = match known.entry {
                Some(entry) if entry.is_library() => known,
                None if known.is_text() => names.get("string")?,
                _ => return None,
            };
            owner.members.get(*member)?.entry
        }
        _ => None,
    }
}

fn bundle(text: String) -> Map {
    let plain = text.replace("**", "").replace('`', "");
    Map::from_iter([
        ("text/plain".to_owned(), Value::from(plain)),
        ("text/markdown".to_owned(), Value::from(text)),
    ])
}

fn qualified(names: &RwLock<Names>, path: &[&str]) -> String {
    let class = path
        .first()
        .and_then(|owner| names.read().ok()?.get(owner)?.class);
    match (class, path) {
        (Some(class), [_, method]) => format!("{class}:{method}"),
        _ => path.join("."),
    }
}

fn describe_function(function: &ApiFunction, qualified: &str, detail: u8) -> String {
    let mut text = format!(
        "**{}**\n\n{}\n",
        function.usage(qualified),
        function.summary
    );
    for param in function.params {
        let needed = if param.required { ", required" } else { "" };
        let kind = param.kind.label();
        let _ = write!(
            text,
            "\n- `{}` ({kind}{needed}): {}",
            param.name, param.summary
        );
        for option in param.kind.options() {
            let needed = if option.required { ", required" } else { "" };
            let kind = option.kind.label();
            let _ = write!(
                text,
                "\n  - `{}` ({kind}{needed}): {}",
                option.name, option.summary
            );
        }
    }
    let _ = write!(text, "\n\nReturns {}.", function.returns);
    if detail > 0 || !function.example.is_empty() {
        let _ = write!(text, "\n\nExample: `{}`", function.example);
    }
    text
}

async fn describe_other(names: &RwLock<Names>, host: &dyn Host, path: &[&str]) -> Option<String> {
    match path {
        [name] => {
            if let Some(module) = api::module(name).filter(|module| !module.name.is_empty()) {
                return Some(describe_module(module));
            }
            let names = names.read().ok()?;
            let known = names.get(name)?;
            Some(format!("**{name}**: {}", known.preview))
        }
        [owner, name] => {
            if let Some(meaning) = field(names, owner, name) {
                return Some(format!("**{owner}.{name}**: {meaning}"));
            }
            let module = api::module(owner)?;
            let members = complete::members(module, host).await;
            let found = members
                .iter()
                .find(|member| member.get("name").and_then(Value::as_str) == Some(name))?;
            let usage = found
                .get("usage")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let summary = found
                .get("summary")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Some(format!("**{owner}.{name}{{…}}**\n\n{summary}\n\n{usage}"))
        }
        _ => None,
    }
}

/// What a field of an object means.
fn field(names: &RwLock<Names>, owner: &str, field: &str) -> Option<&'static str> {
    let class = api::class(names.read().ok()?.get(owner)?.class?)?;
    let (_, meaning) = class.fields.iter().find(|(name, _)| *name == field)?;
    Some(meaning)
}

fn describe_module(module: &ApiModule) -> String {
    let mut text = format!("**{}**\n\n{}\n", module.name, module.summary);
    if let Some(callee) = module.callee() {
        let _ = write!(
            text,
            "\n- `{}`: {}",
            callee.usage(module.name),
            callee.summary
        );
    }
    for function in module.functions {
        let qualified = format!("{}.{}", module.name, function.name);
        let _ = write!(
            text,
            "\n- `{}`: {}",
            function.usage(&qualified),
            function.summary
        );
    }
    for class in module.classes {
        for method in class.methods {
            let qualified = format!("{}:{}", class.name, method.name);
            let _ = write!(
                text,
                "\n- `{}`: {}",
                method.usage(&qualified),
                method.summary
            );
        }
    }
    text
}
