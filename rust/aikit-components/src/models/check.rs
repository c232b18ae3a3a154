//! Asks the user's own servers which models they have.

use std::time::Duration;

use aikit_core::{
    Context, Error, ErrorKind, Result,
    services::{HttpClient as _, HttpRequest},
};
use serde_json::Value as Json;

use super::providers::{Endpoint, Listing};

/// Longest time for one server: a person waits for the list.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time for a server of this machine of which only is asked whether it is there: where
/// nobody listens, the system says so at once.
pub(super) const GLANCE: Duration = Duration::from_millis(500);

/// Whether an error says that a server took too long: it is there, but busy.
pub(super) fn is_busy(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|it| it.downcast_ref::<Error>());
    cause.is_some_and(|it| it.kind() == ErrorKind::Timeout)
}

/// Largest list that is read.
const LIST_BYTES_MAX: u64 = 4 << 20;

/// The names of the models of the server at `endpoint`, which may take `timeout` to answer.
///
/// # Errors
///
/// `provider_unavailable` when it does not answer, `auth` when it wants another key,
/// `bad_response` for what is no list of models.
pub(super) async fn models(
    cx: &Context,
    endpoint: &Endpoint,
    listing: Listing,
    timeout: Duration,
) -> Result<Vec<String>> {
    let root = endpoint.base_url.trim_end_matches('/');
    let (url, list, name) = match listing {
        Listing::OpenAi => (format!("{root}/models"), "data", "id"),
        Listing::Ollama => {
            let root = root.strip_suffix("/v1").unwrap_or(root);
            (format!("{root}/api/tags"), "models", "name")
        }
    };
    let key = endpoint.api_key.iter();
    let headers = key.map(|key| ("authorization".to_owned(), format!("Bearer {key}")));
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: url.clone(),
        headers: headers.collect(),
        body: None,
        timeout,
        max_bytes: LIST_BYTES_MAX,
    };
    let response = endpoint.http.send(cx, request).await.map_err(|error| {
        let message = format!("{url} does not answer: {}", error.message());
        let hint = endpoint.start.or(error.hint()).unwrap_or_default();
        let kind = match error.kind() {
            ErrorKind::Network | ErrorKind::Timeout => ErrorKind::ProviderUnavailable,
            kind => kind,
        };
        Error::new(kind, message).with_hint(hint).with_source(error)
    })?;
    match response.status {
        200 => {}
        401 | 403 => {
            let message = format!("{url} refused the key");
            return Err(Error::new(ErrorKind::ModelAuth, message).with_hint(
                "set the variable of the provider to a key that the server takes, or leave it out \
                 where the server wants none",
            ));
        }
        status => {
            let message = format!("{url} answered with status {status}");
            return Err(Error::new(ErrorKind::BadResponse, message)
                .with_hint("check that `base_url` is the address of the API"));
        }
    }
    let read: Option<Json> = serde_json::from_slice(&response.body).ok();
    let rows = read.as_ref().and_then(|it| it.get(list)?.as_array());
    let rows = rows.ok_or_else(|| {
        let message = format!("{url} answered with something that is no list of models");
        Error::new(ErrorKind::BadResponse, message)
            .with_hint("check that `base_url` is the address of the API")
    })?;
    let names = rows.iter().filter_map(|row| row.get(name)?.as_str());
    Ok(names.map(str::to_owned).collect())
}
