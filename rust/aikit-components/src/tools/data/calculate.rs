//! `calculate`: evaluates an expression exactly where possible, with units and variables.

use std::{collections::BTreeMap, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result,
    services::Permission,
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tools::computation::{self, Budget};

/// Longest expression, in characters.
const EXPRESSION_CHARACTERS_MAX: usize = 2000;

/// Most variables of one call.
const VARIABLES_MAX: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Calculate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Expression, such as `2^100`, `sqrt(2)`, `15% of 80`, `3 ft to cm` or `0.1 + 0.2`; several
    /// statements are separated by `;`.
    expression: String,
    /// Values by name, to be used in the expression: numbers, or text such as `5 km`.
    #[serde(default)]
    variables: BTreeMap<String, Operand>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Operand {
    Integer(i64),
    Number(f64),
    Text(String),
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The value as text, with its unit where it has one: `91.44 cm`.
    value: String,
    /// The value as a number (a double), where it is one without a unit.
    number: Option<f64>,
    /// Whether the value is exact; otherwise it is rounded.
    exact: bool,
}

impl Tool for Calculate {
    const NAME: &'static str = "calculate";
    const SUMMARY: &'static str = "Calculates with numbers of any size, fractions, units, \
                                   percentages and functions; exact where possible.";
    const PERMISSIONS: &'static [Permission] = &[];
    // Steps of very different length are counted, so time alone ends a calculation.
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        check_length("expression", &args.expression)?;
        if args.variables.len() > VARIABLES_MAX {
            return Err(
                Error::invalid_args(format!("more than {VARIABLES_MAX} variables"))
                    .with_hint("pass those the expression uses"),
            );
        }
        computation::run(&cx.context, u64::MAX, move |budget| evaluate(&args, budget)).await
    }
}

/// Stops the evaluation when the budget is spent.
struct Interrupt<'a>(&'a Budget);

impl fend_core::Interrupt for Interrupt<'_> {
    fn should_interrupt(&self) -> bool {
        self.0.step().is_err()
    }
}

fn evaluate(args: &Args, budget: &Budget) -> Result<Output> {
    // No exchange rates and no randomness are given: the same call has the same answer.
    let mut context = fend_core::Context::new();
    for (name, operand) in &args.variables {
        check_name(name)?;
        let text = match operand {
            Operand::Integer(number) => number.to_string(),
            Operand::Number(number) if number.is_finite() => format!("{number:?}"),
            Operand::Number(_) => {
                return Err(Error::invalid_args(format!(
                    "variable `{name}` is not a finite number"
                )));
            }
            Operand::Text(text) => text.clone(),
        };
        check_length(name, &text)?;
        let assignment = format!("{name} = ({text})");
        run(&assignment, &mut context, budget).map_err(|error| of_variable(name, &text, &error))?;
    }
    let text = run(&args.expression, &mut context, budget)?;
    let (exact, value) = match text.strip_prefix("approx. ") {
        Some(rest) => (false, rest.to_owned()),
        None => (true, text),
    };
    if value.is_empty() {
        return Err(Error::invalid_args("the expression has no value")
            .with_hint("end it with what is to be calculated"));
    }
    let finite = |it: &f64| it.is_finite();
    let number = value.parse().ok().filter(finite);
    if exact || has_own_format(&args.expression) {
        return Ok(Output {
            value,
            number,
            exact,
        });
    }
    let text = run(DIGITS, &mut context, budget)?;
    let digits = text.strip_prefix("approx. ").unwrap_or(&text);
    Ok(Output {
        value: significant(&value, digits).unwrap_or(value),
        number: digits.parse().ok().filter(finite),
        exact,
    })
}

/// The last value with all digits of a double; by itself the library shows ten decimals.
const DIGITS: &str = "ans to 17 sf";

/// Whether an expression says itself how its value is written: `1/3 to 4 dp`.
fn has_own_format(expression: &str) -> bool {
    let words = expression.split(|it: char| !it.is_alphanumeric());
    let mut words = words.map(str::to_lowercase);
    words.any(|it| matches!(&*it, "dp" | "sf" | "float" | "fraction" | "exact"))
}

/// The value in scientific notation, with its unit, when ten decimals lose what matters of it.
fn significant(value: &str, digits: &str) -> Option<String> {
    /// Relative difference that ten significant digits leave.
    const ROUNDING: f64 = 1e-9;
    let number = |text: &str| text.split(' ').next()?.parse::<f64>().ok();
    let (shown, full) = (number(value)?, number(digits)?);
    if (shown - full).abs() <= full.abs() * ROUNDING {
        return None;
    }
    let unit = digits.split_once(' ').map(|(_, unit)| format!(" {unit}"));
    Some(format!("{full:e}{}", unit.unwrap_or_default()))
}

fn run(text: &str, context: &mut fend_core::Context, budget: &Budget) -> Result<String> {
    let outcome = fend_core::evaluate_with_interrupt(text, context, &Interrupt(budget));
    budget.outcome()?;
    let answer = outcome.map_err(|reason| {
        Error::invalid_args(format!("`{text}` cannot be calculated: {reason}"))
            .with_hint("write for example `2 * (3 + 4)`, `10 km / 40 min to km/h` or `5!`")
    })?;
    Ok(answer.get_main_result().trim().to_owned())
}

fn of_variable(name: &str, text: &str, error: &Error) -> Error {
    if error.kind() != ErrorKind::InvalidArgs {
        return Error::new(error.kind(), error.message().to_owned());
    }
    Error::invalid_args(format!("variable `{name}` cannot be read: `{text}`"))
        .with_hint("give a number, or text such as `5 km`")
}

fn check_name(name: &str) -> Result<()> {
    let is_name = name.chars().next().is_some_and(char::is_alphabetic)
        && name.chars().all(|it| it.is_alphanumeric() || it == '_');
    if is_name {
        return Ok(());
    }
    Err(
        Error::invalid_args(format!("`{name}` is not a name for a variable"))
            .with_hint("begin with a letter, go on with letters, digits and `_`"),
    )
}

fn check_length(what: &str, text: &str) -> Result<()> {
    if text.chars().count() <= EXPRESSION_CHARACTERS_MAX {
        return Ok(());
    }
    let message = format!("`{what}` is longer than {EXPRESSION_CHARACTERS_MAX} characters");
    Err(Error::invalid_args(message).with_hint("calculate in several steps"))
}
