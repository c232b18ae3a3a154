//! `request_http`: sends one HTTP request and gives its answer, whatever its status.

use std::{collections::BTreeMap, fmt, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    services::{HttpRequest, HttpResponse, Permission},
    tool::{Tool, ToolContext},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Methods that can be sent.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const TIMEOUT_S: f64 = 30.0;
const TIMEOUT_S_MAX: f64 = 300.0;

/// Largest body when `max_bytes` is left out, and the most that can be asked for: the answer must
/// stay below the limit of all answers.
const BODY_BYTES: u64 = 512 << 10;
const BODY_BYTES_MAX: u64 = 1 << 20;

const RETRIES_MAX: u32 = 5;

/// First pause before a retry; it doubles each time.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause, also where the server asks for a longer one.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct RequestHttp;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Absolute address, http or https.
    url: String,
    /// Method: GET, HEAD, POST, PUT, PATCH or DELETE; GET when left out. All but GET and HEAD also
    /// need the permission to send data, and so does every body.
    #[serde(default = "get")]
    method: String,
    /// Headers by name.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Parameters added to the query of the address.
    #[serde(default)]
    query: BTreeMap<String, Parameter>,
    /// Body as text; instead of `json`.
    body: Option<String>,
    /// Body as data, sent as JSON; instead of `body`.
    #[schemars(with = "Option<serde_json::Value>")]
    json: Option<Value>,
    /// Who asks.
    auth: Option<Auth>,
    /// Longest time for the exchange in seconds, up to 300; 30 when left out.
    #[schemars(range(min = 0.001, max = 300.0))]
    timeout_s: Option<f64>,
    /// Largest body to accept in bytes, after decompression, up to 1048576; 524288 when left out.
    #[schemars(range(min = 1, max = 1_048_576))]
    max_bytes: Option<u64>,
    /// How often to try again, 0 to 5, after a failure of the network or status 429, 502, 503 or
    /// 504; not for POST and PATCH.
    #[serde(default)]
    #[schemars(range(min = 0, max = 5))]
    retry: u32,
}

// By hand: all but a few fields may hold secrets.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args")
            .field("method", &self.method)
            .field("timeout_s", &self.timeout_s)
            .field("max_bytes", &self.max_bytes)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Parameter {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

// Not `Debug`: it holds secrets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Auth {
    /// Token, sent as `Authorization: Bearer`.
    bearer: Option<String>,
    /// User name, sent with `password` as basic authentication.
    user: Option<String>,
    /// Password that belongs to `user`.
    password: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// Status code, such as 200 or 404.
    status: u16,
    /// Address that answered, after redirects.
    url: String,
    /// Headers by name in lower case; several of one name are joined by a comma, cookies by a line
    /// break.
    headers: BTreeMap<String, String>,
    /// Body, when it is text that is not JSON.
    text: Option<String>,
    /// Body, when it is JSON.
    #[schemars(with = "Option<serde_json::Value>")]
    json: Option<Value>,
    /// Body, when it is neither.
    #[schemars(with = "Option<String>", extend("format" = "binary"))]
    bytes: Option<Bytes>,
    /// How long the last exchange took, in milliseconds.
    elapsed_ms: f64,
    /// How many exchanges it took.
    attempts: u32,
}

impl Tool for RequestHttp {
    const NAME: &'static str = "request_http";
    const SUMMARY: &'static str =
        "Sends an HTTP request and gives status, headers and body, JSON decoded.";
    const PERMISSIONS: &'static [Permission] = &[Permission::Network, Permission::NetworkWrite];
    // Beyond the longest exchanges: a person may have to approve, and retries pause.
    const TIMEOUT: Duration = Duration::from_mins(40);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let retries = args.retry;
        if retries > RETRIES_MAX {
            return Err(Error::invalid_args(format!("`retry` is {retries}"))
                .with_hint(format!("give 0 to {RETRIES_MAX}")));
        }
        let request = build(args)?;
        let is_repeatable = !matches!(request.method.as_str(), "POST" | "PATCH");
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome = cx.services.http()?.send(&cx.context, request.clone()).await;
            let pause = match &outcome {
                _ if !is_repeatable || attempts > retries => None,
                Ok(response) if is_overloaded(response.status) => {
                    Some(asked_pause(response).unwrap_or_else(|| pause_after(attempts)))
                }
                Err(error) if error.kind() == ErrorKind::Network => Some(pause_after(attempts)),
                _ => None,
            };
            let Some(pause) = pause else {
                return Ok(output(outcome.map_err(too_large)?, attempts));
            };
            cx.context.clock().sleep(pause.min(RETRY_PAUSE_MAX)).await;
        }
    }
}

/// The error of a body that is larger than was wanted, with what to do about it here.
fn too_large(error: Error) -> Error {
    if error.kind() != ErrorKind::LimitExceeded {
        return error;
    }
    let hint = format!("raise `max_bytes`, up to {BODY_BYTES_MAX}, or ask for a part of it");
    error.with_hint(hint)
}

