//! What a hook answers, and how the faces write it.

use std::time::Duration;

use super::{HookPoint, Moment};
use crate::{Error, ErrorKind, Result, Value, value::Map};

/// Attempts that `retry` asks for when it names no number, and the most it may name.
const RETRIES: u32 = 3;
pub(super) const RETRIES_MAX: u32 = 100;

/// Longest pause that a hook may ask for.
const DELAY_MAX: Duration = Duration::from_hours(1);

/// What a hook answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HookAction {
    /// Go on as if there were no hook.
    Continue,
    /// Go on with these fields changed: arguments before the call, its result after it. The hooks
    /// that come later see the change.
    Modify(Map),
    /// Take this as the result and ask no further hook of this point; before a call, the call is
    /// left out.
    Replace(Value),
    /// As `Replace`, with an empty result.
    Skip,
    /// End the call with an error.
    Stop {
        /// What the error says.
        reason: String,
        /// Its kind, `denied` where nothing else is meant.
        kind: ErrorKind,
    },
    /// Begin the call anew, hooks included. Before a call: the hook wants to be asked again; when
    /// it has asked `max` times, the call is refused. Later: the outcome is not good enough; when
    /// it has asked `max` times, the outcome stays.
    Retry {
        /// How long to wait first.
        delay: Duration,
        /// How often this hook may ask for it during one call.
        max: u32,
    },
}

impl HookAction {
    /// Ends the call with an error of kind `denied`.
    pub fn stop(reason: impl Into<String>) -> Self {
        Self::Stop {
            reason: reason.into(),
            kind: ErrorKind::Denied,
        }
    }

    /// Changes one field.
    pub fn modify(field: &str, value: impl Into<Value>) -> Self {
        Self::Modify(Map::from_iter([(field.to_owned(), value.into())]))
    }

    /// Reads what a function of a script or a program returns: nothing for [`HookAction::Continue`],
    /// or a table with one of `modify` (a table of fields), `replace`, `skip` (true), `stop` (a
    /// reason, with the `kind` of the error beside it) and `retry` (a table of `delay_s` and `max`).
    ///
    /// # Errors
    ///
    /// `invalid_args` for anything else.
    pub fn from_value(value: Value) -> Result<Self> {
        let map = match value {
            Value::Null => return Ok(Self::Continue),
            Value::Map(map) => map,
            other => {
                let message = format!("a hook answered a value of type {}", other.type_name());
                return Err(Error::invalid_args(message).with_hint(SHAPE));
            }
        };
        let mut members: Vec<(String, Value)> = map.into_iter().collect();
        let kind = members.iter().position(|(key, _)| key == "kind");
        let kind = kind.map(|at| members.swap_remove(at).1);
        let is_stop = members.iter().any(|(key, _)| key == "stop");
        let (Some((key, value)), None, true) =
            (members.pop(), members.pop(), is_stop || kind.is_none())
        else {
            let message = "a hook answered a table that has not exactly one answer";
            return Err(Error::invalid_args(message).with_hint(SHAPE));
        };
        match (key.as_str(), value) {
            ("modify", Value::Map(fields)) => Ok(Self::Modify(fields)),
            ("replace", value) => Ok(Self::Replace(value)),
            ("skip", Value::Bool(true)) => Ok(Self::Skip),
            ("stop", Value::String(reason)) => Ok(Self::Stop {
                reason,
                kind: kind.as_ref().map_or(Ok(ErrorKind::Denied), stop_kind)?,
            }),
            ("retry", options) => retry(options),
            (key, value) => {
                let shown: String = key.chars().take(40).collect();
                let message = format!(
                    "a hook answered `{}` with a value of type {}",
                    shown.escape_debug(),
                    value.type_name()
                );
                Err(Error::invalid_args(message).with_hint(SHAPE))
            }
        }
    }

