//! The guarded client: every address of every hop is checked, and only those are connected to.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::Overrides,
    io,
    services::{
        Ask, Decision, HttpClient, HttpRequest, HttpResponse, Permission, Policy, Sending, Target,
    },
    span::{TRACEPARENT, TraceParent},
    telemetry,
};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use url::{Host, Url};

use super::pool::{self, Pin};
use crate::security::{denied, enforce};

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// Most addresses of one host that are looked at.
const ADDRESSES_MAX: usize = 64;

/// Headers that go along when a redirect leads to another origin: none that may carry a key.
const HARMLESS_HEADERS: [&str; 6] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "range",
    "user-agent",
];

/// Headers that belong to the connection, not to the caller.
const REFUSED_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

type Lookup = dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync;

/// The HTTP client that tools are given.
pub struct GuardedClient {
    policy: Arc<dyn Policy>,
    ask: Option<Arc<dyn Ask>>,
    lookup: Box<Lookup>,
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// One hop of an exchange.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

/// What is asked of the policy for one hop, beside its address.
#[derive(Clone, Copy)]
struct Wish<'a> {
    permission: Permission,
    sending: Option<Sending<'a>>,
}

impl GuardedClient {
    /// A client whose every request is decided by `policy`.
    pub fn new(policy: Arc<dyn Policy>, ask: Option<Arc<dyn Ask>>) -> Self {
        Self::with_lookup(
            policy,
            ask,
            Box::new(|host, port| Box::pin(look_up(host, port))),
        )
    }

    fn with_lookup(
        policy: Arc<dyn Policy>,
        ask: Option<Arc<dyn Ask>>,
        lookup: Box<Lookup>,
    ) -> Self {
        Self {
            policy,
            ask,
            lookup,
        }
    }

    async fn exchange(&self, cx: &Context, request: HttpRequest) -> Result<HttpResponse> {
        self.check_open(cx, Permission::Network)?;
        let started = cx.clock().monotonic();
        let mut budget = Budget {
            cx,
            left: request.timeout,
            whole: request.timeout,
        };
        let mut hop = Hop::first(&request)?;
        for _ in 0..=REDIRECTS_MAX {
            let addresses = budget.spend(&hop.url, self.addresses(&hop.url)).await?;
            // The time a person takes to answer does not count against the request.
            let headers = plain_headers(&hop.headers);
            let wish = hop.wish(&headers);
            let client = self.allowed(cx, wish, &hop.url, addresses).await?;
            let trace = telemetry::traceparent(cx);
            let response = budget.spend(&hop.url, hop.send(&client, trace)).await?;
            if let Some(next) = hop.redirected(&response)? {
                hop = next;
                continue;
            }
            let (status, url) = (response.status().as_u16(), hop.url.to_string());
            let headers = plain_headers(response.headers());
            let body = budget
                .spend(&hop.url, read_body(response, request.max_bytes))
                .await?;
            let elapsed = cx.clock().monotonic().saturating_sub(started);
            return Ok(HttpResponse {
                status,
                url,
                headers,
                body,
                elapsed,
            });
        }
        let message = format!(
            "`{}` redirects more than {REDIRECTS_MAX} times",
            request.url
        );
        Err(Error::new(ErrorKind::Network, message)
            .with_hint("ask for the address the redirects lead to, if there is an end"))
    }

    /// A client for one address of the internet, after the policy has allowed every IP address
    /// that its host stands for; it connects to exactly those. Redirects are answers to it.
    /// Its requests belong inside [`io::entered`].
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no http or https URL, `network` for an unknown host, and what
    /// the policy decides.
    pub async fn client_for(
        &self,
        cx: &Context,
        permission: Permission,
        url: &str,
    ) -> Result<Client> {
        let url = parse_url(url)?;
        self.check_open(cx, permission)?;
        let addresses = cx.within(io::entered(self.addresses(&url))).await??;
        let wish = Wish {
            permission,
            sending: None,
        };
        self.allowed(cx, wish, &url, addresses).await
    }

    /// Where nothing may leave at all, no name is looked up either.
    fn check_open(&self, cx: &Context, permission: Permission) -> Result<()> {
        match self.policy.decide(cx, permission, Target::Any) {
            Decision::Deny { rule, hint } => Err(denied(&rule, &hint)),
            _ => Ok(()),
        }
    }

    async fn allowed(
        &self,
        cx: &Context,
        wish: Wish<'_>,
        url: &Url,
        addresses: Vec<IpAddr>,
    ) -> Result<Client> {
        let target = Target::Url {
            url: url.as_str(),
            addresses: &addresses,
            sending: wish.sending,
        };
        let ask = self.ask.as_deref();
        enforce(cx, &*self.policy, ask, wish.permission, target).await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        pool::client(Pin { host, addresses })
    }

    /// Every address the URL's host stands for.
    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>> {
        let name = match url.host() {
            // The URL parser has read octal, decimal and short forms already.
            Some(Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => return Ok(vec![address.into()]),
            Some(Host::Domain(name)) => name.to_owned(),
            None => return Err(not_a_url(url.as_str())),
        };
        let unknown = || {
            Error::new(
                ErrorKind::Network,
                format!("the host `{name}` is not known"),
            )
            .with_hint("check the spelling of the host and the connection to the network")
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let found = (self.lookup)(name.clone(), port).await;
        let mut addresses = found.map_err(|error| unknown().with_source(error))?;
        addresses.sort_unstable();
        addresses.dedup();
        match addresses.len() {
            0 => Err(unknown()),
            1..=ADDRESSES_MAX => Ok(addresses),
            count => Err(denied(
                &format!("`{name}` stands for {count} addresses, more than {ADDRESSES_MAX}"),
                "ask for one of the addresses itself",
            )),
        }
    }
}

impl HttpClient for GuardedClient {
    fn send<'a>(
        &'a self,
        cx: &'a Context,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse>> {
        Box::pin(io::entered(self.exchange(cx, request)))
    }
}

/// The time that is left for the network parts of an exchange.
struct Budget<'a> {
    cx: &'a Context,
    left: Duration,
    whole: Duration,
}

