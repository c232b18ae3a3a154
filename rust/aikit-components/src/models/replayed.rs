//! A model that exists in a cassette alone: its answers are recorded, its key is not here.

use std::fmt;

use aikit_core::{
    Context, Error, Result,
    model::{ChatEvent, ChatModel, ChatRequest, ChatResponse, EmbeddingModel},
};
use futures::{FutureExt as _, future::BoxFuture, stream::BoxStream};

/// Stands for a model while a cassette answers for it. Whoever asks it after that is told what it
/// lacks.
pub(super) struct Replayed {
    name: String,
    lack: Box<dyn Fn() -> Error + Send + Sync>,
}

impl Replayed {
    /// A model of this full name; `lack` says why it cannot answer by itself.
    pub(super) fn new(name: String, lack: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        let lack = Box::new(lack);
        Self { name, lack }
    }
}

impl fmt::Debug for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayed")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ChatModel for Replayed {
    fn name(&self) -> &str {
        &self.name
    }

    fn complete<'a>(
        &'a self,
        _: &'a Context,
        _: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse>> {
        async { Err((self.lack)()) }.boxed()
    }

    fn stream<'a>(
        &'a self,
        _: &'a Context,
        _: ChatRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<ChatEvent>>>> {
        async { Err((self.lack)()) }.boxed()
    }
}

impl EmbeddingModel for Replayed {
    fn name(&self) -> &str {
        &self.name
    }

    fn embed<'a>(&'a self, _: &'a Context, _: Vec<String>) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        async { Err((self.lack)()) }.boxed()
    }
}
