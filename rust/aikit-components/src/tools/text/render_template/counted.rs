//! Templates of Handlebars whose work is counted: the engine itself counts nothing.

use aikit_core::{Error, Result};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, JsonValue, RenderContext, RenderError,
    RenderErrorReason, ScopedJson, Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};

use crate::tools::computation::Budget;

/// Bytes of text that one step pays for when they are copied.
const BYTES_PER_STEP: usize = 256;

/// The name of the helper that counts. No template can write it.
const STEPS: &str = "\0steps";

/// Whether a template has partials or decorators, however they are written.
pub(super) fn needs_others(template: &Template) -> bool {
    let mut rest = vec![template];
    while let Some(template) = rest.pop() {
        for element in &template.elements {
            match helper(element) {
                Some(it) => rest.extend(it.template.iter().chain(&it.inverse)),
                None if is_text(element) => {}
                None => return true,
            }
        }
    }
    false
}

fn is_text(element: &TemplateElement) -> bool {
    matches!(
        element,
        TemplateElement::RawString(_) | TemplateElement::Comment(_)
    )
}

fn helper(element: &TemplateElement) -> Option<&HelperTemplate> {
    match element {
        TemplateElement::HelperBlock(it)
        | TemplateElement::Expression(it)
        | TemplateElement::HtmlExpression(it) => Some(it),
        _ => None,
    }
}

/// Makes every body of a block begin with taking the steps that filling it costs, so that loops,
/// however they are written, end.
///
/// # Errors
///
/// `internal` when the engine has another syntax.
pub(super) fn count(template: &mut Template) -> Result<()> {
    let taking = taking().ok_or_else(|| Error::internal("a call of a helper is not one"))?;
    let mut rest = vec![template];
    while let Some(template) = rest.pop() {
        for element in &mut template.elements {
            if let TemplateElement::HelperBlock(it) = element {
                for body in it.template.iter_mut().chain(&mut it.inverse) {
                    let steps = body.elements.iter().map(cost).sum::<u64>() + 1;
                    let mut taking = taking.clone();
                    taking.params = vec![Parameter::Literal(steps.into())];
                    let taking = TemplateElement::Expression(Box::new(taking));
                    body.elements.insert(0, taking);
                    // The places of the elements, for messages, stand beside them.
                    if let Some(first) = body.mapping.first().cloned() {
                        body.mapping.insert(0, first);
                    }
                    rest.push(body);
                }
            }
        }
    }
    Ok(())
}

/// The call that takes steps; only the parser makes calls.
fn taking() -> Option<HelperTemplate> {
    let template = Template::compile("{{steps 1}}").ok()?;
    let mut call = template.elements.first().and_then(helper)?.clone();
    call.name = Parameter::Name(STEPS.to_owned());
    Some(call)
}

/// How many values a template looks up for one element, apart from the bodies in it.
fn cost(element: &TemplateElement) -> u64 {
    let mut steps = 0;
    let mut rest = vec![element];
    while let Some(element) = rest.pop() {
        steps += 1;
        let Some(it) = helper(element) else {
            continue;
        };
        for parameter in it.params.iter().chain(it.hash.values()) {
            match parameter {
                Parameter::Subexpression(it) => rest.push(&it.element),
                _ => steps += 1,
            }
        }
    }
    steps
}

/// Registers what takes the steps.
pub(super) fn register<'a>(registry: &mut Handlebars<'a>, budget: &'a Budget) {
    registry.register_helper(STEPS, Box::new(Steps(budget)));
    registry.register_helper("lookup", Box::new(Lookup(budget)));
}

fn take(budget: &Budget, steps: u64) -> Result<(), RenderError> {
    for _ in 0..steps {
        let taken = budget.step();
        taken.map_err(|error| RenderErrorReason::NestedError(Box::new(error)))?;
    }
    Ok(())
}

struct Steps<'a>(&'a Budget);

impl HelperDef for Steps<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        rendering: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let steps = helper.param(0).and_then(|it| it.value().as_u64());
        // A value that `lookup` found is copied by each name that leads into it.
        let base = rendering.block().and_then(|it| it.base_value());
        let copies = base.map_or(1, weight);
        take(self.0, steps.unwrap_or(1).saturating_mul(copies))?;
        Ok(ScopedJson::Derived(JsonValue::from("")))
    }
}

/// The helper `lookup`, which copies what it finds.
struct Lookup<'a>(&'a Budget);

impl HelperDef for Lookup<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let param = |index| {
            let missing = RenderErrorReason::ParamNotFoundForIndex("lookup", index);
            helper.param(index).ok_or(missing)
        };
        let (within, key) = (param(0)?.value(), param(1)?.value());
        let found = match (within, key) {
            (JsonValue::Array(items), key) => key
                .as_u64()
                .and_then(|it| usize::try_from(it).ok())
                .and_then(|it| items.get(it)),
            (JsonValue::Object(members), JsonValue::String(key)) => members.get(key),
            _ => None,
        };
        let found = found.ok_or_else(|| RenderError::strict_error(None))?;
        take(self.0, weight(found))?;
        Ok(ScopedJson::Derived(found.clone()))
    }
}

/// What a copy of a value costs, in steps.
fn weight(value: &JsonValue) -> u64 {
    let mut steps = 0_u64;
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        steps += 1;
        match value {
            JsonValue::Array(items) => rest.extend(items),
            JsonValue::Object(members) => rest.extend(members.values()),
            JsonValue::String(text) => steps += (text.len() / BYTES_PER_STEP) as u64,
            _ => {}
        }
    }
    steps
}
