//! The guarded HTTP client as rig's transport, with a bound on what it reads.

use std::{fmt, sync::Arc};

use aikit_core::{Context, services::Permission, span::TRACEPARENT, telemetry};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future};
use reqwest::header::HeaderValue;
use rig_core::http_client::{
    Error, HttpClientExt, LazyBody, MultipartForm, Request, Response, StreamingResponse,
};
use rig_reqwest::ReqwestClient;
use url::Url;

use crate::http::GuardedClient;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest body of one answer in bytes, after decompression: about 250,000 streamed tokens, or
/// one batch of embeddings several times over.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;

/// The body of an answer was longer than [`BODY_BYTES_MAX`].
#[derive(Debug)]
pub(super) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is longer than {BODY_BYTES_MAX} bytes")
    }
}

impl std::error::Error for TooLong {}

/// A request that the guard did not let out, or whose host is not known.
#[derive(Debug)]
pub(super) struct Refused(pub(super) aikit_core::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// A key that goes into a header instead of the query `key` of the address: addresses are shown
/// and logged.
#[derive(Clone)]
pub(super) struct KeyHeader {
    pub(super) name: &'static str,
    pub(super) key: String,
}

// By hand: it holds the key.
impl fmt::Debug for KeyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHeader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Sends the requests of one call of a model. A server that never stops must not fill the memory,
/// so even a whole answer is read piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Arc<GuardedClient>,
    cx: Context,
    key: Option<KeyHeader>,
}

impl Transport {
    pub(super) fn new(http: Arc<GuardedClient>, cx: Context, key: Option<KeyHeader>) -> Self {
        Self { http, cx, key }
    }

    /// The request with its place in the trace, and its key where it belongs.
    fn signed<T>(&self, mut request: Request<T>) -> Result<Request<T>, Box<Error>> {
        if let Some(trace) = telemetry::traceparent(&self.cx) {
            let value = HeaderValue::from_str(&trace.to_string()).map_err(boxed)?;
            request.headers_mut().insert(TRACEPARENT, value);
        }
        let Some(KeyHeader { name, key }) = &self.key else {
            return Ok(request);
        };
        let mut url = Url::parse(&request.uri().to_string()).map_err(boxed)?;
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| name != "key")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        *request.uri_mut() = url.as_str().parse().map_err(boxed)?;
        let value = HeaderValue::from_str(key).map_err(boxed)?;
        request.headers_mut().insert(*name, value);
        Ok(request)
    }

    /// A client that reaches the host of `request` and nothing else.
    async fn client<T>(&self, request: &Request<T>) -> Result<ReqwestClient> {
        let refused = |error| Error::instance(Refused(error));
        // User and password travel as a header; neither the policy nor its records need them.
        let mut url = request.uri().to_string();
        if let Ok(mut plain) = Url::parse(&url)
            && plain.set_username("").is_ok()
            && plain.set_password(None).is_ok()
        {
            url = plain.into();
        }
        let client = self
            .http
            .client_for(&self.cx, Permission::Model, &url)
            .await;
        client.map(ReqwestClient::from).map_err(refused)
    }
}

impl HttpClientExt for Transport {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let (transport, request) = (self.clone(), request.map(Into::<Bytes>::into));
        async move {
            let request = transport.signed(request).map_err(|error| *error)?;
            let client = transport.client(&request).await?;
            let response = client.send_streaming(request).await?;
            Ok(response.map(|body| -> LazyBody<U> {
                Box::pin(async move {
                    let whole: BytesMut = bounded(body).try_collect().await?;
                    Ok(U::from(whole.freeze()))
                })
            }))
        }
    }

    fn send_multipart<U>(
        &self,
        request: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        let transport = self.clone();
        // Only uploads are sent so, and their answers are short.
        async move {
            transport
                .client(&request)
                .await?
                .send_multipart(request)
                .await
        }
    }

    async fn send_streaming<T>(&self, request: Request<T>) -> Result<StreamingResponse>
    where
        T: Into<Bytes> + Send,
    {
        let request = request.map(Into::<Bytes>::into);
        let request = self.signed(request).map_err(|error| *error)?;
        let response = self.client(&request).await?.send_streaming(request).await?;
        Ok(response.map(|body| -> _ { Box::pin(bounded(body)) as _ }))
    }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> Box<Error> {
    Box::new(Error::instance(error))
}

/// The same pieces, but an error instead of the one too many.
fn bounded(
    body: impl Stream<Item = Result<Bytes>> + Send,
) -> impl Stream<Item = Result<Bytes>> + Send {
    body.scan(0, |length, piece| {
        *length += piece.as_ref().map_or(0, Bytes::len);
        let piece = if *length > BODY_BYTES_MAX {
            Err(Error::instance(TooLong))
        } else {
            piece
        };
        future::ready(Some(piece))
    })
}
