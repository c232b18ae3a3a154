//! Adapter to rig-core: its wires as chat and embedding models, over the guarded HTTP client.

mod convert;
pub(super) mod dialect;
mod fault;
mod transport;
pub(super) mod wires;

use std::fmt;

use aikit_core::{
    Result,
    context::Context,
    io,
    model::{ChatEvent, ChatModel, ChatRequest, ChatResponse, EmbeddingModel},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use rig_core::{
    Model,
    completion::CompletionRequest,
    operation::{Completion, Embedding},
    streaming::{CompletionStream, Item, StreamEvent},
    wire::{Encoded, Wire, WireFrame},
};

use serde_json::Value as Json;

use self::fault::Link;

/// Most texts of one request for embeddings.
const EMBEDDING_BATCH: usize = 256;

/// A chat model behind a wire of rig.
struct RigChat<W> {
    link: Link,
    wire: W,
    /// What the provider takes beside what every provider takes.
    params: Option<Json>,
}

impl<W> RigChat<W> {
    /// Makes a model of a wire that speaks to `link`.
    fn new(link: Link, wire: W, params: Option<Json>) -> Self {
        Self { link, wire, params }
    }

    fn request(&self, request: ChatRequest) -> Result<CompletionRequest> {
        let mut request = convert::request(request)?;
        request.additional_params.clone_from(&self.params);
        Ok(request)
    }
}

// By hand: a wire holds the key.
impl<W> fmt::Debug for RigChat<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RigChat")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl<W> ChatModel for RigChat<W>
where
    W: Wire<Op = Completion, Payload = Encoded, Frame = WireFrame>,
{
    fn name(&self) -> &str {
        self.link.name()
    }

    fn complete<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse>> {
        async move {
            let model = Model::new(self.wire.clone(), self.link.transport(cx));
            let call = model.call(self.request(request)?);
            match cx.within(io::entered(call)).await? {
                Ok(response) => convert::response(&response, self.link.name()),
                Err(error) => Err(self.link.fault(&error)),
            }
        }
        .boxed()
    }

    fn stream<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<ChatEvent>>>> {
        async move {
            let model = Model::new(self.wire.clone(), self.link.transport(cx));
            let reply = model
                .stream(self.request(request)?)
                .map_err(|error| self.link.fault(&error))?;
            let arriving = Arriving {
                reply,
                link: self.link.clone(),
                cx: cx.clone(),
            };
            let events = stream::try_unfold(Some(arriving), |arriving| async {
                match arriving {
                    Some(arriving) => arriving.next().await.map(Some),
                    None => Ok(None),
                }
            });
            Ok(events.boxed())
        }
        .boxed()
    }
}

/// An answer that is on its way.
struct Arriving {
    reply: CompletionStream,
    link: Link,
    cx: Context,
}

impl Arriving {
    /// The next event, and what is left after it.
    async fn next(mut self) -> Result<(ChatEvent, Option<Self>)> {
        loop {
            let item = self.cx.within(io::entered(self.reply.next())).await?;
            let event = match item {
                Some(Ok(Item::Event(StreamEvent::Text { text, .. }))) => ChatEvent::Text(text),
                Some(Ok(Item::Event(StreamEvent::Reasoning { text, .. }))) => {
                    ChatEvent::Reasoning(text)
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(self.link.fault(&error)),
                None => {
                    let finished = self.cx.within(io::entered(self.reply.finish())).await?;
                    let response = finished.map_err(|error| self.link.fault(&error))?;
                    let response = convert::response(&response, self.link.name())?;
                    return Ok((ChatEvent::Done(Box::new(response)), None));
                }
            };
            return Ok((event, Some(self)));
        }
    }
}

/// An embedding model behind a wire of rig.
struct RigEmbedding<W> {
    link: Link,
    wire: W,
    batch: usize,
}

impl<W> RigEmbedding<W> {
    /// Makes a model of a wire that speaks to `link`.
    fn new(link: Link, wire: W) -> Self {
        let batch = EMBEDDING_BATCH;
        Self { link, wire, batch }
    }

    /// Sends at most `batch` texts at once.
    fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }
}

// By hand: a wire holds the key.
impl<W> fmt::Debug for RigEmbedding<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RigEmbedding")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl<W> EmbeddingModel for RigEmbedding<W>
where
    W: Wire<Op = Embedding, Payload = Encoded, Frame = WireFrame>,
{
    fn name(&self) -> &str {
        self.link.name()
    }

    fn batch_max(&self) -> usize {
        self.batch
    }

    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        async move {
            let model = Model::new(self.wire.clone(), self.link.transport(cx));
            let answered = cx.within(io::entered(model.call(texts))).await?;
            let answered = answered.map_err(|error| self.link.fault(&error))?;
            let vectors = answered.embeddings.into_iter();
            Ok(vectors.map(|it| narrowed(&it.vec)).collect())
        }
        .boxed()
    }
}

/// Providers compute in single precision or less; JSON only writes it as double.
#[expect(
    clippy::cast_possible_truncation,
    reason = "documented on this function"
)]
fn narrowed(vector: &[f64]) -> Vec<f32> {
    vector.iter().map(|number| *number as f32).collect()
}
