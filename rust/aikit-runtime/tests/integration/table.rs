//! Uniformity of the API table.

use aikit_runtime::api::{ApiFunction, Kind, MODULES, Param};

/// Reserved words of Lua 5.4 and Python 3.13, soft ones included.
const RESERVED: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
    "continue", "def", "del", "do", "elif", "else", "elseif", "end", "except", "false", "finally",
    "for", "from", "function", "global", "goto", "if", "import", "in", "is", "lambda", "local",
    "match", "nil", "nonlocal", "not", "or", "pass", "raise", "repeat", "return", "then", "true",
    "try", "type", "until", "while", "with", "yield",
];

fn functions() -> Vec<(String, &'static ApiFunction)> {
    let mut functions = Vec::new();
    for module in MODULES {
        let owned = module.functions.iter().chain(&module.call);
        functions.extend(owned.map(|row| (format!("{}.{}", module.name, row.name), row)));
        for class in module.classes {
            let owned = class.methods.iter().chain(&class.constructor);
            functions.extend(owned.map(|row| (format!("{}:{}", class.name, row.name), row)));
        }
    }
    functions
}

fn check_param(owner: &str, param: &Param) {
    assert!(
        !RESERVED.contains(&param.name),
        "{owner}: `{}` is reserved",
        param.name
    );
    assert!(
        param
            .name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "{owner}: `{}`",
        param.name
    );
    check_text(owner, param.summary);
    if let Kind::Options(_) | Kind::Either(_) = param.kind {
        for option in param.kind.options() {
            check_param(&format!("{owner}.{}", param.name), option);
        }
    }
}

fn check_text(owner: &str, text: &str) {
    assert!(
        text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c == '`'),
        "{owner}: {text}"
    );
}

#[test]
fn every_row_says_what_it_takes_and_shows_an_example() {
    for (name, function) in functions() {
        check_text(&name, function.summary);
        assert!(
            !function.example.is_empty() && !function.returns.is_empty(),
            "{name}"
        );
        for param in function.params {
            check_param(&name, param);
        }
        let required: Vec<bool> = function.params.iter().map(|param| param.required).collect();
        assert!(
            required.is_sorted_by(|left, right| left >= right),
            "{name}: required ones come first"
        );
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = functions().into_iter().map(|(name, _)| name).collect();
    names.sort();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}

#[test]
fn every_module_and_class_says_what_it_is() {
    for module in MODULES {
        check_text(module.name, module.summary);
        for class in module.classes {
            check_text(class.name, class.summary);
            for (field, summary) in class.fields {
                check_text(field, summary);
            }
        }
        if let Some(members) = &module.members {
            assert!(
                module.function(members.call).is_some() && module.function(members.list).is_some()
            );
        }
    }
}
