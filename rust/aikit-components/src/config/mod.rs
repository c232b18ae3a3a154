//! Configuration: the file `aikit.toml`, found upward from the working directory as far as the
//! project or the home folder reaches, under the environment variables `AIKIT_SECTION__KEY`.

mod events;
mod file;
mod hooks;
mod kernel;
mod logging;
mod models;
mod security;
mod shell;
mod telemetry;
mod variables;

use std::path::{Path, PathBuf};

use aikit_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use toml::{Table, Value as Toml};

pub use self::{
    events::EventsConfig,
    file::Ignored,
    hooks::HooksConfig,
    kernel::KernelConfig,
    logging::{LoggingConfig, PythonBridge},
    models::ModelsConfig,
    security::SecurityConfig,
    shell::{HistoryFile, ShellConfig},
    telemetry::{Exporter, OtlpSettings, TelemetryConfig},
    variables::Variables,
};
use crate::{nearest, security::policy::Profile};

/// Name of the file.
pub const FILE_NAME: &str = "aikit.toml";

/// What the names of all variables of aikit begin with.
const PREFIX: &str = "AIKIT_";

/// The model of a call that names none: the one variable of ours that is no key of the file.
pub(crate) const MODEL_VARIABLE: &str = "AIKIT_MODEL";

/// The environment of this process.
pub fn environment() -> Variables {
    Variables::of_process()
}

// One row per key, so that a key can be set in the environment and named in a suggestion.
const KEYS: &[(&str, &[&str])] = &[
    ("events", EventsConfig::KEYS),
    ("hooks", HooksConfig::KEYS),
    ("kernel", KernelConfig::KEYS),
    ("logging", LoggingConfig::KEYS),
    ("models", ModelsConfig::KEYS),
    ("security", SecurityConfig::KEYS),
    ("shell", ShellConfig::KEYS),
    ("telemetry", TelemetryConfig::KEYS),
];

/// Keys that allow more than without them, by their sections.
const WIDENING: &[(&str, &[&str])] = &[
    ("logging", LoggingConfig::WIDENING),
    ("security", SecurityConfig::WIDENING),
    ("telemetry", TelemetryConfig::WIDENING),
];

/// Every setting of a session. What is not set has a default that works.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which events are kept.
    pub events: EventsConfig,
    /// Which hooks stand around calls.
    pub hooks: HooksConfig,
    /// What the kernel keeps.
    pub kernel: KernelConfig,
    /// What is written where.
    pub logging: LoggingConfig,
    /// Which models are used.
    pub models: ModelsConfig,
    /// Who may touch what.
    pub security: SecurityConfig,
    /// What the shell keeps.
    pub shell: ShellConfig,
    /// Where spans and metrics go.
    pub telemetry: TelemetryConfig,
    /// The home folder of the user, where the environment names it.
    #[serde(skip)]
    pub home: Option<PathBuf>,
    /// The file that was read, if there was one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads the nearest `aikit.toml` at or above `folder` (not above the project or the home
    /// folder, and none that others can write), then the environment. For a host that chose the
    /// profile `served`, the file cannot widen what may be touched: it may be a tenant's, the
    /// environment is of who runs the server.
    ///
    /// # Errors
    ///
    /// `config` for a file that cannot be read, an unknown key, an unknown variable that begins with
    /// `AIKIT_`, or a value of the wrong type.
    pub fn load(folder: &Path, variables: &Variables, profile: Profile) -> Result<Self> {
        check_variables(variables)?;
        let file = file::find(folder, variables);
        let mut table = file.as_deref().map_or_else(|| Ok(Table::new()), read)?;
        check_keys(&table, file.as_deref())?;
        check_history(&table, file.as_deref())?;
        check_outlets(&table, file.as_deref())?;
        if profile == Profile::Served {
            drop_widening(&mut table, file.as_deref());
        } else {
            tell_widening(&table, file.as_deref());
        }
        for (section, key, name) in keys() {
            if let Some(text) = variables.get(&name).filter(|text| !text.is_empty()) {
                set(&mut table, section, key, parse_variable(&text));
            }
        }
        let mut config: Self =
            Toml::Table(table)
                .try_into()
                .map_err(|error: toml::de::Error| {
                    wrong(file.as_deref(), error.message())
                        .with_hint("correct the value or take it out")
                })?;
        let base = file.as_deref().and_then(Path::parent).unwrap_or(folder);
        config.home = file::home(variables).into_iter().next();
        let home = config.home.as_deref();
        config.security.resolve_below(base, home)?;
        config.shell.resolve_below(folder);
        config.logging.resolve_below(folder);
        config.telemetry.complete(variables)?;
        config.shell.state_folder = file::state_folder(variables);
        config.file = file;
        Ok(config)
    }
}

/// Files named `aikit.toml` at or above `folder` that [`Config::load`] does not read.
pub fn ignored(folder: &Path, variables: &Variables) -> Vec<Ignored> {
    file::search(folder, variables).1
}

/// Every key: its section, its name, the name of its variable.
fn keys() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let of_section = |(section, keys): &(&'static str, &'static [&'static str])| {
        let section = *section;
        let named = move |key: &&'static str| {
            let name = format!("{PREFIX}{section}__{key}").to_uppercase();
            (section, *key, name)
        };
        keys.iter().map(named)
    };
    KEYS.iter().flat_map(of_section)
}

