//! Finds models by name: which provider, where it is, which key.

use std::{fmt, sync::Arc};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value, logger,
    model::{ChatModel, EmbeddingModel},
    services::{ModelOptions, Models},
    value::Map,
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use url::{Host, Url};

use super::{
    cassette::{Deck, is_secret_variable},
    check,
    providers::{Endpoint, Listing, PROVIDERS, Place, Provider},
    replayed::Replayed,
};
use crate::{
    config::{MODEL_VARIABLE, ModelsConfig, Variables},
    http::GuardedClient,
    nearest,
    security::hosts::HostRule,
};

/// The provider of a model that is named without one, but with an address.
const COMPATIBLE: &str = "openai-compatible";

/// The models that this host can reach.
pub struct Catalogue {
    variables: Variables,
    config: ModelsConfig,
    http: Arc<GuardedClient>,
    deck: Arc<Deck>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Makes a catalogue whose keys and addresses come from `variables`, by the name of the
    /// environment variable. What `config` says comes after them: its keys, and its default model
    /// after the variable `AIKIT_MODEL`. All requests leave through `http`.
    ///
    /// # Errors
    ///
    /// `config` for a key of a provider that is not known.
    pub fn new(
        variables: Variables,
        config: ModelsConfig,
        http: Arc<GuardedClient>,
    ) -> Result<Self> {
        if let Some(unknown) = config.keys.keys().find(|it| find(it).is_err()) {
            let message = format!("there is no setting `models.keys.{unknown}`");
            let known = PROVIDERS.iter().filter(|it| it.key_variable.is_some());
            let hint = nearest::hint(unknown, known.map(|it| it.name), "name a provider");
            return Err(Error::new(ErrorKind::Config, message).with_hint(hint));
        }
        Ok(Self {
            variables,
            config,
            http,
            deck: Arc::default(),
        })
    }

    /// The same catalogue for a session whose cassettes are in `deck`: while one is replayed, a
    /// model needs no key. No cassette will hold the value of a variable that is named like a
    /// secret.
    #[must_use]
    pub fn with_deck(mut self, deck: Arc<Deck>) -> Self {
        let names = self.variables.names().into_iter();
        let keys = PROVIDERS.iter().filter_map(|it| it.key_variable);
        let names = names.filter(|it| is_secret_variable(it));
        for name in names.chain(keys.map(str::to_owned)) {
            if let Some(secret) = self.variable(&name) {
                deck.hide(&secret);
                logger::hide(&secret);
            }
        }
        for secret in self.config.keys.values() {
            deck.hide(secret);
            logger::hide(secret);
        }
        self.deck = deck;
        self
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
            url.into_iter()
                .chain(variable.and_then(|it| variables.get(it)))
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
        self.variables.get_text(name)
    }

    /// The provider of `name` and everything that is needed to reach it.
    fn endpoint(&self, name: &str, options: ModelOptions) -> Result<(&'static Provider, Endpoint)> {
        let (provider, model) = split(name, options.base_url.is_some())?;
        check_options(provider, &options.extra)?;
        let key = options.api_key.filter(|key| !key.is_empty());
        if let Some(key) = &key {
            self.deck.hide(key);
            logger::hide(key);
        }
        // The owner's key goes to the owner's address: a script that names another address has
        // to bring a key of its own.
        let is_elsewhere = options.base_url.is_some();
        let owners = || self.owners_key(provider).filter(|_| !is_elsewhere);
        let api_key = key.or_else(owners);
        if provider.needs_key && api_key.is_none() && !self.deck.is_replaying() {
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
            start: provider.start,
            http: Arc::clone(&self.http),
        };
        Ok((provider, endpoint))
    }

    /// The key that the environment or the configuration has for a provider.
    fn owners_key(&self, provider: &Provider) -> Option<String> {
        let variable = provider.key_variable.and_then(|it| self.variable(it));
        let written = || self.config.keys.get(provider.name).cloned();
        variable
            .or_else(written)
            .filter(|key| !key.trim().is_empty())
    }

