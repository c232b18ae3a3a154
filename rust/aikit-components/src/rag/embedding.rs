//! What an embedder is: it turns chunks and questions into vectors of one length.

use std::collections::HashMap;

use aikit_core::{
    Context, Result,
    storage::{ChunkId, Embedded, Metric, Term},
};
use futures::future::BoxFuture;

/// A text with what stands above it, as an embedder is given it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct EmbedInput {
    pub(super) text: String,
    /// Title of the document and headings, outermost first.
    pub(super) above: Vec<String>,
}

impl EmbedInput {
    /// The input of a chunk: its text below its headings, and below the title of the document
    /// unless the outermost heading is the title.
    pub(super) fn of(title: Option<&str>, headings: &[String], text: &str) -> Self {
        let title = title.filter(|title| headings.first().map(String::as_str) != Some(title));
        let title = title.map(str::to_owned).into_iter();
        Self {
            text: text.to_owned(),
            above: title.chain(headings.iter().cloned()).collect(),
        }
    }

    /// Everything in one text, for embedders that take no more.
    pub(super) fn into_text(self) -> String {
        if self.above.is_empty() {
            return self.text;
        }
        format!("{}\n\n{}", self.above.join(" > "), self.text)
    }
}

/// Turns texts into vectors.
pub(super) trait Embed: std::fmt::Debug + Send + Sync {
    /// Name that a store remembers.
    fn name(&self) -> &str;

    /// Length of the vectors, where it is known before the first one.
    fn dimension(&self) -> Option<usize>;

    /// Makes it ready, so that what is missing is said when an index is opened.
    fn prepare<'a>(&'a self, _cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How nearness of its vectors is measured.
    fn metric(&self) -> Metric {
        Metric::Cosine
    }

    /// Whether near vectors mean alike texts; else they are only spelt alike, and a search that
    /// also looks for words gives them less weight.
    fn is_semantic(&self) -> bool {
        true
    }

    /// Whether a score may say nothing at all, so that [`Embed::alike`] has to look.
    fn is_doubtful(&self, _score: f32) -> bool {
        false
    }

    /// Which of the texts have anything in common with the question.
    fn alike(&self, _question: &str, texts: &[String]) -> Vec<bool> {
        vec![true; texts.len()]
    }

    /// Embeds texts, one answer for each, in order.
    fn embed<'a>(
        &'a self,
        cx: &'a Context,
        inputs: Vec<EmbedInput>,
    ) -> BoxFuture<'a, Result<Vec<Embedded>>>;

    /// How chunks are weighed by what the whole store holds; `None` when they are not.
    fn weigher(&self) -> Option<&dyn Weigh> {
        None
    }
}

/// An embedder whose vectors depend on how many chunks have each term.
pub(super) trait Weigh: Send + Sync {
    /// The row of a chunk in the vector index.
    fn row(&self, chunk: &Embedded, statistics: &Statistics) -> Vec<f32>;

    /// The vector of a question.
    fn question(&self, question: &Embedded, statistics: &Statistics) -> Vec<f32>;

    /// The exact score of a chunk that the index found with `score`.
    fn score(
        &self,
        question: &Embedded,
        chunk: &[Term],
        score: f32,
        statistics: &Statistics,
    ) -> f32;
}

/// What all chunks together say about each term.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    terms: HashMap<ChunkId, Box<[Term]>>,
    chunks_with: HashMap<u32, u32>,
    length: f64,
}

impl Statistics {
    /// Number of chunks that are counted.
    pub(super) fn chunks(&self) -> usize {
        self.terms.len()
    }

    /// The terms of a chunk.
    pub(super) fn terms(&self, id: ChunkId) -> Option<&[Term]> {
        self.terms.get(&id).map(|terms| &**terms)
    }

    /// Counts a chunk.
    pub(super) fn add(&mut self, id: ChunkId, terms: Vec<Term>) {
        self.remove(id);
        for term in &terms {
            *self.chunks_with.entry(term.hash).or_default() += 1;
        }
        self.length += f64::from(length(&terms));
        self.terms.insert(id, terms.into_boxed_slice());
    }

    /// Forgets a chunk.
    pub(super) fn remove(&mut self, id: ChunkId) {
        let Some(terms) = self.terms.remove(&id) else {
            return;
        };
        for term in &terms {
            if let Some(count) = self.chunks_with.get_mut(&term.hash) {
                *count -= 1;
                if *count == 0 {
                    self.chunks_with.remove(&term.hash);
                }
            }
        }
        self.length -= f64::from(length(&terms));
    }

    /// How much a term tells: high for one that few chunks have, 0 for one that none has.
    /// Source: Robertson & Zaragoza 2009, the inverse document frequency of BM25.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^24")]
    pub(super) fn weight(&self, hash: u32) -> f32 {
        let Some(with) = self.chunks_with.get(&hash).map(|count| *count as f32) else {
            return 0.0;
        };
        let all = self.terms.len() as f32;
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    /// Mean length of a chunk in terms; 1 when there are none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean needs no more digits"
    )]
    pub(super) fn mean_length(&self) -> f32 {
        if self.terms.is_empty() {
            return 1.0;
        }
        ((self.length / self.terms.len() as f64) as f32).max(1.0)
    }
}

/// Length of a chunk in terms.
pub(super) fn length(terms: &[Term]) -> f32 {
    terms.iter().map(|term| term.weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(hashes: &[u32]) -> Vec<Term> {
        let terms = hashes.iter().map(|hash| Term {
            hash: *hash,
            weight: 2.0,
        });
        terms.collect()
    }

    #[test]
    fn what_is_removed_leaves_no_trace() {
        let mut with = Statistics::default();
        with.add(1, terms(&[1, 2, 3]));
        with.add(2, terms(&[2, 3]));
        with.add(3, terms(&[9]));
        with.add(2, terms(&[2]));
        with.remove(3);
        with.remove(7);
        let mut without = Statistics::default();
        without.add(2, terms(&[2]));
        without.add(1, terms(&[1, 2, 3]));
        for hash in 0..10 {
            assert!((with.weight(hash) - without.weight(hash)).abs() < 1e-6);
        }
        assert!((with.mean_length() - 4.0).abs() < 1e-6);
        assert!(with.weight(1) > with.weight(2), "the rarer term tells more");
    }
}