    /// The answer as [`HookAction::from_value`] reads it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Continue => Value::Null,
            Self::Modify(fields) => Value::map([("modify", Value::Map(fields.clone()))]),
            Self::Replace(value) => Value::map([("replace", value.clone())]),
            Self::Skip => Value::map([("skip", Value::Bool(true))]),
            Self::Stop { reason, kind } => Value::map([
                ("stop", Value::from(reason.as_str())),
                ("kind", Value::from(kind.code())),
            ]),
            Self::Retry { delay, max } => {
                let options = [
                    ("delay_s", Value::from(delay.as_secs_f64())),
                    ("max", Value::from(*max)),
                ];
                Value::map([("retry", Value::map(options))])
            }
        }
    }

    /// Whether the answer has a meaning at `point`.
    ///
    /// # Errors
    ///
    /// `invalid_args` that says what may be answered there.
    pub(super) fn check(&self, point: HookPoint) -> Result<()> {
        let name = point.name();
        let wrong = |what: &str, hint: String| {
            Err(Error::invalid_args(format!("{what} at `{name}`")).with_hint(hint))
        };
        let is_replaceable = point.subject().is_some_and(|it| it.is_replaceable);
        match self {
            Self::Continue => Ok(()),
            _ if point.moment() == Moment::Notice => wrong(
                "a hook can only observe",
                "answer nothing: what happened is decided".to_owned(),
            ),
            Self::Replace(_) | Self::Skip if !is_replaceable => wrong(
                "a call cannot be left out or answered",
                "stop it, or let it go on".to_owned(),
            ),
            Self::Modify(fields) => {
                let known = point.changes();
                let unknown = fields.keys().find(|key| !known.contains(&key.as_str()));
                match unknown {
                    None if !fields.is_empty() => Ok(()),
                    _ => {
                        let what = unknown.map_or_else(
                            || "nothing is named to be changed".to_owned(),
                            |key| format!("`{}` cannot be changed", key.escape_debug()),
                        );
                        let hint = if known.is_empty() {
                            "nothing can be changed there".to_owned()
                        } else {
                            format!("what can be changed there: `{}`", known.join("`, `"))
                        };
                        wrong(&what, hint)
                    }
                }
            }
            _ => Ok(()),
        }
    }
}

const SHAPE: &str = "answer nothing to let the call go on, or one of `modify` with the changed \
                     fields, `replace` with a result, `skip`, `stop` with a reason, `retry` with \
                     `delay_s` and `max`";

/// The kind of error that a hook stops a call with. What says that the user or the caller ended
/// something is not a hook's to say.
fn stop_kind(value: &Value) -> Result<ErrorKind> {
    let kind = value.as_str().and_then(ErrorKind::from_code);
    kind.filter(|it| !matches!(it, ErrorKind::Cancelled | ErrorKind::Interrupted))
        .ok_or_else(|| {
            let message = format!("a hook stopped with the kind `{value}`");
            let hint = "use the code of an error kind, such as `denied` or `limit_exceeded`";
            Error::invalid_args(message).with_hint(hint)
        })
}

