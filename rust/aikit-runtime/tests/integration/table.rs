//! Uniformity of the API table.

use aikit_core::ErrorKind;
use aikit_runtime::api::{self, ApiFunction, Call, Kind, Known, MODULES, Param};

use crate::support::Fixture;

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

/// All parameters and options, each with the summary of its function.
fn params() -> Vec<(String, &'static Param, &'static str)> {
    fn add(
        found: &mut Vec<(String, &'static Param, &'static str)>,
        (owner, summary): (&str, &'static str),
        param: &'static Param,
    ) {
        let name = format!("{owner}.{}", param.name);
        for option in param.kind.options() {
            add(found, (&name, summary), option);
        }
        found.push((name, param, summary));
    }
    let mut found = Vec::new();
    for (name, function) in functions() {
        for param in function.params {
            add(&mut found, (&name, function.summary), param);
        }
    }
    found
}

#[test]
fn texts_that_are_known_are_named_and_lists_of_names_are_there() {
    let params = params();
    let (mut known, mut lists) = (0, 0);
    for (name, param, summary) in &params {
        match param.known {
            Known::Nothing => {}
            Known::Texts(texts) => {
                known += 1;
                let said = format!("{} {summary}", param.summary);
                for text in texts {
                    assert!(said.contains(&format!("`{text}`")), "{name}: {text}");
                }
            }
            Known::Listed {
                module, function, ..
            } => {
                lists += 1;
                let row = api::module(module).unwrap().function(function).unwrap();
                assert!(row.params.is_empty(), "{name}");
                assert!(matches!(row.call, Call::Host(_)), "{name}");
            }
        }
    }
    assert!(known > 20 && lists > 5, "{known} {lists}");
}

#[test]
fn every_known_kind_of_chart_is_drawn_and_there_is_no_other_one() {
    let fixture = Fixture::new();
    let params = params();
    let is_kind = |name: &str| name == "plot.plot.options.kind";
    let (_, kind, _) = params.iter().find(|(name, ..)| is_kind(name)).unwrap();
    let Known::Texts(kinds) = kind.known else {
        panic!("{kind:?}");
    };
    for kind in kinds {
        let data = if *kind == "heatmap" {
            "{{1, 2}}"
        } else {
            "{1, 2}"
        };
        let code = format!("plot{{kind = '{kind}', data = {data}}}");
        fixture.run(&code).unwrap();
    }
    let error = fixture.fails("plot{kind = 'zzzzzzzzzz', data = {1, 2}}");
    let all: Vec<String> = kinds.iter().map(|it| format!("`{it}`")).collect();
    assert_eq!(
        error.hint().unwrap(),
        format!("there are {}", all.join(", "))
    );
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

/// An argument that fits, and one that does not; `None` where everything fits.
fn right_and_wrong(kind: &Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Any | Kind::Anything | Kind::Rest => ("1", None),
        Kind::Boolean => ("true", Some("{}")),
        Kind::Integer | Kind::Number => ("0", Some("'x'")),
        Kind::String => ("'x'", Some("print")),
        Kind::Table => ("{}", Some("3")),
        Kind::List(_) => ("{}", Some("{a = 1}")),
        Kind::Function => ("function() end", Some("{}")),
        Kind::Object(_) => ("nil", Some("coroutine.create(print)")),
        Kind::Options(_) => ("{}", Some("{no_such_option = 1}")),
        Kind::Either(kinds) => right_and_wrong(&kinds[0]),
    }
}

/// Calls with wrong arguments, one wrong at a time.
fn wrong_calls(function: &ApiFunction) -> Vec<String> {
    let kinds: Vec<_> = function
        .params
        .iter()
        .map(|param| right_and_wrong(&param.kind))
        .collect();
    let mut calls = Vec::new();
    for (position, param) in function.params.iter().enumerate() {
        let before: Vec<&str> = kinds[..position].iter().map(|(right, _)| *right).collect();
        let options = param.kind.options().filter_map(|option| {
            let (_, wrong) = right_and_wrong(&option.kind);
            wrong.map(|wrong| format!("{{{} = {wrong}}}", option.name))
        });
        let options: Vec<String> = options.collect();
        for wrong in options.iter().map(String::as_str).chain(kinds[position].1) {
            calls.push([&before[..], &[wrong]].concat().join(", "));
        }
        if param.required {
            calls.push(before.join(", "));
        }
    }
    if !matches!(
        function.params.last().map(|last| &last.kind),
        Some(Kind::Rest)
    ) {
        let mut all: Vec<&str> = kinds.iter().map(|(right, _)| *right).collect();
        all.push("1");
        calls.push(all.join(", "));
    }
    calls
}

#[test]
fn functions_of_the_engine_refuse_wrong_arguments_as_the_others_do() {
    let fixture = Fixture::new();
    let mut checked = 0;
    for module in MODULES {
        let callee = module
            .call
            .as_ref()
            .map(|row| (module.name.to_owned(), row));
        let functions = module.functions.iter().map(|row| {
            let dot = if module.name.is_empty() { "" } else { "." };
            (format!("{}{dot}{}", module.name, row.name), row)
        });
        for (name, row) in functions.chain(callee) {
            if !matches!(row.call, Call::Engine) {
                continue;
            }
            for args in wrong_calls(row) {
                let code = format!("{name}({args})");
                let error = fixture.fails(&code);
                assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}: {error:?}");
                let named = format!("`{name}`: ");
                assert!(error.message().starts_with(&named), "{code}: {error}");
                assert!(error.hint().is_some(), "{code}: {error}");
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "{checked}");
    // What the table cannot say, each function says itself.
    for code in [
        "gather{1}",
        "race{}",
        "await(1)",
        "sleep(-1)",
        "timeout(0/0, print)",
        "display.json(print)",
    ] {
        let error = fixture.fails(code);
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}: {error:?}");
        let name = code.split(['(', '{']).next().unwrap();
        assert!(
            error.message().contains(&format!("`{name}`")),
            "{code}: {error}"
        );
        assert!(error.hint().is_some(), "{code}: {error}");
    }
}

/// An object of each class whose methods the engine implements.
const RECEIVERS: &[(&str, &str)] = &[
    ("Context", "Context.create{}"),
    ("Graph", "Context.graph()"),
    ("Node", "Procedure.track('a', Context.node)"),
    ("Procedure", "Procedure.create{name = 'a', print}"),
    (
        "ProcedureStream",
        "(Procedure.create{name = 'a', generator = true, print}:stream())",
    ),
    ("Handle", "Procedure.create{name = 'a', print}:start()"),
    (
        "HandleView",
        "Procedure.create{name = 'a', middleware = {function(_, envelope) return envelope.handle end}, \
         print}:start():result()",
    ),
];

#[test]
fn methods_of_the_engine_refuse_wrong_arguments_as_the_others_do() {
    let fixture = Fixture::new();
    let classes = MODULES.iter().flat_map(|module| module.classes);
    let mut checked = 0;
    for class in classes {
        let engines = |row: &&ApiFunction| matches!(row.call, Call::Engine);
        let methods: Vec<_> = class.methods.iter().filter(engines).collect();
        if methods.is_empty() {
            continue;
        }
        let receiver = RECEIVERS.iter().find(|(name, _)| *name == class.name);
        let (_, receiver) = receiver.unwrap_or_else(|| panic!("{} has a receiver", class.name));
        for row in methods {
            let name = format!("{}:{}", class.name, row.name);
            for args in wrong_calls(row) {
                // One argument more than there are harms nobody.
                if row.params.is_empty() {
                    continue;
                }
                let code = format!("local it = {receiver} it:{}({args})", row.name);
                let error = fixture.fails(&code);
                assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{code}: {error:?}");
                let named = format!("`{name}`: ");
                assert!(error.message().starts_with(&named), "{code}: {error}");
                assert!(error.hint().is_some(), "{code}: {error}");
                checked += 1;
            }
            let code = format!("local it = {receiver} it.{}(5)", row.name);
            let error = fixture.fails(&code);
            let named = format!("`{}` was not called on", row.name);
            assert!(error.message().starts_with(&named), "{code}: {error}");
        }
    }
    assert!(checked > 30, "{checked}");
}

/// Parts of messages that say nothing to who writes Lua.
const WITHIN: &[&str] = &[
    "[aikit]",
    "failed to extract",
    "error converting",
    "bad argument",
    "Handle.",
    "f64",
    "i64",
    "u64",
    "usize",
    "Option",
    "&str",
    "attempt to index",
    "attempt to call",
];

/// Values of each type of Lua, and some that are seldom meant.
const VALUES: &[&str] = &[
    "nil",
    "true",
    "5",
    "0/0",
    "-1",
    "'x'",
    "'\\255'",
    "{}",
    "{1, 2}",
    "{a = 1}",
    "{[true] = 1}",
    "print",
    "coroutine.create(print)",
    "io.stdout",
    "Context.get()",
    "Channel('wrong')",
];

/// A prefix that makes `it`, and what is called.
fn callees() -> Vec<(String, String, &'static ApiFunction)> {
    const FACES: &[&str] = &[
        "Context",
        "Procedure",
        "Channel",
        "Event",
        "Stream",
        "Hook",
        "Log",
        "Telemetry",
    ];
    const OBJECTS: &[(&str, &str)] = &[
        ("Channel", "Channel('wrong')"),
        ("Subscription", "Event.subscribe('wrong')"),
        (
            "Hook",
            "Hook.register('tool.before', print, {name = 'wrong'})",
        ),
        ("ChannelSession", "Channel.session()"),
        ("Log", "Log.get()"),
        ("Span", "Telemetry.start_span('wrong')"),
        ("Counter", "Telemetry.counter('wrong')"),
        ("Histogram", "Telemetry.histogram('wrong')"),
    ];
    let mut callees = Vec::new();
    for module in MODULES.iter().filter(|it| FACES.contains(&it.name)) {
        for row in module.functions.iter().chain(module.callee()) {
            let name = if module.functions.iter().any(|it| it.name == row.name) {
                format!("{}.{}", module.name, row.name)
            } else {
                module.name.to_owned()
            };
            callees.push((String::new(), name, row));
        }
        for class in module.classes {
            let known = RECEIVERS.iter().chain(OBJECTS);
            let (_, object) = known.clone().find(|(name, _)| *name == class.name).unwrap();
            for row in class.methods {
                let prefix = format!("local it = {object} ");
                callees.push((prefix, format!("it:{}", row.name), row));
            }
        }
    }
    callees
}

/// The line without the digits of addresses and identities.
fn without_digits(line: &str) -> String {
    let is_end = |it: char| !it.is_ascii_hexdigit();
    let parts = line.split_inclusive(is_end).map(|part| {
        let digits = part.trim_end_matches(is_end).len();
        if digits < 8 { part } else { &part[digits..] }
    });
    parts.collect()
}

#[test]
fn no_message_of_a_wrong_call_names_what_is_within() {
    let fixture = Fixture::new();
    let mut failed = 0;
    for (prefix, name, row) in callees() {
        let mut calls: Vec<String> = Vec::new();
        let rights: Vec<_> = row
            .params
            .iter()
            .map(|it| right_and_wrong(&it.kind).0)
            .collect();
        for value in VALUES {
            for position in 0..row.params.len() {
                let before = rights[..position].join(", ");
                let comma = if position == 0 { "" } else { ", " };
                calls.push(format!("{name}({before}{comma}{value})"));
                for option in row.params[position].kind.options() {
                    let option = option.name;
                    calls.push(format!("{name}({before}{comma}{{{option} = {value}}})"));
                }
            }
        }
        if let Some(method) = name.strip_prefix("it:") {
            calls.extend([format!("it.{method}()"), format!("it.{method}(5)")]);
        }
        // All of one row in one cell; what waits is stopped.
        let calls = calls
            .into_iter()
            .map(|call| format!("try([=[{call}]=], function() {prefix}{call} end)"));
        let code = format!(
            "local function try(call, body)
               local ok, err = pcall(timeout, 0.02, body)
               if not ok then print(call, tostring(err)) end
             end
             {}",
            calls.collect::<Vec<_>>().join("\n")
        );
        fixture
            .run(&code)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for line in fixture.sink.text().lines() {
            failed += 1;
            // `f64` may be among them (`table: 0x7fcfa40f6410`).
            let line = without_digits(line);
            for word in WITHIN {
                assert!(!line.contains(word), "{word}: {line}");
            }
        }
    }
    assert!(failed > 1000, "{failed}");
}