/// A misspelt variable must not be a setting that nobody reads.
fn check_variables(variables: &Variables) -> Result<()> {
    let known: Vec<String> = keys().map(|(_, _, name)| name).collect();
    let is_known = |name: &str| {
        known.iter().any(|it| it == name) || name == MODEL_VARIABLE || !name.starts_with(PREFIX)
    };
    let mut names = variables.names();
    names.sort_unstable();
    let Some(name) = names.iter().find(|name| !is_known(name)) else {
        return Ok(());
    };
    let settings = known.iter().map(String::as_str).chain([MODEL_VARIABLE]);
    // Most leave the section out.
    let word = name.rsplit("__").next().unwrap_or(name);
    let word = word.strip_prefix(PREFIX).unwrap_or(word).to_lowercase();
    let meant = keys().find(|(_, key, _)| *key == word);
    let hint = meant.map_or_else(
        || {
            let all: Vec<&str> = settings.clone().collect();
            let otherwise = format!("the variables are {}", all.join(", "));
            nearest::hint(name, settings, otherwise)
        },
        |(_, _, meant)| format!("did you mean `{meant}`?"),
    );
    Err(wrong(None, &format!("there is no setting `{name}`")).with_hint(hint))
}

fn read(file: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(Some(file), "cannot be read").with_source(error))?;
    text.parse::<Table>().map_err(|error| {
        wrong(Some(file), &error.to_string()).with_hint("correct the file; it is TOML")
    })
}

fn check_keys(table: &Table, file: Option<&Path>) -> Result<()> {
    for (section, content) in table {
        let Some((_, keys)) = KEYS.iter().find(|(name, _)| name == section) else {
            return Err(unknown(file, section, KEYS.iter().map(|(name, _)| *name)));
        };
        let Toml::Table(content) = content else {
            return Err(wrong(file, &format!("`{section}` is not a section"))
                .with_hint(format!("write `[{section}]` above its keys")));
        };
        if let Some(key) = content.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(unknown(
                file,
                &format!("{section}.{key}"),
                keys.iter().copied(),
            ));
        }
    }
    Ok(())
}

/// A file that comes with a project must not choose which of the user's files is written.
fn check_history(table: &Table, file: Option<&Path>) -> Result<()> {
    let history = table.get("shell").and_then(|shell| shell.get("history"));
    if history.is_some_and(Toml::is_str) {
        let message = "`shell.history` names a file, which only the environment may";
        let hint = "set `AIKIT_SHELL__HISTORY`, or write `true` or `false`";
        return Err(wrong(file, message).with_hint(hint));
    }
    Ok(())
}

/// A file that comes with a project must not choose where the log or the telemetry of its user go,
/// nor which variables are sent along; a receiver on the user's own machine is theirs.
fn check_outlets(table: &Table, file: Option<&Path>) -> Result<()> {
    let given = |section: &str, key: &str| table.get(section).and_then(|it| it.get(key));
    let endpoint = given("telemetry", "endpoint").and_then(Toml::as_str);
    let key = if given("logging", "file").is_some() {
        "logging.file"
    } else if given("telemetry", "headers").is_some() {
        "telemetry.headers"
    } else if endpoint.is_some_and(|it| !telemetry::is_here(it)) {
        "telemetry.endpoint"
    } else {
        return Ok(());
    };
    let variable = format!("{PREFIX}{}", key.replace('.', "__")).to_uppercase();
    let message = format!("`{key}` says where data go, which only the environment may");
    let hint = format!("set `{variable}`; a receiver on this machine may stand in the file");
    Err(wrong(file, &message).with_hint(hint))
}

/// Takes out the settings that would allow more.
fn drop_widening(table: &mut Table, file: Option<&Path>) {
    for (section, keys) in WIDENING {
        let Some(Toml::Table(content)) = table.get_mut(*section) else {
            continue;
        };
        for key in *keys {
            if content.remove(*key).is_some() {
                let file = file.map(|it| it.display().to_string());
                tracing::warn!(
                    file,
                    setting = format!("{section}.{key}"),
                    "ignored in the profile `served`; set it in the environment"
                );
            }
        }
    }
}

/// Says which file allows more than its absence would.
fn tell_widening(table: &Table, file: Option<&Path>) {
    let file = file.map(|it| it.display().to_string());
    for (section, keys) in WIDENING {
        let Some(Toml::Table(content)) = table.get(*section) else {
            continue;
        };
        for key in *keys {
            if let Some(value) = content.get(*key) {
                let (setting, value) = (format!("{section}.{key}"), value.to_string());
                tracing::info!(file, setting, value, "the configuration allows more");
            }
        }
    }
}

fn unknown<'a>(file: Option<&Path>, key: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let last = key.rsplit('.').next().unwrap_or(key);
    let suggestion = nearest::nearest(last, known.iter().copied());
    let hint = suggestion.first().map_or_else(
        || format!("known here: {}", known.join(", ")),
        |name| format!("did you mean `{name}`? known here: {}", known.join(", ")),
    );
    wrong(file, &format!("there is no setting `{key}`")).with_hint(hint)
}

fn wrong(file: Option<&Path>, what: &str) -> Error {
    let place = file.map_or_else(
        || "the environment".to_owned(),
        |it| format!("`{}`", it.display()),
    );
    Error::new(ErrorKind::Config, format!("{place}: {what}"))
}

/// A variable holds a TOML value, or a text that needs no quotes.
fn parse_variable(text: &str) -> Toml {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Toml::String(text.to_owned()))
}

fn set(table: &mut Table, section: &str, key: &str, value: Toml) {
    let section = table
        .entry(section)
        .or_insert_with(|| Toml::Table(Table::new()));
    if let Toml::Table(section) = section {
        section.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
