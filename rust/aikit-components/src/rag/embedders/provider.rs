//! `provider`: an embedding model of a provider.

use std::sync::Arc;

use aikit_core::{Context, Error, ErrorKind, Result, model::EmbeddingModel, storage::Embedded};
use futures::{FutureExt as _, future::BoxFuture};

use crate::{
    models,
    rag::embedding::{Embed, EmbedInput},
};

/// Texts of one request; providers take a hundred and more.
const BATCH_TEXTS: usize = 64;

#[derive(Debug)]
pub(super) struct Provider(Arc<dyn EmbeddingModel>);

impl Provider {
    pub(super) fn new(model: Arc<dyn EmbeddingModel>) -> Self {
        Self(model)
    }
}

impl Embed for Provider {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dimension(&self) -> Option<usize> {
        None
    }

    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        inputs: Vec<EmbedInput>,
    ) -> BoxFuture<'a, Result<Vec<Embedded>>> {
        async move {
            let texts: Vec<String> = inputs.into_iter().map(EmbedInput::into_text).collect();
            let mut embedded = Vec::with_capacity(texts.len());
            for batch in texts.chunks(BATCH_TEXTS) {
                let vectors = models::embed(cx, &self.0, batch.to_vec()).await?;
                if vectors.len() != batch.len() {
                    let message = format!(
                        "`{}` answered {} vectors for {} texts",
                        self.0.name(),
                        vectors.len(),
                        batch.len()
                    );
                    return Err(Error::new(ErrorKind::BadResponse, message)
                        .with_hint("use another embedding model or server"));
                }
                let vectors = vectors.into_iter().map(|vector| Embedded {
                    vector,
                    terms: Vec::new(),
                });
                embedded.extend(vectors);
            }
            Ok(embedded)
        }
        .boxed()
    }
}