fn build(args: Args) -> Result<HttpRequest> {
    let mut url = Url::parse(&args.url).map_err(|error| {
        Error::invalid_args(format!("`{}` is not an absolute URL", args.url))
            .with_hint("write the whole address, such as `https://example.org/page`")
            .with_source(error)
    })?;
    for (name, parameter) in &args.query {
        let value = match parameter {
            Parameter::Boolean(value) => value.to_string(),
            Parameter::Integer(value) => value.to_string(),
            Parameter::Number(value) => value.to_string(),
            Parameter::Text(value) => value.clone(),
        };
        url.query_pairs_mut().append_pair(name, &value);
    }
    let mut headers: Vec<(String, String)> = args.headers.into_iter().collect();
    let mut add = |name: &str, value: String| {
        if !headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    };
    let body = match (args.body, args.json) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid_args("`body` and `json` are both given")
                .with_hint("give the body as text or as data"));
        }
        (Some(text), None) => Some(Bytes::from(text)),
        (None, Some(data)) => {
            add("content-type", "application/json".to_owned());
            Some(Bytes::from(data.to_json()?.to_string()))
        }
        (None, None) => None,
    };
    if let Some(auth) = args.auth {
        add("authorization", authorization(auth)?);
    }
    let timeout_s = args.timeout_s.unwrap_or(TIMEOUT_S);
    let timeout = Duration::try_from_secs_f64(timeout_s)
        .ok()
        .filter(|it| !it.is_zero() && timeout_s <= TIMEOUT_S_MAX)
        .ok_or_else(|| {
            Error::invalid_args(format!("`timeout_s` is {timeout_s}"))
                .with_hint(format!("give more than 0 and up to {TIMEOUT_S_MAX}"))
        })?;
    let max_bytes = args.max_bytes.unwrap_or(BODY_BYTES);
    if !(1..=BODY_BYTES_MAX).contains(&max_bytes) {
        return Err(Error::invalid_args(format!("`max_bytes` is {max_bytes}"))
            .with_hint(format!("give 1 to {BODY_BYTES_MAX}")));
    }
    let method = args.method.to_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(
            Error::invalid_args(format!("`method` is `{}`", args.method))
                .with_hint(format!("use one of {}", METHODS.join(", "))),
        );
    }
    Ok(HttpRequest {
        method,
        url: url.into(),
        headers,
        body,
        timeout,
        max_bytes,
    })
}

fn authorization(auth: Auth) -> Result<String> {
    match auth {
        Auth {
            bearer: Some(token),
            user: None,
            password: None,
        } => Ok(format!("Bearer {token}")),
        Auth {
            bearer: None,
            user: Some(user),
            password,
        } => {
            let pair = format!("{user}:{}", password.unwrap_or_default());
            Ok(format!("Basic {}", STANDARD.encode(pair)))
        }
        _ => Err(Error::invalid_args("`auth` is neither a token nor a user")
            .with_hint("give `bearer`, or `user` and `password`")),
    }
}

const fn is_overloaded(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

fn pause_after(attempts: u32) -> Duration {
    RETRY_PAUSE * 2_u32.saturating_pow(attempts - 1)
}

/// The pause the server asks for, where it gives seconds.
fn asked_pause(response: &HttpResponse) -> Option<Duration> {
    let seconds = find_header(response, "retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn find_header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let mut headers = response.headers.iter();
    headers
        .find(|(it, _)| it == name)
        .map(|(_, value)| value.as_str())
}

fn output(response: HttpResponse, attempts: u32) -> Output {
    let content_type = find_header(&response, "content-type")
        .unwrap_or_default()
        .to_lowercase();
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    let json = is_json
        .then(|| serde_json::from_slice(&response.body).ok())
        .flatten();
    let json: Option<Value> = json.map(Value::from_json);
    let text = match &json {
        Some(_) => None,
        None => decode(&response.body, &content_type, &media_type),
    };
    let is_bytes = json.is_none() && text.is_none();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers {
        let separator = if name == "set-cookie" { "\n" } else { ", " };
        headers
            .entry(name)
            .and_modify(|it| {
                it.push_str(separator);
                it.push_str(&value);
            })
            .or_insert(value);
    }
    Output {
        status: response.status,
        url: response.url,
        headers,
        text,
        json,
        bytes: is_bytes.then_some(response.body),
        elapsed_ms: response.elapsed.as_secs_f64() * 1000.0,
        attempts,
    }
}

/// The body as text, when it says or looks as if it is one.
fn decode(body: &[u8], content_type: &str, media_type: &str) -> Option<String> {
    let charset = content_type
        .split("charset=")
        .nth(1)
        .map(|it| it.trim_matches(['"', ' ']));
    let label = charset.and_then(|it| it.split(';').next());
    if let Some(encoding) = label.and_then(|it| Encoding::for_label(it.as_bytes())) {
        return Some(encoding.decode(body).0.into_owned());
    }
    let is_textual = media_type.starts_with("text/")
        || ["json", "xml", "javascript", "x-www-form-urlencoded"]
            .iter()
            .any(|it| media_type.ends_with(it));
    if is_textual {
        return Some(UTF_8.decode(body).0.into_owned());
    }
    let is_text = !body.contains(&0);
    std::str::from_utf8(body)
        .ok()
        .filter(|_| is_text)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_the_arguments_holds_no_secret() {
        let args: Args = serde_json::from_value(serde_json::json!({
            "url": "https://user:hidden@example.org/?key=hidden",
            "method": "POST",
            "headers": {"x-api-key": "hidden"},
            "query": {"token": "hidden"},
            "body": "hidden",
            "json": {"password": "hidden"},
            "auth": {"bearer": "hidden"},
        }))
        .unwrap();
        let shown = format!("{args:?}");
        assert!(
            !shown.contains("hidden") && shown.contains("POST"),
            "{shown}"
        );
    }
}
