//! Hooks that come with aikit: one file each, one row each in [`BUILT_INS`].

mod approval;
mod cache;
mod cost_limit;
mod logging;
mod metrics;
mod rate_limit;
mod retry;
mod selection;

use std::{fmt, sync::Arc, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::{Approver, Context},
    hook::{Hook, HookInfo, HookOptions, HookRegistry, Points, priority, time_limit},
    services::Ask,
    value::Map,
};
use serde::de::DeserializeOwned;
use toml::Value as Toml;

use self::selection::Selection;
use crate::{config::HooksConfig, nearest};

/// What built-in hooks need of the session.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Whom to ask for approvals; `None` when nobody is there.
    pub ask: Option<Arc<dyn Ask>>,
    /// Who decides instead.
    pub approver: Option<Arc<dyn Approver>>,
}

impl Host {
    /// A session whose user is asked.
    pub fn asking(ask: Option<Arc<dyn Ask>>) -> Self {
        Self {
            ask,
            approver: None,
        }
    }
}

/// A hook that comes with aikit.
pub struct BuiltIn {
    /// Its name in `use` and in the section `[hooks]`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its options beside those that all have ([`COMMON`]): name and meaning.
    pub options: &'static [(&'static str, &'static str)],
    /// The kinds of call it stands around when `on` is left out.
    on: &'static [&'static str],
    make: fn(&Host, Selection, Value) -> Result<Made>,
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuiltIn").field(&self.name).finish()
    }
}

/// Options that every built-in hook has: name and meaning.
pub const COMMON: &[(&str, &str)] = &[
    (
        "name",
        "Name in lists; that of the built-in hook when it is left out.",
    ),
    ("priority", "Higher ones are asked first."),
    ("timeout_s", "How long one call of it may take, in seconds."),
    (
        "on",
        "Kinds of call it stands around, such as `tool` and `model`.",
    ),
    (
        "names",
        "Names of the tools, models or agents it is for; a `*` at the end stands for anything. All \
         when it is left out.",
    ),
];

/// Origin of the hooks that a configuration has switched on.
const CONFIG: &str = "config";

/// Options that are functions, which a configuration cannot have.
const OF_PROGRAMS: &[&str] = &["approve"];

/// Every built-in hook, in the order of the reference page.
pub const BUILT_INS: &[BuiltIn] = &[
    logging::BUILT_IN,
    metrics::BUILT_IN,
    cache::BUILT_IN,
    rate_limit::BUILT_IN,
    retry::BUILT_IN,
    cost_limit::BUILT_IN,
    approval::BUILT_IN,
];

/// A hook that was made, and how it is registered.
struct Made {
    hook: Arc<dyn Hook>,
    /// Where it is asked, and with which priority. The first is the one that `priority` replaces;
    /// what stands for the other end of a call has its negative.
    parts: Vec<(Points, i32)>,
    timeout: Option<Duration>,
    required: bool,
}

/// Switches a built-in hook on. With the name of one that is there already, it takes its place.
///
/// # Errors
///
/// `not_found` for an unknown one, `invalid_args` for options that do not fit, those of
/// [`HookRegistry::register_for`].
pub fn switch_on(cx: &Context, host: &Host, name: &str, options: Value) -> Result<Vec<HookInfo>> {
    let add = |points, options, hook| cx.hooks().register_for(cx, points, options, hook);
    register(add, host, (name, "built-in"), options)
}

