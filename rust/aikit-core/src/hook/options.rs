//! How a hook is registered: its name, its priority, its time limit, whether it guards.

use std::time::Duration;

use crate::{Error, Result, Value};

/// How long one hook may take when it names no time.
pub const HOOK_TIME: Duration = Duration::from_secs(30);

/// Longest time limit of a hook: one that asks a person.
pub const HOOK_TIME_MAX: Duration = Duration::from_hours(24);

/// Priorities that have a name, highest first.
pub const PRIORITIES: [(&str, i32); 5] = [
    ("highest", 1_000),
    ("high", 500),
    ("normal", 0),
    ("low", -500),
    ("lowest", -1_000),
];

/// Largest priority, and with a minus the smallest one.
const PRIORITY_MAX: i32 = 1_000_000;

/// Reads a priority: its name, or a whole number from -1000000 to 1000000.
///
/// # Errors
///
/// `invalid_args` for anything else.
pub fn priority(value: &Value) -> Result<i32> {
    let number = match value {
        Value::Null => Some(0),
        Value::String(name) => {
            let known = PRIORITIES.iter().find(|(known, _)| known == name);
            known.map(|(_, number)| *number)
        }
        other => other.as_i64().and_then(|it| i32::try_from(it).ok()),
    };
    number
        .filter(|it| (-PRIORITY_MAX..=PRIORITY_MAX).contains(it))
        .ok_or_else(|| {
            let names: Vec<String> = PRIORITIES.iter().map(|(it, _)| format!("`{it}`")).collect();
            Error::invalid_args(format!("`priority` is `{value}`")).with_hint(format!(
                "use one of {} or a whole number up to {PRIORITY_MAX}",
                names.join(", ")
            ))
        })
}

/// Reads a time limit in seconds: above 0, at most a day.
///
/// # Errors
///
/// `invalid_args` for anything else.
pub fn time_limit(seconds: Option<f64>) -> Result<Duration> {
    let Some(seconds) = seconds else {
        return Ok(HOOK_TIME);
    };
    let limit = Duration::try_from_secs_f64(seconds).ok();
    limit
        .filter(|it| !it.is_zero() && *it <= HOOK_TIME_MAX)
        .ok_or_else(|| {
            let hint = format!("give seconds above 0, at most {}", HOOK_TIME_MAX.as_secs());
            Error::invalid_args(format!("`timeout_s` is `{seconds}`")).with_hint(hint)
        })
}

/// How a hook is registered.
#[derive(Clone, Debug)]
pub struct HookOptions {
    /// Name in messages and lists; `None` or `anonymous` gives it a number. A hook with the name and
    /// the points of an earlier one takes its place.
    pub name: Option<String>,
    /// Higher ones are asked first; among equal ones the earlier registration.
    pub priority: i32,
    /// How long one call of it may take; it is cut off then.
    pub timeout: Duration,
    /// Whether a call may go on when this hook fails. Where it is `true`, the call fails with the
    /// hook and the hook is never switched off: a guard. Otherwise a failure of the hook is
    /// an event and a warning, and the call goes on as if it had answered nothing.
    pub required: bool,
    /// Where it comes from: `rust`, `built-in`, `config`, `lua`, `python`.
    pub origin: &'static str,
}

impl Default for HookOptions {
    fn default() -> Self {
        Self {
            name: None,
            priority: 0,
            timeout: HOOK_TIME,
            required: false,
            origin: "rust",
        }
    }
}

impl HookOptions {
    /// Reads a table of `name`, `priority`, `timeout_s` and `required`; what is missing is as it is by
    /// default.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a value that does not fit.
    pub fn from_value(options: &Value, origin: &'static str) -> Result<Self> {
        let get = |key: &str| options.get(key).filter(|it| !it.is_null());
        let wrong = |key: &str, expected: &str| {
            Error::invalid_args(format!("`{key}` must be {expected}")).with_hint(
                "the options of a hook are `name`, `priority`, `timeout_s` and `required`",
            )
        };
        let name = get("name").map(|it| it.as_str().ok_or_else(|| wrong("name", "a text")));
        let seconds =
            get("timeout_s").map(|it| it.as_f64().ok_or_else(|| wrong("timeout_s", "a number")));
        let required = get("required").map(|it| {
            it.as_bool()
                .ok_or_else(|| wrong("required", "true or false"))
        });
        Ok(Self {
            name: name.transpose()?.map(str::to_owned),
            priority: priority(get("priority").unwrap_or(&Value::Null))?,
            timeout: time_limit(seconds.transpose()?)?,
            required: required.transpose()?.unwrap_or(false),
            origin,
        })
    }

    /// Options with a name, everything else as it is by default.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_names_or_numbers() {
        let cases = [
            (Value::Null, Some(0)),
            (Value::from("highest"), Some(1000)),
            (Value::from("lowest"), Some(-1000)),
            (Value::Int(-7), Some(-7)),
            (Value::Float(2.0), Some(2)),
            (Value::from("urgent"), None),
            (Value::Int(1_000_001), None),
            (Value::Float(0.5), None),
            (Value::Bool(true), None),
        ];
        for (value, expected) in cases {
            assert_eq!(priority(&value).ok(), expected, "{value}");
        }
    }

    #[test]
    fn time_limits_are_above_zero_and_at_most_a_day() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(time_limit(Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(time_limit(None).unwrap(), HOOK_TIME);
        assert_eq!(time_limit(Some(0.5)).unwrap(), Duration::from_millis(500));
    }
}
