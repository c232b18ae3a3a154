//! Inspection: what the API table and the session know about a name.

use std::{fmt::Write as _, sync::RwLock};

use aikit_core::{Value, value::Map};

use super::{
    complete::{self, Names, path},
    lexer::{Kind, tokens},
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

/// Describes a name as a MIME bundle; `None` when nothing is known.
pub(super) async fn describe(
    names: &RwLock<Names>,
    host: &dyn Host,
    path: &[&str],
    detail: u8,
) -> Option<Map> {
    let text = match complete::find(names, path) {
        Some(function) => describe_function(function, &qualified(names, path), detail),
        None => describe_other(names, host, path).await?,
    };
    let plain = text.replace("**", "").replace('`', "");
    Some(Map::from_iter([
        ("text/plain".to_owned(), Value::from(plain)),
        ("text/markdown".to_owned(), Value::from(text)),
    ]))
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
