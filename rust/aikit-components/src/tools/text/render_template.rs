//! `render_template`: fills a template with values.

mod counted;

use std::{io, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    services::Permission,
    tool::{Tool, ToolContext},
    value::Map,
};
use handlebars::{Handlebars, RenderErrorReason as Reason};
use minijinja::{Environment, ErrorKind as Kind, UndefinedBehavior, value::Serde};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools::computation::{self, Budget};

/// Longest template and longest result, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Instructions that one Jinja template may take. The engine counts 64 bytes of every text and two
/// slots of every list that it makes as one as well, so this bounds the memory of texts too: to
/// 32 MiB. It does not see how large a list of lists becomes when it is written out: one that holds
/// the same list twice, a hundred levels deep, outlives the time limit.
const FUEL: u64 = 512 << 10;

/// How deep macros and blocks may call one another.
const RECURSION_MAX: usize = 100;

/// Steps that one Handlebars template may take: values that it looks up.
const STEPS_MAX: u64 = 2_000_000;

/// The name of a template that only the engine sees.
const NAME: &str = "template";

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
        computation::run(&cx.context, STEPS_MAX, move |budget| {
            let mut out = Bounded::default();
            match args.engine {
                Engine::Jinja => jinja(&args, &mut out)?,
                Engine::Handlebars => handlebars(&args, budget, &mut out)?,
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

fn handlebars(args: &Args, budget: &Budget, out: &mut Bounded) -> Result<()> {
    let failed = |why: &str| wrong(why, "correct the template; its language is Handlebars");
    let template = handlebars::Template::compile(&args.template);
    let mut template = template.map_err(|error| failed(&error.to_string()))?;
    if counted::needs_others(&template) {
        // Partials can call themselves, and nothing would end them.
        return Err(wrong(
            "partials and decorators are not available",
            "a template stands alone: write the part where it is needed",
        ));
    }
    let data = Value::Map(args.context.clone()).to_readable_json();
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    counted::register(&mut registry, budget);
    counted::count(&mut template)?;
    registry.register_template(NAME, template);
    registry
        .render_to_write(NAME, &data, &mut *out)
        .map_err(|error| {
            let message = error.to_string();
            match (error.reason(), budget.outcome()) {
                _ if out.is_full => too_large(),
                (_, Err(error)) if error.kind() == ErrorKind::LimitExceeded => too_long(),
                (_, Err(error)) => error,
                (Reason::MissingVariable(_), _) => unknown(&message),
                _ => failed(&message),
            }
        })
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
