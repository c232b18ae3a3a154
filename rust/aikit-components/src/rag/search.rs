//! Search: by vectors, by words, or by both; of all documents, or of those that a filter keeps.

use std::sync::Arc;

use aikit_core::{
    Context, Error, Result, Value, io,
    storage::{Scored, StoredChunk},
    value::Map,
};
use serde::{Deserialize, Serialize};

use super::{
    Inner,
    embedding::EmbedInput,
    filter::Filter,
    fuse::{self, Fused, Fusion, Weights},
    ids::Ids,
    stage::{self, RERANK, SEARCH, stage},
};
use crate::nearest;

/// Every kind of search, by name.
pub const MODES: &[&str] = &["hybrid", "dense", "keyword"];

/// Every way to make one order of two, by name.
pub const FUSIONS: &[&str] = &["convex", "rrf"];

/// Hits of a search that names no number.
pub const K_DEFAULT: usize = 5;

/// Most hits of a search.
pub const K_MAX: usize = 1_000;

/// How many chunks each kind of search hands to the fusion, for each hit and at least.
const CANDIDATES_PER_HIT: usize = 5;
const CANDIDATES_MIN: usize = 100;

/// Share of the vectors in a fused score: of those that compare meaning, and of those that compare
/// spelling as the words do.
const DENSE_WEIGHT: f32 = 0.5;
const DENSE_WEIGHT_LEXICAL: f32 = 0.1;

/// What a question is compared with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Vectors and words, and the two orders fused.
    #[default]
    Hybrid,
    /// The vectors of the embedder.
    Dense,
    /// The words, by BM25; needs no embedder at all.
    Keyword,
}

/// How to search.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// Number of hits, 1 to 1000.
    pub k: usize,
    /// What the question is compared with.
    pub mode: Mode,
    /// How the two orders of a hybrid search become one.
    pub fusion: Fusion,
    /// Share of the vectors in a fused score, 0 to 1; 0.5 when left out. With the embedder `lexical`,
    /// which weighs the same words, they then count for what the words did not find, a tenth.
    pub dense_weight: Option<f32>,
    /// Hits with a lower score are left out.
    pub min_score: Option<f32>,
    /// Which documents are searched, by their metadata.
    pub filter: Map,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            k: K_DEFAULT,
            mode: Mode::default(),
            fusion: Fusion::default(),
            dense_weight: None,
            min_score: None,
            filter: Map::new(),
        }
    }
}

impl SearchOptions {
    /// Reads options as a script or a program gives them.
    ///
    /// # Errors
    ///
    /// `invalid_args` that names the option which does not fit.
    pub fn from_value(given: Value) -> Result<Self> {
        check_word(&given, "mode", MODES)?;
        check_word(&given, "fusion", FUSIONS)?;
        given.deserialize().map_err(|error| {
            error.with_hint(
                "the options are `k`, `mode`, `fusion`, `dense_weight`, `min_score`, `filter`",
            )
        })
    }
}

/// Checks an option that is one of a few words.
pub(super) fn check_word(given: &Value, option: &str, words: &[&str]) -> Result<()> {
    let Some(word) = given.get(option).and_then(Value::as_str) else {
        return Ok(());
    };
    if words.contains(&word) {
        return Ok(());
    }
    let all = format!("use one of {}", words.join(", "));
    let hint = nearest::hint(word, words.iter().copied(), all);
    Err(Error::invalid_args(format!("`{option}` is `{word}`")).with_hint(hint))
}

/// What each kind of search said of a hit.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StageScores {
    /// Nearness of the vectors; none when it was not among the nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<f32>,
    /// BM25 of the words; none when it was not among the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<f32>,
}

/// A chunk that a search found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Hit {
    /// Identity of the chunk: its document and its place there.
    pub id: String,
    /// The text.
    pub text: String,
    /// How well it fits; higher is better. Comparable within one answer only.
    pub score: f32,
    /// What each kind of search said of it, in its own measure.
    #[serde(default)]
    pub scores: StageScores,
    /// Path or id of the document.
    pub source: String,
    /// Title of the document.
    pub title: Option<String>,
    /// Headings above the text, outermost first.
    pub headings: Vec<String>,
    /// First character of the text in the document.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// What is known about the document.
    pub metadata: Map,
}

