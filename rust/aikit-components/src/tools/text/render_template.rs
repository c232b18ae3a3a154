//! `render_template`: fills a template with values.

use std::{io, sync::LazyLock, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    services::Permission,
    tool::{Tool, ToolContext},
    value::Map,
};
use handlebars::{Handlebars, RenderErrorReason as Reason};
use minijinja::{Environment, ErrorKind as Kind, UndefinedBehavior, value::Serde};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools::computation;

/// Longest template and longest result, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Instructions that one Jinja template may take.
const FUEL: u64 = 2_000_000;

/// How deep macros and blocks may call one another.
const RECURSION_MAX: usize = 100;

/// How often the innermost loop of a Handlebars template may run.
const ROUNDS_MAX: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct RenderTemplate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The template: `Hello {{ name }}`.
    template: String,
    /// The values it uses, by name.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    context: Map,
    /// Language of the template: `jinja` or `handlebars`.
    #[serde(default)]
    engine: Engine,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Engine {
    #[default]
    Jinja,
    Handlebars,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The filled template.
    text: String,
}

impl Tool for RenderTemplate {
    const NAME: &'static str = "render_template";
    const SUMMARY: &'static str = "Fills a Jinja or Handlebars template with values; a name \
                                   without a value is an error.";
    const PERMISSIONS: &'static [Permission] = &[];
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        if args.template.len() > TEMPLATE_BYTES_MAX {
            let message = format!("`template` is larger than {TEMPLATE_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, message).with_hint("fill it in parts"));
        }
        // Nested templates are parsed by recursion, on a stack of their own.
        computation::run(&cx.context, u64::MAX, move |_| {
            let mut out = Bounded::default();
            match args.engine {
                Engine::Jinja => jinja(&args, &mut out)?,
                Engine::Handlebars => handlebars(&args, &mut out)?,
            }
            Ok(Output {
                text: String::from_utf8_lossy(&out.bytes).into_owned(),
            })
        })
        .await
    }
}

/// Takes text up to the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > TEXT_BYTES_MAX {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn jinja(args: &Args, out: &mut Bounded) -> Result<()> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let context = minijinja::Value::from(Serde(Value::Map(args.context.clone())));
    let template = environment.template_from_str(&args.template);
    let rendered = template.and_then(|it| it.render_captured_to(context, &mut *out).map(drop));
    rendered.map_err(|error| {
        let line = error
            .line()
            .map_or_else(String::new, |line| format!(" in line {line}"));
        let detail = error.detail().unwrap_or_default();
        let what = format!("{}{line}", error.kind());
        let message = if detail.is_empty() {
            what
        } else {
            format!("{what}: {detail}")
        };
        match error.kind() {
            _ if out.is_full => too_large(),
            Kind::OutOfFuel => too_long(),
            Kind::UndefinedError => unknown(&message),
            Kind::TemplateNotFound | Kind::BadInclude => wrong(
                &message,
                "a template stands alone: it cannot include, import or extend others",
            ),
            _ => wrong(&message, "correct the template; its language is Jinja"),
        }
    })
}

static NEEDS_OTHERS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{~?\s*#?\s*[>*]").ok());
static LOOP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{~?\s*([#^/])\s*(?:each|with)\b").ok());

fn handlebars(args: &Args, out: &mut Bounded) -> Result<()> {
    let template = &args.template;
    if NEEDS_OTHERS.as_ref().is_none_or(|it| it.is_match(template)) {
        // Partials can call themselves, and nothing would end them.
        return Err(wrong(
            "partials and decorators are not available",
            "a template stands alone: write the part where it is needed",
        ));
    }
    let data = Value::Map(args.context.clone()).to_readable_json();
    check_rounds(template, &data)?;
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    let rendered = registry.render_template_to_write(template, &data, &mut *out);
    rendered.map_err(|error| {
        let message = error.to_string();
        match error.reason() {
            _ if out.is_full => too_large(),
            Reason::MissingVariable(_) => unknown(&message),
            _ => wrong(&message, "correct the template; its language is Handlebars"),
        }
    })
}

/// Refuses loops within loops that would run too often: nothing counts their rounds.
fn check_rounds(template: &str, data: &serde_json::Value) -> Result<()> {
    let (mut depth, mut deepest) = (0_u32, 0);
    for found in LOOP.iter().flat_map(|it| it.captures_iter(template)) {
        if &found[1] == "#" {
            depth += 1;
            deepest = deepest.max(depth);
        } else if &found[1] == "/" {
            depth = depth.saturating_sub(1);
        }
    }
    let mut longest = 1_u64;
    let mut rest = vec![data];
    while let Some(value) = rest.pop() {
        let length = match value {
            serde_json::Value::Array(items) => {
                rest.extend(items);
                items.len()
            }
            serde_json::Value::Object(members) => {
                rest.extend(members.values());
                members.len()
            }
            _ => 0,
        };
        longest = longest.max(length as u64);
    }
    match longest.checked_pow(deepest) {
        Some(rounds) if rounds <= ROUNDS_MAX => Ok(()),
        _ => Err(too_long()),
    }
}

fn wrong(why: &str, hint: &str) -> Error {
    Error::invalid_args(format!("the template cannot be filled: {why}")).with_hint(hint)
}

fn unknown(why: &str) -> Error {
    wrong(why, "give every name that the template uses in `context`")
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        "the template takes too many steps",
    )
    .with_hint("shorten its loops or the lists they go through")
}

fn too_large() -> Error {
    let message = format!("the filled template is larger than {TEXT_BYTES_MAX} bytes");
    Error::new(ErrorKind::LimitExceeded, message).with_hint("fill it in parts")
}
