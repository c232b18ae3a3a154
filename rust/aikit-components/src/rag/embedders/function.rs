//! `function`: a function of a script that takes a list of texts and answers a list of vectors.

use std::sync::Arc;

use aikit_core::{Context, Error, Result, Value, script::Callable, storage::Embedded};
use futures::{FutureExt as _, future::BoxFuture};

use crate::rag::embedding::{Embed, EmbedInput};

/// Texts of one call.
const BATCH_TEXTS: usize = 64;

#[derive(Debug)]
pub(super) struct Function {
    name: String,
    dimension: usize,
    callable: Arc<dyn Callable>,
}

impl Function {
    pub(super) fn new(name: String, dimension: usize, callable: Arc<dyn Callable>) -> Self {
        Self {
            name,
            dimension,
            callable,
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::invalid_args(format!("the embedder `{}` answered {what}", self.name)).with_hint(
            format!(
                "answer a list with one list of {} numbers for each text",
                self.dimension
            ),
        )
    }

    fn vector(&self, value: &Value) -> Result<Vec<f32>> {
        let numbers = value
            .as_list()
            .ok_or_else(|| self.wrong(&format!("`{}` for a vector", value.type_name())))?;
        let vector = numbers.iter().map(|number| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "vectors are kept in 32 bits"
            )]
            let narrowed = number.as_f64().map(|it| it as f32);
            narrowed.ok_or_else(|| self.wrong(&format!("`{}` in a vector", number.type_name())))
        });
        vector.collect()
    }
}

impl Embed for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> Option<usize> {
        Some(self.dimension)
    }

    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        inputs: Vec<EmbedInput>,
    ) -> BoxFuture<'a, Result<Vec<Embedded>>> {
        async move {
            let texts: Vec<Value> = inputs
                .into_iter()
                .map(|input| Value::from(input.into_text()))
                .collect();
            let mut embedded = Vec::with_capacity(texts.len());
            for batch in texts.chunks(BATCH_TEXTS) {
                let args = vec![Value::List(batch.to_vec())];
                let answer = self.callable.call(cx, args).await?;
                let vectors = answer
                    .as_list()
                    .ok_or_else(|| self.wrong(&format!("`{}`", answer.type_name())))?;
                if vectors.len() != batch.len() {
                    let what = format!("{} vectors for {} texts", vectors.len(), batch.len());
                    return Err(self.wrong(&what));
                }
                for vector in vectors {
                    embedded.push(Embedded {
                        vector: self.vector(vector)?,
                        terms: Vec::new(),
                    });
                }
            }
            Ok(embedded)
        }
        .boxed()
    }
}