    fn base_url(&self, provider: &Provider, given: Option<String>) -> Result<String> {
        let (default, variable) = match provider.place {
            Place::Here => return Ok(String::new()),
            Place::Default { url, variable } => (Some(url), variable),
            Place::Given { variable } => (None, variable),
        };
        let name = if given.is_some() {
            "base_url"
        } else {
            variable
        };
        let given = given.or_else(|| self.variable(variable));
        let replayed = || self.deck.is_replaying().then(|| NOWHERE.to_owned());
        let given = given.or_else(|| default.map(str::to_owned));
        let Some(text) = given.or_else(replayed) else {
            let message = format!(
                "`{}` needs an address, `base_url`: `{variable}` is not set",
                provider.name
            );
            let hint = format!(
                "either set `{variable}` to the address of the server, such as \
                 http://127.0.0.1:8080/v1, or give it as `base_url`"
            );
            return Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint));
        };
        let parsed = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if parsed.is_none() {
            // An address may hold a password, so it is not repeated.
            let message = format!("`{name}` is not an http or https address");
            let hint = "write it like http://127.0.0.1:8080/v1";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        Ok(text)
    }

    fn default_name(&self) -> Result<String> {
        self.variable(MODEL_VARIABLE)
            .or_else(|| self.config.default.clone())
            .ok_or_else(|| {
                let message = format!(
                    "no model is given: neither `{MODEL_VARIABLE}` nor `models.default` \
                     of aikit.toml names one"
                );
                Error::new(ErrorKind::Unavailable, message).with_hint(WAYS)
            })
    }
}

/// The three quickest ways to a model.
const WAYS: &str = "either set a key such as `OPENAI_API_KEY` and name a model such as \
    `openai:gpt-5-mini` (or set `AIKIT_MODEL` to it), or start a local server (`ollama serve`, \
    llama.cpp, vLLM, LM Studio) and name `ollama:MODEL` or give its `base_url` such as \
    http://127.0.0.1:8080/v1, or replay a cassette; for tests there is `scripted:demo` with a \
    list of `answers`";

/// Where a model is whose answers are replayed, when no address is given.
const NOWHERE: &str = "http://replay.invalid";

impl Models for Catalogue {
    fn chat(&self, name: Option<&str>, options: ModelOptions) -> Result<Arc<dyn ChatModel>> {
        let name = name.map_or_else(|| self.default_name(), |name| Ok(name.to_owned()))?;
        let (provider, endpoint) = self.endpoint(&name, options)?;
        let Some(chat) = provider.chat else {
            let message = format!("`{}` has no chat models", provider.name);
            let hint = "use it for embeddings, as `embedder` of an index";
            return Err(Error::not_found(message).with_hint(hint));
        };
        let needs_key = provider.needs_key && endpoint.api_key.is_none();
        if self.deck.is_replaying() && (needs_key || endpoint.base_url == NOWHERE) {
            let error = move || missing_key(provider, &name, false);
            return Ok(Arc::new(Replayed::new(endpoint.name, error)));
        }
        chat(&endpoint)
    }

    fn embedding(&self, name: &str, options: ModelOptions) -> Result<Arc<dyn EmbeddingModel>> {
        let (provider, endpoint) = self.endpoint(name, options)?;
        let Some(embedding) = provider.embedding else {
            let message = format!("`{}` has no embeddings", provider.name);
            let having = PROVIDERS.iter().filter(|it| it.embedding.is_some());
            let names: Vec<_> = having.map(|it| format!("`{}`", it.name)).collect();
            let hint = format!("take an embedding model of {}", names.join(", "));
            return Err(Error::not_found(message).with_hint(hint));
        };
        let needs_key = provider.needs_key && endpoint.api_key.is_none();
        if self.deck.is_replaying() && (needs_key || endpoint.base_url == NOWHERE) {
            let name = endpoint.name.clone();
            let error = move || missing_key(provider, &name, false);
            return Ok(Arc::new(Replayed::new(endpoint.name, error)));
        }
        embedding(&endpoint)
    }

    fn list<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Vec<Value>> {
        let rows = PROVIDERS.iter().map(|it| self.listed(cx, it));
        join_all(rows).boxed()
    }

    fn check<'a>(
        &'a self,
        cx: &'a Context,
        provider: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Value>>> {
        async move {
            let asked = match provider {
                Some(name) => vec![find(name)?],
                None => PROVIDERS.iter().collect(),
            };
            let checks = asked.into_iter().map(|it| self.checked(cx, it));
            Ok(join_all(checks).await)
        }
        .boxed()
    }
}

impl Catalogue {
    fn described(&self, provider: &Provider) -> Value {
        let lacks = self.lacks(provider);
        Value::map([
            ("name", Value::from(provider.name)),
            ("summary", Value::from(provider.summary)),
            ("usable", Value::from(lacks.is_empty())),
            ("lacks", Value::from(lacks)),
            ("chat", Value::from(provider.chat.is_some())),
            ("embeddings", Value::from(provider.embedding.is_some())),
        ])
    }

