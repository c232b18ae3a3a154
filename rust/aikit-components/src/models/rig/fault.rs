//! What a provider's failure means: its kind, where it happened, what to do, and no secret.

use std::{fmt, sync::Arc, time::Duration};

use aikit_core::{Context, Error, ErrorKind, Result, error::Retry};
use rig_core::error::{ErrorKind as RigKind, ProviderError};
use rig_core::http_client;
use serde_json::Value as Json;
use url::Url;

use super::transport::{BODY_BYTES_MAX, KeyHeader, Refused, TooLong, Transport};
use crate::{http::GuardedClient, models::providers::Endpoint};

/// How much of a provider's own words an error repeats.
const WORDS_CHARS_MAX: usize = 400;

/// Which model, where it is, and the secret that no message may show.
#[derive(Clone)]
pub(in crate::models) struct Link {
    name: String,
    url: String,
    secret: Option<String>,
    key_header: Option<&'static str>,
    start: Option<&'static str>,
    http: Arc<GuardedClient>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Describes the way to a model.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a key that cannot stand in a header, such as one with a line break.
    pub(in crate::models) fn new(endpoint: &Endpoint) -> Result<Self> {
        let key = endpoint.api_key.as_deref().unwrap_or_default();
        if !key.chars().all(|it| it.is_ascii_graphic()) {
            let message = format!("the key of `{}` has characters no key has", endpoint.name);
            let hint = "look for spaces and line breaks in the key";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        Ok(Self {
            name: endpoint.name.clone(),
            url: without_password(&endpoint.base_url),
            secret: endpoint.api_key.clone(),
            key_header: None,
            start: endpoint.start,
            http: Arc::clone(&endpoint.http),
        })
    }

    /// Sends the key as this header, in place of the query that a wire writes.
    pub(super) fn with_key_header(mut self, name: &'static str) -> Self {
        self.key_header = Some(name);
        self
    }

    /// What sends the requests of one call.
    pub(super) fn transport(&self, cx: &Context) -> Transport {
        let key = self.key_header.map(|name| KeyHeader {
            name,
            key: self.secret.clone().unwrap_or_default(),
        });
        Transport::new(Arc::clone(&self.http), cx.clone(), key)
    }

    /// Full name of the model.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The error that a caller sees for a failure of rig.
    pub(super) fn fault(&self, error: &ProviderError) -> Error {
        match error {
            ProviderError::Http(error) => self.unanswered(error),
            _ => self.reply(error),
        }
    }

    /// No reply, or none that could be read to its end.
    fn unanswered(&self, error: &http_client::Error) -> Error {
        let Self { name, url, .. } = self;
        let http_client::Error::Instance(source) = error else {
            let message = format!("`{name}`: {url} did not answer with a valid response: {error}");
            return Error::new(ErrorKind::BadResponse, self.scrub(&message))
                .with_hint("check that `base_url` is the address of the API, often ending in /v1");
        };
        if let Some(Refused(refusal)) = source.downcast_ref() {
            return self.refused(refusal);
        }
        if source.downcast_ref::<TooLong>().is_some() {
            let message = format!("`{name}`: {url} answers more than {BODY_BYTES_MAX} bytes");
            return Error::new(ErrorKind::LimitExceeded, message).with_hint("give `max_tokens`");
        }
        let cause = self.scrub(&root_cause(&**source));
        let Some(failed) = source.downcast_ref::<reqwest::Error>() else {
            let message = format!("`{name}`: the request to {url} failed: {cause}");
            return Error::new(ErrorKind::ProviderUnavailable, message);
        };
        if failed.is_timeout() {
            let message = format!("`{name}`: {url} did not answer in time");
            return Error::new(ErrorKind::Timeout, message);
        }
        if failed.is_builder() {
            let message = format!("`{name}`: no request can be made for {url}: {cause}");
            return Error::invalid_args(message).with_hint("check `base_url` and `api_key`");
        }
        if failed.is_body() || failed.is_decode() {
            let message = format!("`{name}`: the answer of {url} broke off: {cause}");
            return Error::new(ErrorKind::BadResponse, message).with_hint("try again");
        }
        let message = format!("`{name}`: cannot reach {url}: {cause}");
        let error = Error::new(ErrorKind::ProviderUnavailable, message).with_hint(self.missing());
        // A server of this machine that does not run is not started by waiting.
        if failed.is_connect() && is_here(url) {
            return error.with_retry(Retry::Never);
        }
        error
    }

    /// What to do when nobody answers.
    fn missing(&self) -> String {
        let check = "check that the server runs and that `base_url` is its address";
        match self.start {
            Some(start) => format!("{start}; {check}"),
            None => check.to_owned(),
        }
    }

    /// The guard did not let the request out.
    fn refused(&self, refusal: &Error) -> Error {
        let kind = match refusal.kind() {
            ErrorKind::Network => ErrorKind::ProviderUnavailable,
            kind => kind,
        };
        let Self { name, url, .. } = self;
        let message = format!("`{name}`: cannot reach {url}: {}", refusal.message());
        // A host that is not known, and a rule that forbids, stay so.
        let error = Error::new(kind, message).with_retry(Retry::Never);
        match refusal.hint() {
            Some(hint) => error.with_hint(hint.to_owned()),
            None => error,
        }
    }

    /// A reply that says that something is wrong, or that says nothing understandable.
    fn reply(&self, error: &ProviderError) -> Error {
        let report = error.report();
        let status = report.http_status.filter(|it| !(200..300).contains(it));
        let body = error.provider_response_body().unwrap_or_default();
        let told = Told::read(body);
        let is_request = matches!(report.kind, RigKind::Request | RigKind::Url);
        let kind = match status {
            _ if is_request => ErrorKind::InvalidArgs,
            Some(status) => of_status(status, &told),
            None if told.is_error => told.kind().unwrap_or(ErrorKind::Model),
            None => ErrorKind::BadResponse,
        };
        let words = if told.words.is_empty() {
            report.message
        } else {
            told.words.clone()
        };
        let words: String = self.scrub(&words).chars().take(WORDS_CHARS_MAX).collect();
        let Self { name, url, .. } = self;
        let said = status.map_or_else(String::new, |it| format!(" answered with status {it}"));
        let message = match kind {
            ErrorKind::InvalidArgs => format!("`{name}`: the request cannot be made: {words}"),
            ErrorKind::BadResponse => {
                format!("`{name}`: {url} answered with something that is not valid: {words}")
            }
            _ => format!("`{name}`: {url}{said}: {words}"),
        };
        let fault = Error::new(kind, message).with_retry(retry(kind, &told, error));
        match self.hint(kind, &told, error) {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }

    /// What to do about a reply of this kind.
    fn hint(&self, kind: ErrorKind, told: &Told, error: &ProviderError) -> Option<String> {
        Some(match kind {
            ErrorKind::ModelAuth => match &self.secret {
                Some(_) => "check the key, and that it may use this model".to_owned(),
                None => "the server wants a key: give `api_key`".to_owned(),
            },
            ErrorKind::NotFound => {
                let check = "check the name of the model, and `base_url`";
                match self.start {
                    Some(start) => format!("{check}; {start}"),
                    None => format!("{check}; `aikit model check` lists what servers have"),
                }
            }
            ErrorKind::ContextTooLong => {
                "shorten the conversation or the tools' results".to_owned()
            }
            ErrorKind::RateLimited => match retry_after(told, error) {
                Some(wait) => format!("try again in {} s", wait.as_secs_f64().ceil()),
                None => "try again later, or ask less often".to_owned(),
            },
            ErrorKind::ProviderUnavailable => "try again later".to_owned(),
            ErrorKind::BadResponse => {
                "check that `base_url` is the address of the API, often ending in /v1".to_owned()
            }
            _ => return None,
        })
    }

    /// `text` without the key.
    fn scrub(&self, text: &str) -> String {
        match &self.secret {
            Some(secret) if !secret.is_empty() => text.replace(secret.as_str(), "***"),
            _ => text.to_owned(),
        }
    }
}

/// What the body of a failure says.
struct Told {
    words: String,
    code: String,
    /// How long to wait, where the body says so.
    retry_after: Option<Duration>,
    is_error: bool,
}

/// Google's `RetryInfo`: `{"retryDelay": "34.5s"}` among the details of an error.
fn retry_delay(details: &Json) -> Option<Duration> {
    let delay = details
        .as_array()?
        .iter()
        .find_map(|it| it.get("retryDelay"))?;
    let seconds: f64 = delay.as_str()?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Told {
    fn read(body: &str) -> Self {
        let json: Json = serde_json::from_str(body).unwrap_or_default();
        // `{"error": {"message", "code", "type"}}`, `{"error": "…"}`, `{"message": "…"}`.
        let error = json.get("error").unwrap_or(&json);
        let text = |key: &str| error.get(key).and_then(Json::as_str).unwrap_or_default();
        let words = error.as_str().unwrap_or_else(|| text("message"));
        // OpenAI's code, Anthropic's type, Google's status.
        let codes = ["code", "type", "status"].map(text);
        let code = codes.into_iter().find(|it| !it.is_empty());
        let code = code.unwrap_or_default();
        let retry_after = error.get("details").and_then(retry_delay);
        let words = if words.is_empty() { body.trim() } else { words };
        Self {
            words: words.to_owned(),
            code: code.to_lowercase(),
            retry_after,
            is_error: json.get("error").is_some_and(|it| !it.is_null()),
        }
    }

    /// What the code or the words mean by themselves.
    fn kind(&self) -> Option<ErrorKind> {
        let words = self.words.to_lowercase();
        let says = |marks: &[&str]| {
            let marked = |mark: &&str| self.code.contains(*mark) || words.contains(*mark);
            marks.iter().any(marked)
        };
        if says(&[
            "context_length",
            "context length",
            "context size",
            "context_size",
            "context window",
            "maximum context",
            "prompt is too long",
            "exceeds the maximum number of tokens",
            "too many tokens",
        ]) {
            Some(ErrorKind::ContextTooLong)
        } else if says(&["api key not valid", "api_key_invalid", "api key expired"]) {
            // Google refuses a key with status 400.
            Some(ErrorKind::ModelAuth)
        } else if says(&["content_filter", "content_policy", "content filter"]) {
            Some(ErrorKind::ContentFiltered)
        } else if says(&[
            "rate_limit",
            "rate limit",
            "insufficient_quota",
            "resource_exhausted",
        ]) {
            Some(ErrorKind::RateLimited)
        } else if says(&["server_error", "overloaded", "unavailable"]) {
            Some(ErrorKind::ProviderUnavailable)
        } else {
            None
        }
    }
}

fn of_status(status: u16, told: &Told) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::ModelAuth,
        404 => ErrorKind::NotFound,
        413 => ErrorKind::ContextTooLong,
        429 => ErrorKind::RateLimited,
        408 | 500..=599 => match told.kind() {
            // Some local servers answer a prompt that is too long with status 500.
            Some(ErrorKind::ContextTooLong) => ErrorKind::ContextTooLong,
            _ => ErrorKind::ProviderUnavailable,
        },
        _ => told.kind().unwrap_or(ErrorKind::Model),
    }
}

/// Whether and when the request is worth another attempt.
fn retry(kind: ErrorKind, told: &Told, error: &ProviderError) -> Retry {
    // Nobody's quota fills up within a minute.
    if kind == ErrorKind::RateLimited && told.code.contains("quota") {
        return Retry::Never;
    }
    match retry_after(told, error) {
        Some(wait) if kind.is_retryable() => Retry::After(wait),
        _ => Retry::ByKind,
    }
}

/// Whether an address is on this machine.
fn is_here(url: &str) -> bool {
    let parsed = Url::parse(url).ok();
    parsed.is_some_and(|url| match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    })
}

/// How long the provider asks to wait: by the header, else by the body.
fn retry_after(told: &Told, error: &ProviderError) -> Option<Duration> {
    let header = || {
        let value = error.provider_response_headers()?.get("retry-after")?;
        let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    header().or(told.retry_after)
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |it| it.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

/// The address without user name, password and query, which may be secrets.
fn without_password(base_url: &str) -> String {
    let Ok(mut url) = Url::parse(base_url) else {
        return "the provider".to_owned();
    };
    url.set_query(None);
    match (url.set_username(""), url.set_password(None)) {
        (Ok(()), Ok(())) => url.to_string(),
        _ => "the provider".to_owned(),
    }
}
