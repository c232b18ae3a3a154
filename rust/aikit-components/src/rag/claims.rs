//! What an index is made with, which its store remembers: the first one to open it decides.

use aikit_core::{
    Context, Error, ErrorKind, Result,
    storage::{Batch, DocumentStore, EmbedderSettings, KeyValueStore},
};
use bytes::Bytes;

use super::{RagOptions, embedding::EmbedInput, keyword::Language};

/// Where a store keeps the language.
const LANGUAGE_KEY: &str = "rag/language";

/// The language of an index that was never given one.
const LANGUAGE: &str = "english";

/// Makes the language the store's own, or refuses one that is not.
///
/// # Errors
///
/// `config` for another language, those of the store.
pub(super) async fn language(
    keys: &dyn KeyValueStore,
    given: Option<Language>,
) -> Result<Language> {
    loop {
        if let Some(record) = keys.get(LANGUAGE_KEY).await? {
            let stored = Language::find(&String::from_utf8_lossy(&record.value))?;
            return match given {
                Some(given) if given != stored => Err(other_language(stored, given)),
                _ => Ok(stored),
            };
        }
        let first = given.map_or_else(|| Language::find(LANGUAGE), Ok)?;
        let batch = Batch {
            expect: vec![(LANGUAGE_KEY.to_owned(), None)],
            puts: vec![(LANGUAGE_KEY.to_owned(), Bytes::from(first.name))],
            ..Batch::default()
        };
        match keys.apply(batch).await {
            Ok(_) => return Ok(first),
            // Another one has opened it at the same time: what they wrote counts.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
}

fn other_language(stored: Language, given: Language) -> Error {
    let (stored, given) = (stored.name, given.name);
    let message = format!("the index was made for the language `{stored}`, not for `{given}`");
    Error::new(ErrorKind::Config, message)
        .with_hint("open it without a language, or ingest the documents into another index")
}

/// Makes the embedder the store's own, or refuses one that is not.
pub(super) async fn embedder(
    cx: &Context,
    store: &dyn DocumentStore,
    options: &RagOptions,
) -> Result<EmbedderSettings> {
    let embedder = &options.embedder.0;
    let check = |stored: EmbedderSettings, dimension: Option<usize>| {
        let is_same = dimension.is_none_or(|it| it == stored.dimension);
        if stored.name == embedder.name() && is_same {
            return Ok(stored);
        }
        let given = dimension.map_or(String::new(), |it| format!(" of dimension {it}"));
        let message = format!(
            "the store was made with the embedder `{}` of dimension {}, not with `{}`{given}",
            stored.name,
            stored.dimension,
            embedder.name()
        );
        Err(Error::new(ErrorKind::Config, message).with_hint(format!(
            "open it with `{}`, or ingest the documents into another file",
            stored.name
        )))
    };
    if let Some(stored) = store.embedder().await? {
        return check(stored, embedder.dimension());
    }
    let dimension = match embedder.dimension() {
        Some(dimension) => dimension,
        None => probe(cx, options).await?,
    };
    let settings = EmbedderSettings {
        name: embedder.name().to_owned(),
        dimension,
    };
    check(store.claim(settings).await?, Some(dimension))
}

/// Asks a model for one vector to learn its length.
async fn probe(cx: &Context, options: &RagOptions) -> Result<usize> {
    let input = EmbedInput {
        text: "dimension".to_owned(),
        above: Vec::new(),
    };
    let embedder = &options.embedder.0;
    let answer = cx.within(embedder.embed(cx, vec![input])).await??;
    let length = answer.first().map_or(0, |it| it.vector.len());
    if length == 0 {
        let message = format!("`{}` answered an empty vector", embedder.name());
        return Err(Error::new(ErrorKind::BadResponse, message)
            .with_hint("check the model or function that embeds"));
    }
    Ok(length)
}
