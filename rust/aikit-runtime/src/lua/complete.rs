//! Completion: from the API table and a picture of the session's names, so that it answers while
//! a cell runs and never runs code of the script.

use std::collections::BTreeSet;

use aikit_core::{
    Context, Value as Data,
    engine::{Completion, CompletionMatch},
};

pub(super) use super::names::Names;
use super::{
    argument::{self, Argument, callee, path},
    lexer::{KEYWORDS, Kind, Token, tokens},
    library::Entry,
    source::KEEP,
};
use crate::api::{self, ApiFunction, ApiModule, Host, Known, Return, Target};

/// Candidates for the text before `cursor`.
pub(super) async fn complete(
    names: &std::sync::RwLock<Names>,
    host: &dyn Host,
    code: &str,
    cursor: usize,
) -> Completion {
    let before = code.get(..cursor).unwrap_or(code);
    let tokens = tokens(before);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word = &before[before.trim_end_matches(is_word).len()..];
    let start = before.len() - word.len();
    if let Some((last, left)) = tokens.split_last()
        && let Some(text) = begun_text(last, before.len())
    {
        let known = match argument::at(left) {
            Some(argument) => known_texts(names, host, &argument).await,
            None => None,
        };
        return match known {
            Some(known) => complete_text(&known, text, before.len()),
            None => complete_path(host, text, before.len()).await,
        };
    }
    let in_text = tokens.last().is_some_and(|token| {
        matches!(token.kind, Kind::Unfinished | Kind::Invalid) && token.end() == before.len()
    });
    let mut found = Found {
        word,
        seen: BTreeSet::new(),
        matches: Vec::new(),
    };
    if !in_text && !is_comment(before, &tokens) {
        let left = tokens.len() - usize::from(!word.is_empty() && !tokens.is_empty());
        let left = &tokens[..left];
        match left.last() {
            Some(dot) if dot.is(".") || dot.is(":") => {
                add_members(
                    &mut found,
                    names,
                    host,
                    &path(&left[..left.len() - 1]),
                    dot.text,
                )
                .await;
            }
            _ => {
                if let Some(callee) = callee(left) {
                    add_options(&mut found, names, host, &callee).await;
                }
                // Where the name of an option fits, a table of options holds nothing else.
                if found.matches.is_empty() {
                    add_names(&mut found, names);
                }
            }
        }
    }
    Completion {
        matches: found.matches,
        start,
        end: before.len(),
    }
}

/// What stands in a text whose quote is open at `end`, if it can be completed: on one line, and
/// nothing in it stands for something else.
fn begun_text<'a>(token: &Token<'a>, end: usize) -> Option<&'a str> {
    let is_open = matches!(token.kind, Kind::Unfinished | Kind::Invalid) && token.end() == end;
    let text = token.text.strip_prefix(['"', '\'']).filter(|_| is_open)?;
    (!text.contains(['\n', '\r', '\\'])).then_some(text)
}

/// The texts that an argument can be, where they are known.
async fn known_texts(
    names: &std::sync::RwLock<Names>,
    host: &dyn Host,
    argument: &Argument<'_>,
) -> Option<Vec<String>> {
    let Some(function) = find(names, &argument.callee) else {
        return known_of_member(host, argument).await;
    };
    let param = function.params.get(argument.position)?;
    let param = match argument.option {
        Some(option) => param.kind.options().find(|it| it.name == option)?,
        None => param,
    };
    if argument.is_item && !param.kind.is_list() {
        return None;
    }
    match param.known {
        Known::Nothing => None,
        Known::Texts(texts) => Some(texts.iter().map(|it| (*it).to_owned()).collect()),
        Known::Listed {
            module,
            function,
            also,
        } => {
            let listed = list(host, module, function).await;
            let name = |it: &Data| Some(it.get("name")?.as_str()?.to_owned());
            let also = also.iter().map(|it| (*it).to_owned());
            Some(listed.iter().filter_map(name).chain(also).collect())
        }
    }
}

/// The same of a member that is known only while the session runs, by its schema.
async fn known_of_member(host: &dyn Host, argument: &Argument<'_>) -> Option<Vec<String>> {
    let [module, wanted] = *argument.callee else {
        return None;
    };
    let option = argument.option.filter(|_| !argument.is_item)?;
    let members = members(api::module(module)?, host).await;
    let member = members
        .iter()
        .find(|it| it.get("name").and_then(Data::as_str) == Some(wanted))?;
    let schema = member.get("input_schema")?;
    let values = texts_of(schema, schema.get("properties")?.get(option)?);
    (!values.is_empty()).then_some(values)
}

