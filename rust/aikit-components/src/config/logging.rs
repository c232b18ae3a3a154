//! `[logging]`: what is written where, beside what the host's own logging does.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Error, ErrorKind, Result,
    logger::{Format, Level, Output, Settings},
};
use serde::Deserialize;

/// Settings of the log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoggingConfig {
    /// The least severe level that is written: `trace` … `fatal`.
    pub level: Option<String>,
    /// `text` or `json`.
    pub format: Option<String>,
    /// The file that lines are added to; the error stream without one.
    pub file: Option<PathBuf>,
    /// Which way records go to Python's `logging`: `aikit` or `pyo3-log`.
    pub python: Option<String>,
}

/// Which way records go to Python's `logging`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PythonBridge {
    /// aikit's own: fields are attributes of the record, and there is a level for `fatal`.
    #[default]
    Aikit,
    /// The crate pyo3-log: fields stand in the message.
    Pyo3Log,
}

impl LoggingConfig {
    pub(super) const KEYS: &[&str] = &["file", "format", "level", "python"];

    /// Keys that let more be written than without them.
    pub(super) const WIDENING: &[&str] = Self::KEYS;

    /// A relative path starts at `folder`, the working directory.
    pub(super) fn resolve_below(&mut self, folder: &Path) {
        if let Some(file) = &mut self.file {
            *file = folder.join(&*file);
        }
    }

    /// What the logger is to do; `None` when nothing is set.
    ///
    /// # Errors
    ///
    /// `config` for another level or format, `io` for a file that cannot be written.
    pub fn settings(&self) -> Result<Option<Settings>> {
        if self.level.is_none() && self.format.is_none() && self.file.is_none() {
            return Ok(None);
        }
        let wrong = |key: &str, error: Error| {
            let hint = error.hint().unwrap_or_default().to_owned();
            let message = format!("`logging.{key}`: {}", error.message());
            Error::new(ErrorKind::Config, message).with_hint(hint)
        };
        let level = self.level.as_deref().map(str::parse::<Level>).transpose();
        let format = self.format.as_deref().map(str::parse::<Format>).transpose();
        Ok(Some(Settings {
            level: level.map_err(|error| wrong("level", error))?,
            format: format.map_err(|error| wrong("format", error))?,
            output: Some(self.output()?),
            ..Settings::default()
        }))
    }

    /// Which way records go to Python's `logging`.
    ///
    /// # Errors
    ///
    /// `config` for another word.
    pub fn python(&self) -> Result<PythonBridge> {
        match self.python.as_deref() {
            None | Some("aikit") => Ok(PythonBridge::Aikit),
            Some("pyo3-log") => Ok(PythonBridge::Pyo3Log),
            Some(other) => {
                let message = format!("`logging.python` is `{other}`");
                Err(Error::new(ErrorKind::Config, message).with_hint("write `aikit` or `pyo3-log`"))
            }
        }
    }

    fn output(&self) -> Result<Output> {
        let Some(path) = &self.file else {
            let write = |line: &[u8]| drop(std::io::stderr().write_all(line));
            return Ok(Output::Function(Arc::new(write)));
        };
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        let file = opened.map_err(|error| {
            let message = format!("the log file `{}` cannot be written", path.display());
            Error::new(ErrorKind::Io, message)
                .with_hint("name a file in a folder that is there and can be written")
                .with_source(error)
        })?;
        Ok(Output::file(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(level: &str, format: &str) -> LoggingConfig {
        LoggingConfig {
            level: Some(level.to_owned()),
            format: Some(format.to_owned()),
            file: None,
            python: None,
        }
    }

    #[test]
    fn the_way_to_python_is_one_of_two() {
        let python = |word: &str| {
            let config = LoggingConfig {
                python: Some(word.to_owned()),
                ..LoggingConfig::default()
            };
            config.python()
        };
        assert_eq!(python("pyo3-log").unwrap(), PythonBridge::Pyo3Log);
        assert_eq!(python("aikit").unwrap(), PythonBridge::Aikit);
        let error = python("log4j").unwrap_err();
        assert!(error.message().contains("log4j") && error.hint().is_some());
    }

    #[test]
    fn without_a_setting_nothing_is_written() {
        assert!(LoggingConfig::default().settings().unwrap().is_none());
    }

    #[test]
    fn levels_and_formats_are_words_and_others_name_their_key() {
        let settings = config("debug", "json").settings().unwrap().unwrap();
        assert_eq!(
            (settings.level, settings.format),
            (Some(Level::Debug), Some(Format::Json))
        );
        for (level, format, key) in [
            ("loud", "json", "logging.level"),
            ("info", "xml", "logging.format"),
        ] {
            let error = config(level, format).settings().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(
                error.message().contains(key) && error.hint().is_some(),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let config = LoggingConfig {
            file: Some(PathBuf::from("/nowhere/at/all.log")),
            ..LoggingConfig::default()
        };
        let error = config.settings().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().contains("/nowhere/at/all.log"));
    }
}
