//! Finds models by name: which provider, where it is, which key.

use std::{fmt, sync::Arc};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    model::{ChatModel, EmbeddingModel},
    services::{ModelOptions, Models},
    value::Map,
};
use url::Url;

use super::providers::{Endpoint, PROVIDERS, Place, Provider};
use crate::{http::GuardedClient, nearest, security::hosts::HostRule};

/// Looks up a setting by the name of its environment variable.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Names the model to take when none is given.
const DEFAULT_MODEL_VARIABLE: &str = "AIKIT_MODEL";

/// The provider of a model that is named without one, but with an address.
const COMPATIBLE: &str = "openai-compatible";

/// The models that this host can reach.
pub struct Catalogue {
    variables: Arc<Variables>,
    default_model: Option<String>,
    http: Arc<GuardedClient>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue")
            .field("default_model", &self.default_model)
            .finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Makes a catalogue whose keys and addresses come from `variables`, by the name of the
    /// environment variable. `default_model` is what the configuration names; the variable
    /// `AIKIT_MODEL` goes before it. All requests leave through `http`.
    pub fn new(
        variables: Arc<Variables>,
        default_model: Option<String>,
        http: Arc<GuardedClient>,
    ) -> Self {
        Self {
            variables,
            default_model,
            http,
        }
    }

    /// The hosts of the providers and of the addresses that `variables` name: what models may be
    /// reached at without being on an allow list.
    pub fn owners_hosts(variables: &Variables) -> Vec<HostRule> {
        let addresses = PROVIDERS.iter().flat_map(|provider| {
            let (url, variable) = match provider.place {
                Place::Here => (None, None),
                Place::Default { url, variable } => (Some(url.to_owned()), Some(variable)),
                Place::Given { variable } => (None, Some(variable)),
            };
            url.into_iter().chain(variable.and_then(variables))
        });
        // What is no address is said when a model is made of it.
        let rule = |text: String| {
            let url = Url::parse(&text).ok()?;
            let place = (url.host_str()?, url.port_or_known_default()?);
            HostRule::parse(&format!("{}:{}", place.0, place.1)).ok()
        };
        addresses.filter_map(rule).collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }

    /// The provider of `name` and everything that is needed to reach it.
    fn endpoint(&self, name: &str, options: ModelOptions) -> Result<(&'static Provider, Endpoint)> {
        let (provider, model) = split(name, options.base_url.is_some())?;
        check_options(provider, &options.extra)?;
        let key = options.api_key.filter(|key| !key.is_empty());
        // The owner's key goes to the owner's address: a script that names another address has
        // to bring a key of its own.
        let is_elsewhere = options.base_url.is_some();
        let owners = || {
            self.variable(provider.key_variable?)
                .filter(|_| !is_elsewhere)
        };
        let api_key = key.or_else(owners);
        if provider.needs_key && api_key.is_none() {
            return Err(missing_key(provider, name, is_elsewhere));
        }
        let endpoint = Endpoint {
            name: match model {
                "" => provider.name.to_owned(),
                model => format!("{}:{model}", provider.name),
            },
            model: model.to_owned(),
            base_url: self.base_url(provider, options.base_url)?,
            api_key,
            extra: options.extra,
            http: Arc::clone(&self.http),
        };
        Ok((provider, endpoint))
    }

    fn base_url(&self, provider: &Provider, given: Option<String>) -> Result<String> {
        let (default, variable) = match provider.place {
            Place::Here => return Ok(String::new()),
            Place::Default { url, variable } => (Some(url), variable),
            Place::Given { variable } => (None, variable),
        };
        let given = given.or_else(|| self.variable(variable));
        let Some(text) = given.or_else(|| default.map(str::to_owned)) else {
            let message = format!("`{}` needs `base_url`", provider.name);
            let hint = "give the address of the server, such as http://127.0.0.1:8080/v1";
            return Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint));
        };
        let parsed = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if parsed.is_none() {
            // An address may hold a password, so it is not repeated.
            let message = "`base_url` is not an http or https address";
            let hint = "write it like http://127.0.0.1:8080/v1";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        Ok(text)
    }

    fn default_name(&self) -> Result<String> {
        self.variable(DEFAULT_MODEL_VARIABLE)
            .or_else(|| self.default_model.clone())
            .ok_or_else(|| {
                let message = "no model is given, and none is configured";
                Error::new(ErrorKind::Unavailable, message).with_hint(WAYS)
            })
    }
}

/// The three quickest ways to a model.
const WAYS: &str = "either set `OPENAI_API_KEY` and name a model such as `openai:gpt-5-mini` (or \
    set `AIKIT_MODEL` to it), or start a local server (llama.cpp, vLLM, LM Studio) and give its \
    `base_url` such as http://127.0.0.1:8080/v1, or use `scripted:demo` with a list of `answers`";

