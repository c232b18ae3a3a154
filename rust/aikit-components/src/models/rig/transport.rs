//! The process's HTTP client as rig's transport, with a bound on what it reads.

use std::fmt;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future};
use rig_core::http_client::{
    Error, HttpClientExt, LazyBody, MultipartForm, Request, Response, Result, StreamingResponse,
};
use rig_reqwest::ReqwestClient;

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

/// Sends rig's requests. A server that never stops must not fill the memory, so even a whole
/// answer is read piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Transport(pub(super) ReqwestClient);

impl HttpClientExt for Transport {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let (client, request) = (self.0.clone(), request.map(Into::<Bytes>::into));
        async move {
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
        // Only uploads are sent so, and their answers are short.
        self.0.send_multipart(request)
    }

    async fn send_streaming<T>(&self, request: Request<T>) -> Result<StreamingResponse>
    where
        T: Into<Bytes> + Send,
    {
        let response = self
            .0
            .send_streaming(request.map(Into::<Bytes>::into))
            .await?;
        Ok(response.map(|body| -> _ { Box::pin(bounded(body)) as _ }))
    }
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