fn retry(options: Value) -> Result<HookAction> {
    let wrong = |what: String| {
        Err(Error::invalid_args(what).with_hint(format!(
            "give `delay_s` from 0 to {} and `max` from 1 to {RETRIES_MAX}",
            DELAY_MAX.as_secs()
        )))
    };
    let map = match options {
        Value::Map(map) => map,
        // Scripts write an empty table like an empty list.
        Value::List(items) if items.is_empty() => Map::new(),
        Value::Bool(true) => Map::new(),
        other => return wrong(format!("`retry` is a value of type {}", other.type_name())),
    };
    if let Some(key) = map
        .keys()
        .find(|key| !["delay_s", "max"].contains(&key.as_str()))
    {
        return wrong(format!("`retry` has no option `{}`", key.escape_debug()));
    }
    let delay = map.get("delay_s").map_or(Some(0.0), Value::as_f64);
    let delay = delay.and_then(|it| Duration::try_from_secs_f64(it).ok());
    let max = map
        .get("max")
        .map_or(Some(i64::from(RETRIES)), Value::as_i64);
    let max = max.and_then(|it| u32::try_from(it).ok());
    match (delay, max) {
        (Some(delay), Some(max)) if delay <= DELAY_MAX && (1..=RETRIES_MAX).contains(&max) => {
            Ok(HookAction::Retry { delay, max })
        }
        _ => wrong("`retry` is out of its range".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_way_through_a_value() {
        let cases = [
            HookAction::Continue,
            HookAction::modify("args", Value::Int(1)),
            HookAction::Replace(Value::Null),
            HookAction::Skip,
            HookAction::stop("no"),
            HookAction::Stop {
                reason: "enough".to_owned(),
                kind: ErrorKind::LimitExceeded,
            },
            HookAction::Retry {
                delay: Duration::from_millis(1500),
                max: 7,
            },
        ];
        for action in cases {
            assert_eq!(HookAction::from_value(action.to_value()).unwrap(), action);
        }
        let empty = Value::map([("retry", Value::List(Vec::new()))]);
        let short = HookAction::from_value(empty).unwrap();
        let expected = HookAction::Retry {
            delay: Duration::ZERO,
            max: RETRIES,
        };
        assert_eq!(short, expected);
    }

    #[test]
    fn what_is_no_answer_is_refused_with_the_shape() {
        let one = |key: &str, value: Value| Value::map([(key, value)]);
        let cases = [
            Value::Bool(false),
            Value::from("stop"),
            Value::Map(Map::new()),
            one("stop", Value::Bool(true)),
            one("skip", Value::Bool(false)),
            one("modify", Value::Int(1)),
            one("halt", Value::from("x")),
            one("kind", Value::from("denied")),
            Value::map([("skip", Value::Bool(true)), ("replace", Value::Int(1))]),
            Value::map([("skip", Value::Bool(true)), ("kind", Value::from("denied"))]),
            Value::map([
                ("stop", Value::from("x")),
                ("kind", Value::from("cancelled")),
            ]),
            Value::map([("stop", Value::from("x")), ("kind", Value::from("none"))]),
            one("retry", one("max", Value::Int(0))),
            one("retry", one("max", Value::Int(101))),
            one("retry", one("delay_s", Value::from(-1.0))),
            one("retry", one("delay_s", Value::from(f64::NAN))),
            one("retry", one("delay_s", Value::from(1e9))),
            one("retry", one("delay", Value::Int(1))),
        ];
        for value in cases {
            let error = HookAction::from_value(value.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{value}");
            assert!(error.hint().is_some(), "{value}");
        }
    }

    #[test]
    fn an_answer_without_a_meaning_at_a_point_says_what_has_one() {
        let modify = |field: &str| HookAction::modify(field, Value::Null);
        let cases = [
            (HookPoint::ToolBefore, modify("args"), true),
            (HookPoint::ToolBefore, modify("tool"), false),
            (HookPoint::ToolAfter, modify("result"), true),
            (HookPoint::ToolAfter, modify("args"), false),
            (HookPoint::ToolError, modify("error"), false),
            (HookPoint::ToolError, HookAction::Skip, true),
            (HookPoint::ToolBefore, HookAction::Modify(Map::new()), false),
            (HookPoint::StateWriteBefore, modify("value"), true),
            (HookPoint::StateWriteBefore, HookAction::Skip, false),
            (HookPoint::SessionStartAfter, modify("result"), false),
            (HookPoint::SessionStartBefore, HookAction::stop("no"), true),
            (HookPoint::SecurityViolation, HookAction::Continue, true),
            (HookPoint::SecurityViolation, HookAction::stop("no"), false),
            (HookPoint::LimitExceeded, HookAction::Skip, false),
        ];
        for (point, action, expected) in cases {
            let checked = action.check(point);
            assert_eq!(checked.is_ok(), expected, "{point:?} {action:?}");
            if let Err(error) = checked {
                assert!(error.message().contains(point.name()) && error.hint().is_some());
            }
        }
    }
}