impl Models for Catalogue {
    fn chat(&self, name: Option<&str>, options: ModelOptions) -> Result<Arc<dyn ChatModel>> {
        let name = name.map_or_else(|| self.default_name(), |name| Ok(name.to_owned()))?;
        let (provider, endpoint) = self.endpoint(&name, options)?;
        (provider.chat)(&endpoint)
    }

    fn embedding(&self, name: &str, options: ModelOptions) -> Result<Arc<dyn EmbeddingModel>> {
        let (provider, endpoint) = self.endpoint(name, options)?;
        let Some(embedding) = provider.embedding else {
            let message = format!("`{}` has no embeddings", provider.name);
            let hint = "take an embedding model of `openai` or `openai-compatible`";
            return Err(Error::not_found(message).with_hint(hint));
        };
        embedding(&endpoint)
    }

    fn list(&self) -> Vec<Value> {
        let describe = |provider: &Provider| {
            let lacks = self.lacks(provider);
            Value::map([
                ("name", Value::from(provider.name)),
                ("summary", Value::from(provider.summary)),
                ("usable", Value::from(lacks.is_empty())),
                ("lacks", Value::from(lacks)),
            ])
        };
        PROVIDERS.iter().map(describe).collect()
    }
}

impl Catalogue {
    /// What a model of `provider` must be given beside its name.
    fn lacks(&self, provider: &Provider) -> Vec<String> {
        let mut lacks = Vec::new();
        if let Some(variable) = provider.key_variable
            && provider.needs_key
            && self.variable(variable).is_none()
        {
            lacks.push(format!("the key `{variable}`"));
        }
        if let Place::Given { variable } = provider.place
            && self.variable(variable).is_none()
        {
            lacks.push("the address `base_url`".to_owned());
        }
        lacks
    }
}

/// Splits `provider:model`. A name without a known provider is a model of an OpenAI-compatible
/// server when an address is given, because such names may hold colons themselves.
fn split(name: &str, has_address: bool) -> Result<(&'static Provider, &str)> {
    let find = |wanted: &str| PROVIDERS.iter().find(|it| it.name == wanted);
    let (prefix, rest) = name.split_once(':').unwrap_or((name, ""));
    let (provider, model) = match find(prefix) {
        Some(provider) => (Some(provider), rest),
        None => (find(COMPATIBLE).filter(|_| has_address), name),
    };
    let Some(provider) = provider else {
        let known = PROVIDERS.iter().map(|it| it.name);
        let message = format!("no provider of models named `{prefix}`");
        let listed: Vec<_> = known.clone().map(|it| format!("`{it}`")).collect();
        let otherwise = format!(
            "write `provider:model` with one of {}, or give `base_url`",
            listed.join(", ")
        );
        let hint = nearest::hint(prefix, known, otherwise);
        return Err(Error::not_found(message).with_hint(hint));
    };
    if model.is_empty() && provider.place != Place::Here {
        let message = format!("`{name}` names no model");
        let hint = format!("write `{}:` and the name of the model", provider.name);
        return Err(Error::invalid_args(message).with_hint(hint));
    }
    Ok((provider, model))
}

/// A misspelt option must not be a key that is never sent.
fn check_options(provider: &Provider, given: &Map) -> Result<()> {
    let known = provider.options.iter().copied();
    let known = known.chain(["api_key", "base_url"]);
    let Some(unknown) = given
        .keys()
        .find(|it| !known.clone().any(|name| name == *it))
    else {
        return Ok(());
    };
    let listed: Vec<_> = known.clone().map(|it| format!("`{it}`")).collect();
    let otherwise = format!("`{}` has the options {}", provider.name, listed.join(", "));
    let message = format!("`{}` has no option `{unknown}`", provider.name);
    Err(Error::invalid_args(message).with_hint(nearest::hint(unknown, known, otherwise)))
}

fn missing_key(provider: &Provider, name: &str, is_elsewhere: bool) -> Error {
    let variable = provider.key_variable.unwrap_or("api_key");
    if is_elsewhere {
        let message = format!("`{name}` at another address needs a key of its own");
        let hint = format!(
            "give `api_key` beside `base_url`, or name the model `{COMPATIBLE}:MODEL`; the key in \
             `{variable}` goes to the provider's own address only"
        );
        return Error::new(ErrorKind::Unavailable, message).with_hint(hint);
    }
    let message = format!("`{name}` needs a key: `{variable}` is not set");
    let hint = format!(
        "either set `{variable}` or give `api_key`, or start a local server (llama.cpp, vLLM, LM \
         Studio) and give its `base_url` with `{COMPATIBLE}:MODEL`, or use `scripted:demo` with a \
         list of `answers`"
    );
    Error::new(ErrorKind::Unavailable, message).with_hint(hint)
}