/// Finds the chunks that fit a question best, best first.
pub(super) async fn run(
    inner: &Inner,
    cx: &Context,
    query: &str,
    options: SearchOptions,
) -> Result<Vec<Hit>> {
    check(query, &options)?;
    let filter = if options.filter.is_empty() {
        None
    } else {
        Some(Filter::parse(&options.filter)?)
    };
    let seen = inner.store.history().await?.sequence;
    let kept = match filter {
        None => None,
        Some(filter) => Some(inner.labels.kept(filter, seen).await?),
    };
    if kept.as_ref().is_some_and(|it| it.is_empty()) {
        return Ok(Vec::new());
    }
    let found = find(inner, cx, query, (&options, kept), seen).await?;
    let about = ("aikit.rag.candidates", found.count());
    stage(cx, RERANK, about, |cx| async move {
        let fused = found.fused(inner, &options);
        let hits = hits(inner, query, fused, &options).await?;
        stage::note(&cx, "aikit.rag.hits", hits.len());
        Ok(hits)
    })
    .await
}

/// What each kind of search found, best first.
enum Found {
    /// One kind alone; whether it was the vectors.
    Alone(Vec<Scored>, bool),
    /// By vectors and by words; how many of them are wanted.
    Both(Vec<Scored>, Vec<Scored>, usize),
}

impl Found {
    fn count(&self) -> usize {
        match self {
            Self::Alone(list, _) => list.len(),
            Self::Both(dense, keyword, _) => dense.len() + keyword.len(),
        }
    }

    /// All candidates, best first.
    fn fused(self, inner: &Inner, options: &SearchOptions) -> Vec<Fused> {
        match self {
            Self::Alone(list, is_dense) => {
                let fused = list.into_iter().map(|hit| Fused {
                    id: hit.id,
                    score: hit.score,
                    dense: is_dense.then_some(hit.score),
                    keyword: (!is_dense).then_some(hit.score),
                });
                fused.collect()
            }
            Self::Both(dense, keyword, candidates) => {
                let weights = options
                    .dense_weight
                    .map_or_else(|| inner.weights(), Weights::Shared);
                fuse::fuse(options.fusion, (&dense, &keyword), candidates, weights)
            }
        }
    }
}

/// The candidates of each kind of search.
async fn find(
    inner: &Inner,
    cx: &Context,
    query: &str,
    (options, kept): (&SearchOptions, Option<Arc<Ids>>),
    seen: u64,
) -> Result<Found> {
    let candidates = match options.mode {
        Mode::Hybrid => (options.k * CANDIDATES_PER_HIT).max(CANDIDATES_MIN),
        Mode::Dense | Mode::Keyword => options.k,
    };
    let wanted = (candidates, kept);
    let dense = async {
        let input = EmbedInput {
            text: query.to_owned(),
            above: Vec::new(),
        };
        let embedded = inner.embed(cx, vec![input]).await?;
        let question = embedded.into_iter().next().unwrap_or_default();
        stage(cx, SEARCH, ("aikit.rag.mode", "dense"), |_| {
            inner.derived.search(question, wanted.clone(), seen)
        })
        .await
    };
    let by_words = wanted.clone();
    let keyword = stage(cx, SEARCH, ("aikit.rag.mode", "keyword"), |cx| async move {
        inner.keyword.search(&cx, query, by_words, seen).await
    });
    match options.mode {
        Mode::Dense => Ok(Found::Alone(dense.await?, true)),
        Mode::Keyword => Ok(Found::Alone(keyword.await?, false)),
        Mode::Hybrid => {
            let (dense, keyword) = futures::try_join!(dense, keyword)?;
            Ok(Found::Both(dense, keyword, candidates))
        }
    }
}

