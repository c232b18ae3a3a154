//! Completion: from the API table and a picture of the session's names, so that it answers while
//! a cell runs and never runs code of the script.

use std::collections::BTreeSet;

use aikit_core::{
    Context, Value as Data,
    engine::{Completion, CompletionMatch},
};

pub(super) use super::names::Names;
use super::{
    lexer::{KEYWORDS, Kind, Token, tokens},
    library::Entry,
    source::KEEP,
};
use crate::api::{self, ApiFunction, ApiModule, Host, Return, Target};

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
    if let Some(path) = tokens
        .last()
        .and_then(|last| begun_text(last, before.len()))
    {
        return complete_path(host, path, before.len()).await;
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

/// What stands in a text whose quote is open at `end`, if it may be a path: on one line, and
/// nothing in it stands for something else.
fn begun_text<'a>(token: &Token<'a>, end: usize) -> Option<&'a str> {
    let is_open = matches!(token.kind, Kind::Unfinished | Kind::Invalid) && token.end() == end;
    let text = token.text.strip_prefix(['"', '\'']).filter(|_| is_open)?;
    (!text.contains(['\n', '\r', '\\'])).then_some(text)
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
    // One that would end the text, or mean something else in it, cannot be put there.
    let is_plain = |it: &&str| !it.contains(['"', '\'', '\\']) && !it.contains(char::is_control);
    let fitting = names.iter().filter_map(Data::as_str).filter(fits);
    let matches = fitting.filter(is_plain).map(|name| CompletionMatch {
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

/// The names at the end of `tokens` that are joined by dots and colons, first one first.
pub(super) fn path<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut tokens = tokens.iter().rev();
    while let Some(token) = tokens.next().filter(|token| token.kind == Kind::Name) {
        path.push(token.text);
        if !tokens
            .next()
            .is_some_and(|token| token.is(".") || token.is(":"))
        {
            break;
        }
    }
    path.reverse();
    path
}

/// The function whose table of options the text ends in, when a name of an option may stand there.
fn callee<'a>(tokens: &[Token<'a>]) -> Option<Vec<&'a str>> {
    let last = tokens.last()?;
    if !["{", ",", ";"].iter().any(|it| last.is(it)) {
        return None;
    }
    let brace = opening(tokens, tokens.len(), "{")?;
    let before = tokens.get(brace.checked_sub(1)?)?;
    let path = if before.kind == Kind::Name {
        path(&tokens[..brace])
    } else {
        let parenthesis = opening(tokens, brace, "(")?;
        path(&tokens[..parenthesis])
    };
    (!path.is_empty()).then_some(path)
}

/// The innermost bracket that is open at `end`, when it is this one.
fn opening(tokens: &[Token<'_>], end: usize, wanted: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens[..end].iter().enumerate().rev() {
        if [")", "}", "]"].iter().any(|it| token.is(it)) {
            depth += 1;
        } else if ["(", "{", "["].iter().any(|it| token.is(it)) {
            if depth == 0 {
                return token.is(wanted).then_some(index);
            }
            depth -= 1;
        }
    }
    None
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
    for (member, kind) in &name.members {
        found.add(member, if *kind == "variable" { "field" } else { kind });
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
    let target = Target::Function {
        module: module.name.to_owned(),
        function: members.list.to_owned(),
    };
    match host.call(&Context::default(), target, Vec::new()).await {
        Ok(Return::Value(Data::List(members))) => members,
        _ => Vec::new(),
    }
}