impl Budget<'_> {
    async fn spend<T>(&mut self, url: &Url, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = self.cx.clock().monotonic();
        let limited = self.cx.part(Overrides {
            timeout: Some(self.left),
            ..Overrides::default()
        });
        let outcome = limited.within(work).await;
        self.left = self
            .left
            .saturating_sub(self.cx.clock().monotonic().saturating_sub(started));
        // A deadline of the caller's own says so itself.
        if self.left.is_zero() && self.cx.check().is_ok() {
            let host = url.host_str().unwrap_or_default();
            let message = format!("`{host}` did not answer within {:?}", self.whole);
            return Err(Error::new(ErrorKind::Timeout, message).with_hint("raise the time limit"));
        }
        outcome?
    }
}

impl Hop {
    fn first(request: &HttpRequest) -> Result<Self> {
        let wrong_method = || {
            Error::invalid_args(format!("`{}` is not an HTTP method", request.method))
                .with_hint("use GET, HEAD, POST, PUT, PATCH or DELETE")
        };
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| wrong_method())?;
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(wrong_method());
        }
        let url = parse_url(&request.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let wrong = || Error::invalid_args(format!("`{name}` is not a header that can be set"));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            if REFUSED_HEADERS.contains(&header.as_str()) {
                return Err(wrong().with_hint("the client sets it by itself; leave it out"));
            }
            let value = HeaderValue::from_str(value).map_err(|_| {
                Error::invalid_args(format!("the value of the header `{name}` cannot be sent"))
                    .with_hint("header values are one line of text")
            })?;
            headers.append(header, value);
        }
        Ok(Self {
            method,
            url,
            headers,
            body: request.body.clone(),
        })
    }

    /// Reading needs less than sending, and a body is sent whatever the method says.
    fn wish<'a>(&'a self, headers: &'a [(String, String)]) -> Wish<'a> {
        let is_reading = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        Wish {
            permission: if is_reading && self.body.is_none() {
                Permission::Network
            } else {
                Permission::NetworkWrite
            },
            sending: Some(Sending {
                method: self.method.as_str(),
                headers,
                body: self.body.as_deref().unwrap_or_default(),
            }),
        }
    }

    async fn send(&self, client: &Client, trace: Option<TraceParent>) -> Result<Response> {
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        // One that the caller wrote is the caller's business.
        if let Some(trace) = trace
            && !self.headers.contains_key(TRACEPARENT)
        {
            request = request.header(TRACEPARENT, trace.to_string());
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request
            .send()
            .await
            .map_err(|error| failed(&self.url, error))
    }

    /// The next hop, when the response sends the caller elsewhere.
    fn redirected(&self, response: &Response) -> Result<Option<Self>> {
        let status = response.status();
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else {
            return Ok(None);
        };
        let wrong = || {
            let message = format!("`{}` redirects to something that is no address", self.url);
            Error::new(ErrorKind::Network, message)
        };
        let location = std::str::from_utf8(location.as_bytes()).map_err(|_| wrong())?;
        let url = self.url.join(location).map_err(|_| wrong())?;
        let url = parse_url(url.as_str())?;
        let mut next = Self {
            method: self.method.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            url,
        };
        let becomes_get = status == StatusCode::SEE_OTHER && self.method != Method::HEAD
            || matches!(status.as_u16(), 301 | 302) && self.method == Method::POST;
        if becomes_get {
            next.method = Method::GET;
            next.body = None;
            next.headers.remove("content-type");
        }
        if next.url.origin() != self.url.origin() {
            let harmless = next.headers.into_iter();
            next.headers = harmless_only(harmless);
        }
        Ok(Some(next))
    }
}

fn harmless_only(headers: impl Iterator<Item = (Option<HeaderName>, HeaderValue)>) -> HeaderMap {
    headers
        .filter_map(|(name, value)| Some((name?, value)))
        .filter(|(name, _)| HARMLESS_HEADERS.contains(&name.as_str()))
        .collect()
}

fn parse_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| not_a_url(text).with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("the scheme `{}` is not served", url.scheme());
        return Err(denied(
            &message,
            "only http and https addresses can be asked",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid_args("an address may not carry a password")
            .with_hint("take user and password out; `request_http` has `auth` for them, which is not logged"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(not_a_url(text));
    }
    Ok(url)
}

fn not_a_url(text: &str) -> Error {
    Error::invalid_args(format!("`{text}` is not an absolute URL"))
        .with_hint("write the whole address, such as `https://example.org/page`")
}

async fn look_up(host: String, port: u16) -> std::io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.map(|it| it.ip()).collect())
}

fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// Reads the body, decompressed, up to `max_bytes`.
async fn read_body(mut response: Response, max_bytes: u64) -> Result<Bytes> {
    let url = response.url().clone();
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failed(&url, error))?
    {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            let message = format!("the answer of `{url}` is larger than {max_bytes} bytes");
            return Err(
                Error::new(ErrorKind::LimitExceeded, message).with_hint("ask for a part of it")
            );
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failed(url: &Url, error: reqwest::Error) -> Error {
    let host = url.host_str().unwrap_or_default();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off the exchange"
    };
    let message = format!("`{host}` {what}: {cause}");
    Error::new(ErrorKind::Network, message)
        .with_hint("check the address, and whether the server is running")
        .with_source(error)
}