/// Which of the chunks are hits: what the words found, and what the vectors say something about.
async fn alike<'a>(
    inner: &Inner,
    query: &str,
    chunks: &[StoredChunk],
    found: impl Fn(&StoredChunk) -> Option<&'a Fused>,
) -> Result<Vec<bool>> {
    let embedder = Arc::clone(&inner.options.embedder.0);
    let is_doubtful = |it: &Fused| {
        it.keyword.is_none() && it.dense.is_none_or(|score| embedder.is_doubtful(score))
    };
    let doubted: Vec<bool> = chunks
        .iter()
        .map(|chunk| found(chunk).is_some_and(is_doubtful))
        .collect();
    if !doubted.contains(&true) {
        return Ok(vec![true; chunks.len()]);
    }
    let texts = chunks.iter().zip(&doubted).filter(|(_, it)| **it);
    let texts = texts.map(|(chunk, _)| {
        let title = chunk.title.iter().map(String::as_str);
        let above = title.chain(chunk.headings.iter().map(String::as_str));
        above
            .chain([chunk.text.as_str()])
            .collect::<Vec<_>>()
            .join("\n")
    });
    let (texts, question): (Vec<String>, _) = (texts.collect(), query.to_owned());
    let looked = io::spawn_blocking(move || Ok(embedder.alike(&question, &texts))).await?;
    let mut looked = looked.into_iter();
    let answers = doubted
        .into_iter()
        .map(|it| !it || looked.next().unwrap_or(true));
    Ok(answers.collect())
}

/// The first `k` candidates that are still there, with their texts.
async fn hits(
    inner: &Inner,
    query: &str,
    mut fused: Vec<Fused>,
    options: &SearchOptions,
) -> Result<Vec<Hit>> {
    if let Some(least) = options.min_score {
        fused.retain(|it| it.score >= least);
    }
    let mut hits = Vec::with_capacity(options.k.min(fused.len()));
    let mut rest = fused.as_slice();
    // A chunk may have gone since it was found; the next one takes its place.
    while hits.len() < options.k && !rest.is_empty() {
        let (next, later) = rest.split_at((options.k - hits.len()).min(rest.len()));
        rest = later;
        let ids = next.iter().map(|it| it.id).collect();
        let chunks = inner.store.fetch(ids).await?;
        let found = |chunk: &StoredChunk| next.iter().find(|it| it.id == chunk.id);
        let alike = alike(inner, query, &chunks, found).await?;
        for (chunk, _) in chunks
            .into_iter()
            .zip(alike)
            .filter(|(_, is_alike)| *is_alike)
        {
            let Some(found) = found(&chunk) else {
                continue;
            };
            hits.push(Hit {
                id: format!("{}#{}", chunk.document_id, chunk.position),
                text: chunk.text,
                score: found.score,
                scores: StageScores {
                    dense: found.dense,
                    keyword: found.keyword,
                },
                source: chunk.document_id,
                title: chunk.title,
                headings: chunk.headings,
                start: chunk.start,
                end: chunk.end,
                metadata: chunk.metadata,
            });
        }
    }
    Ok(hits)
}

impl Inner {
    /// How much the vectors count in a fused score, where nobody asks for a share.
    fn weights(&self) -> Weights {
        if self.options.embedder.0.is_semantic() {
            Weights::Shared(DENSE_WEIGHT)
        } else {
            Weights::Rest(DENSE_WEIGHT_LEXICAL)
        }
    }
}

/// Refuses a number of hits that is out of its range.
pub(super) fn check_k(k: usize) -> Result<()> {
    if (1..=K_MAX).contains(&k) {
        return Ok(());
    }
    Err(Error::invalid_args(format!("`k` is `{k}`"))
        .with_hint(format!("ask for 1 to {K_MAX} hits")))
}

fn check(query: &str, options: &SearchOptions) -> Result<()> {
    check_k(options.k)?;
    if query.trim().is_empty() {
        return Err(Error::invalid_args("the question is empty")
            .with_hint("say in some words what to look for"));
    }
    if let Some(weight) = options.dense_weight.filter(|it| !(0.0..=1.0).contains(it)) {
        return Err(Error::invalid_args(format!("`dense_weight` is `{weight}`"))
            .with_hint("use 0 (words alone) to 1 (vectors alone)"));
    }
    if options.min_score.is_some_and(f32::is_nan) {
        return Err(
            Error::invalid_args("`min_score` is no number").with_hint("use a number such as 0.3")
        );
    }
    Ok(())
}