/// The texts that a schema allows, also by what it refers to inside of `whole`.
fn texts_of(whole: &Data, schema: &Data) -> Vec<String> {
    let name = schema.get("$ref").and_then(Data::as_str);
    let name = name.and_then(|it| it.strip_prefix("#/$defs/"));
    let schema = name
        .and_then(|name| whole.get("$defs")?.get(name))
        .unwrap_or(schema);
    let listed = |key| schema.get(key).and_then(Data::as_list).unwrap_or_default();
    let constants = listed("oneOf").iter().filter_map(|it| it.get("const"));
    let texts = listed("enum").iter().chain(constants);
    texts
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

/// Those of `known` that begin as the text does that stands before `end`.
fn complete_text(known: &[String], text: &str, end: usize) -> Completion {
    let mut found = Found {
        word: text,
        seen: BTreeSet::new(),
        matches: Vec::new(),
    };
    for known in known.iter().filter(|it| is_plain(it)) {
        found.add(known, "value");
    }
    Completion {
        matches: found.matches,
        start: end - text.len(),
        end,
    }
}

/// Whether something can be put inside of quotes: it neither ends the text nor means something else
/// there.
fn is_plain(text: &str) -> bool {
    !text.contains(['"', '\'', '\\']) && !text.contains(char::is_control)
}

/// Candidates for the last name of a path.
async fn complete_path(host: &dyn Host, path: &str, end: usize) -> Completion {
    let (folder, name) = path
        .rsplit_once('/')
        .map_or((None, path), |(folder, name)| {
            (Some(if folder.is_empty() { "/" } else { folder }), name)
        });
    let mut completion = Completion {
        matches: Vec::new(),
        start: end - name.len(),
        end,
    };
    let target = Target::Folder {
        path: folder.unwrap_or(".").to_owned(),
        begin: name.to_owned(),
    };
    let Ok(Return::Value(Data::List(names))) =
        host.call(&Context::default(), target, Vec::new()).await
    else {
        return completion;
    };
    let fits = |it: &&str| it.starts_with(name);
    let fitting = names.iter().filter_map(Data::as_str).filter(fits);
    let matches = fitting
        .filter(|it| is_plain(it))
        .map(|name| CompletionMatch {
            text: name.to_owned(),
            kind: if name.ends_with('/') {
                "folder"
            } else {
                "file"
            },
        });
    completion.matches = matches.collect();
    completion
}

struct Found<'a> {
    word: &'a str,
    seen: BTreeSet<String>,
    matches: Vec<CompletionMatch>,
}

impl Found<'_> {
    fn add(&mut self, text: &str, kind: &'static str) {
        let fits = text.starts_with(self.word) && text != KEEP;
        if fits && self.seen.insert(text.to_owned()) {
            let text = text.to_owned();
            self.matches.push(CompletionMatch { text, kind });
        }
    }
}

/// Whether the text ends inside a comment.
fn is_comment(before: &str, tokens: &[Token<'_>]) -> bool {
    let rest = tokens.last().map_or(before, |token| &before[token.end()..]);
    rest.rsplit('\n')
        .next()
        .is_some_and(|line| line.contains("--"))
}

fn add_names(found: &mut Found<'_>, names: &std::sync::RwLock<Names>) {
    if let Ok(names) = names.read() {
        for (name, known) in names.all() {
            let is_library = known.entry.is_some_and(Entry::is_library);
            let is_module = is_library || api::module(name).is_some();
            found.add(name, if is_module { "module" } else { known.kind });
        }
    }
    for keyword in KEYWORDS {
        found.add(keyword, "keyword");
    }
}

async fn add_members(
    found: &mut Found<'_>,
    names: &std::sync::RwLock<Names>,
    host: &dyn Host,
    path: &[&str],
    separator: &str,
) {
    let [owner] = path else { return };
    if let Some(module) = api::module(owner).filter(|_| separator == ".") {
        for function in module.functions {
            found.add(function.name, "function");
        }
        if module.has_null {
            found.add("null", "field");
        }
        for member in members(module, host).await {
            if let Some(name) = member.get("name").and_then(Data::as_str) {
                found.add(name, "function");
            }
        }
        return;
    }
    let Ok(names) = names.read() else { return };
    let Some(name) = names.get(owner) else { return };
    for (member, known) in &name.members {
        let is_field = known.kind == "variable";
        found.add(member, if is_field { "field" } else { known.kind });
    }
    if let Some(class) = name.class.and_then(api::class) {
        for method in class.methods {
            found.add(method.name, "function");
        }
        for (field, _) in class.fields.iter().filter(|_| separator == ".") {
            found.add(field, "field");
        }
    }
    if name.is_text() && separator == ":" {
        let methods = names.get("string");
        for method in methods.into_iter().flat_map(|it| it.members.keys()) {
            found.add(method, "function");
        }
    }
}

async fn add_options(
    found: &mut Found<'_>,
    names: &std::sync::RwLock<Names>,
    host: &dyn Host,
    callee: &[&str],
) {
    if let Some(function) = find(names, callee) {
        for option in function.options() {
            found.add(option.name, "option");
        }
        return;
    }
    let [module, wanted] = callee else { return };
    let Some(module) = api::module(module) else {
        return;
    };
    for member in members(module, host).await {
        if member.get("name").and_then(Data::as_str) == Some(wanted) {
            let schema = member
                .get("input_schema")
                .and_then(|schema| schema.get("properties"));
            for option in schema
                .and_then(Data::as_map)
                .into_iter()
                .flat_map(|it| it.keys())
            {
                found.add(option, "option");
            }
        }
    }
}

/// The row of the API table that a path means.
pub(super) fn find(
    names: &std::sync::RwLock<Names>,
    path: &[&str],
) -> Option<&'static ApiFunction> {
    match path {
        [name] => api::module(name)
            .and_then(ApiModule::callee)
            .or_else(|| api::module("")?.function(name)),
        [owner, name] => {
            if let Some(module) = api::module(owner) {
                return module.function(name);
            }
            let class = names.read().ok()?.get(owner)?.class?;
            api::class(class)?.method(name)
        }
        _ => None,
    }
}

/// The members of a module that are known only while the session runs.
pub(super) async fn members(module: &ApiModule, host: &dyn Host) -> Vec<Data> {
    let Some(members) = &module.members else {
        return Vec::new();
    };
    list(host, module.name, members.list).await
}

/// What a function of the session without arguments lists.
async fn list(host: &dyn Host, module: &str, function: &str) -> Vec<Data> {
    let target = Target::Function {
        module: module.to_owned(),
        function: function.to_owned(),
    };
    match host.call(&Context::default(), target, Vec::new()).await {
        Ok(Return::Value(Data::List(members))) => members,
        _ => Vec::new(),
    }
}
