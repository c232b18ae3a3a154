//! Adapter to rig-core: its wires as chat and embedding models, over the guarded HTTP client.

mod convert;
mod fault;
mod transport;

use std::fmt;

use aikit_core::{
    Error, ErrorKind, Result,
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
    operation::{Completion, Embedding},
    streaming::{CompletionStream, Item, StreamEvent},
    wire::{Encoded, Wire, WireFrame},
};

pub(super) use self::fault::Link;

/// Texts embedded in one request.
const EMBEDDING_BATCH: usize = 256;

/// A chat model behind a wire of rig.
pub(super) struct RigChat<W> {
    link: Link,
    wire: W,
}

impl<W> RigChat<W> {
    /// Makes a model of a wire that speaks to `link`.
    pub(super) fn new(link: Link, wire: W) -> Self {
        Self { link, wire }
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
            let call = model.call(convert::request(request)?);
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
                .stream(convert::request(request)?)
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
pub(super) struct RigEmbedding<W> {
    link: Link,
    wire: W,
}

impl<W> RigEmbedding<W> {
    /// Makes a model of a wire that speaks to `link`.
    pub(super) fn new(link: Link, wire: W) -> Self {
        Self { link, wire }
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

    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        async move {
            let model = Model::new(self.wire.clone(), self.link.transport(cx));
            let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(texts.len());
            for batch in texts.chunks(EMBEDDING_BATCH) {
                let call = model.call(batch.to_vec());
                let answered = cx.within(io::entered(call)).await?;
                let answered = answered.map_err(|error| self.link.fault(&error))?;
                vectors.extend(answered.embeddings.into_iter().map(|it| narrowed(&it.vec)));
            }
            let dimension = vectors.first().map_or(0, Vec::len);
            if vectors.len() == texts.len() && vectors.iter().all(|it| it.len() == dimension) {
                return Ok(vectors);
            }
            let message = format!(
                "`{}` answered {} vectors for {} texts, or vectors of different dimensions",
                self.link.name(),
                vectors.len(),
                texts.len()
            );
            Err(Error::new(ErrorKind::BadResponse, message))
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