    /// The row of a provider; a server of this machine has to answer to be usable.
    async fn listed(&self, cx: &Context, provider: &'static Provider) -> Value {
        let mut row = self.described(provider);
        // While answers come from a cassette, no server is needed.
        let own = self.own(provider).filter(|_| !self.deck.is_replaying());
        if let Some((endpoint, listing)) = own
            && endpoint.as_ref().is_ok_and(|it| is_here(&it.base_url))
        {
            let glanced = async {
                let endpoint = endpoint?;
                check::models(cx, &endpoint, listing, check::GLANCE).await
            };
            match glanced.await {
                Err(error) if !check::is_busy(&error) => mark(&mut row, &error),
                _ => {}
            }
        }
        row
    }

    /// The server of a provider, where it is the user's own and nothing else is lacking.
    fn own(&self, provider: &'static Provider) -> Option<(Result<Endpoint>, Listing)> {
        let listing = provider
            .listing
            .filter(|_| self.lacks(provider).is_empty())?;
        let name = format!("{}:?", provider.name);
        let found = self.endpoint(&name, ModelOptions::default());
        Some((found.map(|(_, endpoint)| endpoint), listing))
    }

    /// The row of a provider; where the server is the user's own, also what it says: its `models`,
    /// or the `error` that makes it unusable.
    async fn checked(&self, cx: &Context, provider: &'static Provider) -> Value {
        let mut row = self.described(provider);
        let Some((endpoint, listing)) = self.own(provider) else {
            return row;
        };
        let asked = async { check::models(cx, &endpoint?, listing, check::TIMEOUT).await };
        match (asked.await, &mut row) {
            (Ok(models), Value::Map(map)) => {
                map.insert("models".to_owned(), Value::from(models));
            }
            (Ok(_), _) => {}
            (Err(error), _) => mark(&mut row, &error),
        }
        row
    }

    /// What a model of `provider` must be given beside its name.
    fn lacks(&self, provider: &Provider) -> Vec<String> {
        let mut lacks = Vec::new();
        if let Some(variable) = provider.key_variable
            && provider.needs_key
            && self.owners_key(provider).is_none()
        {
            lacks.push(format!("the key `{variable}`"));
        }
        if let Place::Given { variable } = provider.place
            && self.variable(variable).is_none()
        {
            lacks.push(format!("the address `{variable}`"));
        }
        lacks
    }
}

/// Says in the row of a provider why it is not usable.
fn mark(row: &mut Value, error: &Error) {
    let Value::Map(map) = row else { return };
    let pairs = [
        ("usable", Value::Bool(false)),
        ("error", Value::from(error.message())),
        ("kind", Value::from(error.kind().code())),
        ("hint", Value::from(error.hint().map(str::to_owned))),
    ];
    map.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
}

/// Whether an address is one of this machine.
fn is_here(address: &str) -> bool {
    let url = Url::parse(address).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The provider of this name.
fn find(name: &str) -> Result<&'static Provider> {
    let found = PROVIDERS.iter().find(|it| it.name == name);
    found.ok_or_else(|| {
        let known = PROVIDERS.iter().map(|it| it.name);
        let listed: Vec<_> = known.clone().map(|it| format!("`{it}`")).collect();
        let otherwise = format!(
            "write `provider:model` with one of {}, or give `base_url`",
            listed.join(", ")
        );
        let hint = nearest::hint(name, known, otherwise);
        Error::not_found(format!("no provider of models named `{name}`")).with_hint(hint)
    })
}

/// Splits `provider:model`. A name without a known provider is a model of an OpenAI-compatible
/// server when an address is given, because such names may hold colons themselves.
fn split(name: &str, has_address: bool) -> Result<(&'static Provider, &str)> {
    let (prefix, rest) = name.split_once(':').unwrap_or((name, ""));
    let (provider, model) = match find(prefix) {
        Ok(provider) => (provider, rest),
        Err(_) if has_address => (find(COMPATIBLE)?, name),
        Err(error) => return Err(error),
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
        "either set `{variable}`, or `models.keys.{}` of aikit.toml, or give `api_key`; or go without a key: start a local server and \
         name `ollama:MODEL` (or `{COMPATIBLE}:MODEL` with its `base_url`), in the call or as \
         `models.default` of aikit.toml, or replay a cassette; for tests there is `scripted:demo` \
         with a list of `answers`",
        provider.name
    );
    Error::new(ErrorKind::Unavailable, message).with_hint(hint)
}
