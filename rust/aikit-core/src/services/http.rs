//! HTTP of tools.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{Result, context::Context};

/// An HTTP request.
#[derive(Clone)]
pub struct HttpRequest {
    /// Method in capitals.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Body, if any.
    pub body: Option<Bytes>,
    /// Longest time for the whole exchange.
    pub timeout: Duration,
    /// Largest body to accept, after decompression.
    pub max_bytes: u64,
}

// By hand: address, headers and body may hold secrets.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &without_secrets(&self.url))
            .field("headers", &headers)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("timeout", &self.timeout)
            .field("max_bytes", &self.max_bytes)
            .finish()
    }
}

/// An address without user, password, query and fragment.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::new();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let place = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{place}{path}")
}

/// An HTTP response, whatever its status.
#[derive(Clone)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// URL after redirects.
    pub url: String,
    /// Headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, decompressed.
    pub body: Bytes,
    /// How long the exchange took.
    pub elapsed: Duration,
}

// By hand: address, headers and body may hold secrets.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("url", &without_secrets(&self.url))
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .field("elapsed", &self.elapsed)
            .finish()
    }
}

/// The only way to the network for tools: every address is checked before it is connected to.
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends one request and follows redirects, each checked like the first.
    fn send<'a>(
        &'a self,
        cx: &'a Context,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse>>;
}

/// What one request would send, for whoever approves it.
#[derive(Clone, Copy)]
pub struct Sending<'a> {
    /// Method in capitals.
    pub method: &'a str,
    /// Headers in order, without those that the client sets by itself.
    pub headers: &'a [(String, String)],
    /// Body; empty when there is none.
    pub body: &'a [u8],
}

// By hand: a body may hold secrets.
impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_a_request_holds_no_secret() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "https://user:hidden@example.org/path?key=hidden#hidden".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer hidden".to_owned())],
            body: Some(Bytes::from_static(b"hidden")),
            timeout: Duration::from_secs(1),
            max_bytes: 10,
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        for known in ["POST", "https://example.org/path", "authorization", "6"] {
            assert!(shown.contains(known), "{known}: {shown}");
        }
    }

    #[test]
    fn what_is_logged_of_a_response_holds_no_secret() {
        let response = HttpResponse {
            status: 200,
            url: "https://user:hidden@example.org/path?key=hidden".to_owned(),
            headers: vec![("set-cookie".to_owned(), "session=hidden".to_owned())],
            body: Bytes::from_static(b"hidden"),
            elapsed: Duration::from_secs(1),
        };
        let shown = format!("{response:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        for known in ["200", "https://example.org/path", "set-cookie", "6"] {
            assert!(shown.contains(known), "{known}: {shown}");
        }
    }
}