/// Registers each part of a built-in hook through `add`.
fn register(
    add: impl Fn(Points, HookOptions, Arc<dyn Hook>) -> Result<HookInfo>,
    host: &Host,
    (name, origin): (&str, &'static str),
    options: Value,
) -> Result<Vec<HookInfo>> {
    let built_in = find(name)?;
    let mut options = match options {
        Value::Null => Map::new(),
        Value::Map(map) => map,
        Value::List(items) if items.is_empty() => Map::new(),
        other => {
            let message = format!(
                "the options of `{name}` are a value of type {}",
                other.type_name()
            );
            return Err(Error::invalid_args(message).with_hint("give a table of options"));
        }
    };
    let mut take = |key: &str| options.shift_remove(key).unwrap_or_default();
    let shown_name = take("name");
    let (given_priority, timeout_s) = (take("priority"), take("timeout_s"));
    let selection = Selection::read(take("on"), take("names"), built_in.on)?;
    let wrong = |error: Error| {
        let known = built_in.options.iter().chain(COMMON).map(|(name, _)| *name);
        let known = known.filter(|it| origin != CONFIG || !OF_PROGRAMS.contains(it));
        let known: Vec<&str> = known.collect();
        let message = format!("the hook `{name}`: {}", error.message());
        let hint = error.hint().map_or_else(
            || format!("the options are `{}`", known.join("`, `")),
            str::to_owned,
        );
        Error::new(error.kind(), message).with_hint(hint)
    };
    let made = (built_in.make)(host, selection, Value::Map(options)).map_err(wrong)?;
    let default = made.timeout.unwrap_or(aikit_core::hook::HOOK_TIME);
    let timeout = match timeout_s {
        Value::Null => default,
        seconds => time_limit(Some(seconds.as_f64().unwrap_or(f64::NAN)))?,
    };
    let name = match shown_name {
        Value::Null => built_in.name.to_owned(),
        name => name.deserialize()?,
    };
    let given_priority = match given_priority {
        Value::Null => None,
        given => Some(priority(&given)?),
    };
    let first = made.parts.first().map_or(0, |(_, priority)| *priority);
    let parts = made.parts.into_iter().map(|(points, standard)| {
        let is_first = (standard < 0) == (first < 0);
        let chosen = given_priority.map(|it| if is_first { it } else { -it });
        let options = HookOptions {
            name: Some(name.clone()),
            priority: chosen.unwrap_or(standard),
            timeout,
            required: made.required,
            origin,
        };
        add(points, options, Arc::clone(&made.hook))
    });
    parts.collect()
}

/// Switches on what the section `[hooks]` names; what an earlier configuration had switched on is
/// gone.
///
/// # Errors
///
/// `config` for options that do not fit.
pub fn configure(registry: &HookRegistry, host: &Host, config: &HooksConfig) -> Result<()> {
    registry.remove_origin(CONFIG);
    for built_in in BUILT_INS {
        let options = match config.0.get(built_in.name) {
            None | Some(Toml::Boolean(false)) => continue,
            Some(Toml::Boolean(true)) => Value::Null,
            Some(Toml::Table(options)) => Value::from_serialize(options)?,
            Some(_) => {
                let message = format!("`hooks.{}` is neither a switch nor a table", built_in.name);
                let hint = "write `true`, or a table of its options";
                return Err(Error::new(ErrorKind::Config, message).with_hint(hint));
            }
        };
        let add = |points, options, hook| registry.register(points, options, hook);
        let registered = register(add, host, (built_in.name, CONFIG), options);
        registered.map_err(|error| {
            let message = format!("`hooks.{}`: {}", built_in.name, error.message());
            let hint = error.hint().unwrap_or("look at its options").to_owned();
            Error::new(ErrorKind::Config, message).with_hint(hint)
        })?;
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static BuiltIn> {
    BUILT_INS.iter().find(|it| it.name == name).ok_or_else(|| {
        let names = BUILT_INS.iter().map(|it| it.name);
        let all: Vec<&str> = names.clone().collect();
        let otherwise = format!("the built-in hooks are `{}`", all.join("`, `"));
        Error::not_found(format!("no built-in hook `{name}`"))
            .with_hint(nearest::hint(name, names, otherwise))
    })
}

/// The options of one hook, after those that all have.
fn read<T: DeserializeOwned>(options: Value) -> Result<T> {
    options.deserialize()
}

/// A length of time in seconds, from `least` up to a day.
fn seconds(option: &str, given: f64, least: f64) -> Result<Duration> {
    const DAY: f64 = 86_400.0;
    let duration = Duration::try_from_secs_f64(given).ok();
    duration
        .filter(|_| (least..=DAY).contains(&given))
        .ok_or_else(|| {
            Error::invalid_args(format!("`{option}` is `{given}`"))
                .with_hint(format!("give seconds from {least} to {DAY}"))
        })
}

/// A number of things, from 1 to `most`.
fn count(option: &str, given: usize, most: usize) -> Result<usize> {
    if (1..=most).contains(&given) {
        return Ok(given);
    }
    Err(Error::invalid_args(format!("`{option}` is `{given}`"))
        .with_hint(format!("give a number from 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use aikit_core::context::Overrides;

    use super::*;

    #[test]
    fn every_built_in_hook_can_be_configured_and_no_other() {
        let names: Vec<&str> = BUILT_INS.iter().map(|it| it.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, HooksConfig::KEYS);
    }

    #[test]
    fn options_have_one_meaning_in_all_hooks() {
        let mut seen: Vec<(&str, &str)> = COMMON.to_vec();
        for (name, summary) in BUILT_INS.iter().flat_map(|it| it.options) {
            assert!(!COMMON.iter().any(|(common, _)| common == name), "{name}");
            match seen.iter().find(|(known, _)| known == name) {
                None => seen.push((name, summary)),
                Some((_, known)) => assert_eq!(known, summary, "{name}"),
            }
        }
    }

    #[test]
    fn the_configuration_switches_on_and_the_next_one_off_again() {
        let registry = Arc::new(HookRegistry::default());
        let names = |registry: &HookRegistry| {
            let all = registry.list();
            all.into_iter()
                .map(|it| (it.name, it.options.origin))
                .collect::<Vec<_>>()
        };
        let configured = |text: &str| {
            let config = HooksConfig(toml::from_str(text).unwrap());
            configure(&registry, &Host::default(), &config)
        };
        configured("logging = true\nmetrics = false\nretry = {attempts = 2}").unwrap();
        let expected = ["logging", "retry"].map(|it| (it.to_owned(), "config"));
        assert_eq!(names(&registry), expected);
        let cx = Context::create(Overrides {
            hooks: Some(Arc::clone(&registry)),
            ..Overrides::default()
        });
        switch_on(&cx, &Host::default(), "metrics", Value::Null).unwrap();
        configured("").unwrap();
        assert_eq!(names(&registry), [("metrics".to_owned(), "built-in")]);
        for wrong in [
            "retry = {attempts = 0}",
            "retry = {attempt = 1}",
            "logging = 1",
            "cache = {on = [\"tools\"]}",
            "rate_limit = true",
            "metrics = {priority = \"first\"}",
            "metrics = {timeout_s = 0}",
        ] {
            let error = configured(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
            assert!(
                error.hint().is_some() && error.message().contains("hooks."),
                "{error:?}"
            );
        }
    }

    #[test]
    fn the_hint_of_a_configuration_names_what_it_can_have() {
        let registry = Arc::new(HookRegistry::default());
        let config = HooksConfig(toml::from_str("approval = {approve = \"x\"}").unwrap());
        let error = configure(&registry, &Host::default(), &config).unwrap_err();
        assert!(error.message().contains("`approve`"), "{error:?}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("`callers`"), "{hint}");
        assert!(!hint.contains("`approve`"), "{hint}");
        // A program can have it.
        let options = Value::map([("approver", Value::from("x"))]);
        let host = Host::default();
        let error = switch_on(&Context::default(), &host, "approval", options).unwrap_err();
        assert!(error.hint().unwrap().contains("`approve`"), "{error:?}");
    }

    #[test]
    fn an_unknown_hook_has_its_neighbour_in_the_hint() {
        let (cx, host) = (Context::default(), Host::default());
        let error = switch_on(&cx, &host, "rate_limits", Value::Null).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().contains("`rate_limit`"), "{error:?}");
    }
}
