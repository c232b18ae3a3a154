//! An agent described in a file.

use aikit_core::{Error, ErrorKind, Result, agent::Limits};
use serde::Deserialize;
use toml::Table;

use crate::nearest;

/// What a file says of an agent; every key may be left out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct AgentSpec {
    /// Name in spans, events and messages.
    pub name: Option<String>,
    /// Model, as `provider:model`.
    pub model: Option<String>,
    /// Address of the model's provider.
    pub base_url: Option<String>,
    /// What the model is told before the conversation.
    pub instructions: String,
    /// Names of tools and groups of tools.
    pub tools: Vec<String>,
    /// Bounds of one run.
    pub limits: Limits,
}

const KEYS: [&str; 6] = [
    "base_url",
    "instructions",
    "limits",
    "model",
    "name",
    "tools",
];

impl AgentSpec {
    /// Reads a description in TOML.
    ///
    /// # Errors
    ///
    /// `config` for what is no TOML, an unknown key or a value of the wrong type.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |error: toml::de::Error| {
            Error::new(ErrorKind::Config, error.message().to_owned())
                .with_hint("correct the value or take it out; the file is TOML")
        };
        let table: Table = text.parse().map_err(wrong)?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let message = format!("an agent has no `{key}`");
            let hint = nearest::hint(key, KEYS, format!("it has {}", KEYS.join(", ")));
            return Err(Error::new(ErrorKind::Config, message).with_hint(hint));
        }
        table.try_into().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_describes_an_agent() {
        let text = "model = 'openai:tiny'\ntools = ['calculate', 'files']\ninstructions = '''\nbe \
                    kind'''\n[limits]\nrequests = 3\n";
        let spec = AgentSpec::parse(text).unwrap();
        assert_eq!(spec.model.as_deref(), Some("openai:tiny"));
        assert_eq!(spec.tools, ["calculate", "files"]);
        assert_eq!((spec.limits.requests, spec.limits.tool_calls), (3, 20));
    }

    #[test]
    fn what_is_misspelt_is_refused_with_what_to_do() {
        for (text, says) in [
            ("tool = ['a']", "`tools`"),
            ("tools = 'a'", "correct"),
            ("[limits]\nrequest = 1", "correct"),
            ("model = ", "TOML"),
        ] {
            let error = AgentSpec::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.hint().unwrap().contains(says), "{text}: {error:?}");
        }
    }
}
