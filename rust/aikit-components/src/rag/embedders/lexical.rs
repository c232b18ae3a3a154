//! `lexical`: hashed stemmed words and parts of words, projected to 1,024 numbers.
//!
//! It compares spelling, not meaning. A chunk keeps its words as hashed terms with their counts,
//! which do not depend on other chunks; how much a word tells is counted over the whole store
//! when the index is made, so documents can come and go in any order. The index finds candidates
//! by the projection (Achlioptas 2003: a sparse matrix of signs keeps dot products); the
//! candidates are then scored by BM25 on the terms themselves, free of the projection's noise.

use std::collections::{HashMap, HashSet};

use aikit_core::{
    Context, Result, io,
    storage::{Embedded, Metric, Term},
};
use futures::{FutureExt as _, future::BoxFuture};
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::rag::embedding::{Embed, EmbedInput, Statistics, Weigh, length};

/// Name that stores remember; the number changes when the vectors do.
pub(super) const NAME: &str = "lexical";

/// Length of the vectors.
const DIMENSION: usize = 1_024;

/// Numbers of a vector that one term touches.
const SIGNS: usize = 8;

/// Lengths of the parts of words, in characters.
const PART_CHARACTERS: std::ops::RangeInclusive<usize> = 3..=5;

/// Weight of the parts of a word against the word.
const PARTS_WEIGHT: f32 = 0.25;

/// Longest word that is cut into parts: what is longer is data.
const PARTS_WORD_MAX: usize = 40;

/// BM25: how soon more of one word stops to count. Source: Robertson & Zaragoza 2009.
const SATURATION: f32 = 1.2;

/// BM25: how far a long chunk is held to have its words because it is long.
const LENGTH_CORRECTION: f32 = 0.75;

/// Weight of the projection's score beside the exact one: it decides between chunks that share
/// no whole word with the question.
const PROJECTION_WEIGHT: f32 = 0.01;

/// How much of their parts two words share at least, one of which is the other misspelt: 0 to 1.
const ALIKE: f32 = 0.25;

/// Words that say how a sentence is built and nothing about what; the list of the Snowball
/// project's English stemmer, with the verbs that questions are made of.
pub(in crate::rag) const STOP_WORDS: &str = "a about above after again against ain all also am an and another any are \
    aren as at be because been before being below between both but by can cannot could couldn d did \
    didn do does doesn doing don done down during each few for from further get got had hadn has \
    hasn have haven having he her here hers herself him himself his how i if in into is isn it its \
    itself just let ll m make may me might more most must mustn my myself need no nor not now of \
    off on once one only or other ought our ours ourselves out over own re s same shall shan she \
    should shouldn so some such t than that the their theirs them themselves then there these they \
    this those through to too under until up use ve very want was wasn way we were weren what when \
    where which while who whom why will with won would wouldn you your yours yourself yourselves";

/// The embedder.
#[derive(Debug)]
pub(super) struct Lexical;

impl Embed for Lexical {
    fn name(&self) -> &str {
        NAME
    }

    fn dimension(&self) -> Option<usize> {
        Some(DIMENSION)
    }

    fn metric(&self) -> Metric {
        Metric::Dot
    }

    fn is_semantic(&self) -> bool {
        false
    }

    fn embed<'a>(
        &'a self,
        _cx: &'a Context,
        inputs: Vec<EmbedInput>,
    ) -> BoxFuture<'a, Result<Vec<Embedded>>> {
        io::spawn_blocking(move || {
            let mut words = Words::default();
            Ok(inputs.iter().map(|it| words.embed(it)).collect())
        })
        .boxed()
    }

    fn weigher(&self) -> Option<&dyn Weigh> {
        Some(self)
    }

    /// Without a whole word in common, a score is that of the projection, which is mostly noise.
    fn is_doubtful(&self, score: f32) -> bool {
        score <= PROJECTION_WEIGHT
    }

    fn alike(&self, question: &str, texts: &[String]) -> Vec<bool> {
        let mut words = Words::default();
        let mut asked = Vec::new();
        words.each(question, |word| asked.push(word.clone()));
        let is_alike = |text: &String| {
            let mut found = false;
            words.each(text, |word| {
                found = found || asked.iter().any(|it| it.is_alike(word));
            });
            found
        };
        texts.iter().map(is_alike).collect()
    }
}

impl Weigh for Lexical {
    fn row(&self, chunk: &Embedded, statistics: &Statistics) -> Vec<f32> {
        let length = length(&chunk.terms);
        let mut row = chunk.vector.clone();
        row.resize(DIMENSION, 0.0);
        for term in &chunk.terms {
            // The other root is on the question's side: split like this, the words that tell
            // little add the least noise.
            let weight = statistics.weight(term.hash).sqrt();
            let count = saturated(term.weight, length, statistics.mean_length());
            project(term.hash, weight * count, &mut row);
        }
        row
    }

    fn question(&self, question: &Embedded, statistics: &Statistics) -> Vec<f32> {
        let mut row = question.vector.clone();
        row.resize(DIMENSION, 0.0);
        for term in &question.terms {
            project(term.hash, statistics.weight(term.hash).sqrt(), &mut row);
        }
        row
    }

    fn score(
        &self,
        question: &Embedded,
        chunk: &[Term],
        score: f32,
        statistics: &Statistics,
    ) -> f32 {
        let (chunk_length, mean_length) = (length(chunk), statistics.mean_length());
        let (mut reached, mut possible) = (0.0, f32::EPSILON);
        for term in &question.terms {
            let weight = statistics.weight(term.hash);
            possible += weight;
            // Terms are stored in the order of their hashes.
            if let Ok(place) = chunk.binary_search_by_key(&term.hash, |it| it.hash) {
                let count = chunk[place].weight;
                reached += weight * saturated(count, chunk_length, mean_length);
            }
        }
        let projected = score / (1.0 + score.abs());
        reached / possible / (SATURATION + 1.0) + PROJECTION_WEIGHT * projected
    }
}

/// BM25's weight of a count.
fn saturated(count: f32, length: f32, mean_length: f32) -> f32 {
    let correction = 1.0 - LENGTH_CORRECTION + LENGTH_CORRECTION * length / mean_length;
    count * (SATURATION + 1.0) / (count + SATURATION * correction)
}

/// Adds a term to a vector: its hash says at which places and with which signs.
fn project(hash: u32, weight: f32, row: &mut [f32]) {
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let step = weight / (SIGNS as f32).sqrt();
    let mut state = u64::from(hash);
    for _ in 0..SIGNS {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let place = usize::try_from(state >> 32).unwrap_or(0) % DIMENSION;
        row[place] += if state & 1 == 0 { step } else { -step };
    }
}

/// Spreads every bit over all others. Source: Steele, Lea & Flood 2014 (`SplitMix64`).
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Hash of a text, the same on every machine and in every version (FNV-1a, mixed).
fn hash(text: impl Iterator<Item = u8>) -> u32 {
    let state = text.fold(0xcbf2_9ce4_8422_2325, |state: u64, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half is cut off on purpose"
    )]
    let hash = mix(state) as u32;
    hash
}

/// Finds the words of texts; remembers what it made of a word.
struct Words {
    stemmer: Stemmer,
    stop: HashSet<&'static str>,
    known: HashMap<String, Option<Word>>,
}

/// What is made of a word, once for all its occurrences.
#[derive(Clone, Debug)]
struct Word {
    hash: u32,
    parts: Vec<u32>,
}

impl Word {
    /// Whether it is the other one, or one of them the other misspelt.
    #[expect(clippy::cast_precision_loss, reason = "a word has few parts")]
    fn is_alike(&self, other: &Self) -> bool {
        if self.hash == other.hash {
            return true;
        }
        let shared = self.parts.iter().filter(|it| other.parts.contains(it));
        let shared = shared.count() as f32;
        shared > ALIKE * (self.parts.len() as f32 * other.parts.len() as f32).sqrt()
    }
}

impl Default for Words {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
            stop: STOP_WORDS.split_whitespace().collect(),
            known: HashMap::new(),
        }
    }
}

impl Words {
    fn embed(&mut self, input: &EmbedInput) -> Embedded {
        let mut found: HashMap<u32, (f32, Vec<u32>)> = HashMap::new();
        let above = input.above.iter().map(String::as_str);
        for text in above.chain([input.text.as_str()]) {
            self.each(text, |word| {
                let counted = found
                    .entry(word.hash)
                    .or_insert_with(|| (0.0, word.parts.clone()));
                counted.0 += 1.0;
            });
        }
        let mut terms = Vec::with_capacity(found.len());
        let mut vector = vec![0.0; DIMENSION];
        let mut found: Vec<(u32, (f32, Vec<u32>))> = found.into_iter().collect();
        // In one order, because sums of floats depend on it and vectors must not.
        found.sort_unstable_by_key(|(hash, _)| *hash);
        for (hash, (count, parts)) in found {
            terms.push(Term {
                hash,
                weight: count,
            });
            #[expect(clippy::cast_precision_loss, reason = "a word has few parts")]
            let weight = PARTS_WEIGHT * (1.0 + count.ln()) / (parts.len().max(1) as f32).sqrt();
            for part in parts {
                project(part, weight, &mut vector);
            }
        }
        Embedded { vector, terms }
    }

    /// Calls `found` for each word of a text that is no stop word.
    fn each(&mut self, text: &str, mut found: impl FnMut(&Word)) {
        let words = text.split(|it: char| !(it.is_alphanumeric() || is_combining_mark(it)));
        for raw in words.filter(|it| !it.is_empty()) {
            if !self.known.contains_key(raw) {
                let word = self.word(raw);
                self.known.insert(raw.to_owned(), word);
            }
            if let Some(Some(word)) = self.known.get(raw) {
                found(word);
            }
        }
    }

    fn word(&self, raw: &str) -> Option<Word> {
        let folded: String = raw.nfkd().filter(|it| !is_combining_mark(*it)).collect();
        let lower = folded.to_lowercase();
        if self.stop.contains(lower.as_str()) {
            return None;
        }
        let stem = self.stemmer.stem(&lower);
        // The marks tell `^the` of a beginning from `the` within a word.
        let marked: Vec<char> = std::iter::once('^')
            .chain(stem.chars())
            .chain(['$'])
            .collect();
        let mut parts = Vec::new();
        if marked.len() <= PARTS_WORD_MAX {
            for size in PART_CHARACTERS {
                parts.extend(marked.windows(size).map(|part| {
                    let text: String = part.iter().collect();
                    // A mark of its own: a part is never taken for a word.
                    hash(text.bytes().chain([0xff]))
                }));
            }
        }
        Some(Word {
            hash: hash(stem.bytes()),
            parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(text: &str) -> Embedded {
        let input = EmbedInput {
            text: text.to_owned(),
            above: Vec::new(),
        };
        Words::default().embed(&input)
    }

    fn hashes(text: &str) -> Vec<u32> {
        embed(text).terms.iter().map(|term| term.hash).collect()
    }

    #[test]
    fn forms_case_and_accents_of_a_word_are_one_term() {
        assert_eq!(hashes("copied"), hashes("Copies, copying: COPY!"));
        assert_eq!(hashes("café"), hashes("cafe\u{301} CAFE"));
        assert_eq!(hashes("snake_case"), hashes("case snake"));
        assert_eq!(hashes("how do I the"), Vec::<u32>::new());
        assert_ne!(hashes("state"), hashes("statement"));
        assert_eq!(hashes("日本語").len(), 1);
    }

    #[test]
    fn vectors_are_the_same_on_every_machine() {
        let embedded = embed("The quick brown fox");
        assert_eq!(embedded.terms.len(), 3);
        // Stored terms are compared with those of later versions: the hash must never change.
        let expected = 0x65ec_2418;
        assert_eq!(hash("fox".bytes()), expected);
        assert!(embedded.terms.iter().any(|term| term.hash == expected));
        assert_eq!(embedded, embed("The quick brown fox"));
    }

    #[test]
    fn projected_dot_products_are_near_the_exact_ones() {
        let mut statistics = Statistics::default();
        let texts = [
            "temporary files vanish",
            "sorting numbers",
            "files of numbers",
        ];
        for (id, text) in (1..).zip(texts) {
            statistics.add(id, embed(text).terms);
        }
        let question = embed("temporary files");
        let projected = Lexical.question(&question, &statistics);
        let dot = |id: u64, text: &str| -> (f32, f32) {
            let chunk = embed(text);
            let row = Lexical.row(&chunk, &statistics);
            let dot = row.iter().zip(&projected).map(|(x, y)| x * y).sum();
            let terms = statistics.terms(id).unwrap();
            (dot, Lexical.score(&question, terms, dot, &statistics))
        };
        let found: Vec<(f32, f32)> = (1..).zip(texts).map(|(id, text)| dot(id, text)).collect();
        assert!(
            found[0].0 > found[2].0 && found[2].0 > found[1].0,
            "{found:?}"
        );
        assert!(
            found[0].1 > found[2].1 && found[2].1 > found[1].1,
            "{found:?}"
        );
        assert!(found.iter().all(|(_, score)| (-0.1..=1.1).contains(score)));
    }

    #[test]
    fn a_misspelt_word_is_near_by_its_parts() {
        let similarity = |a: &str, b: &str| -> f32 {
            let (a, b) = (embed(a).vector, embed(b).vector);
            let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
            let dot: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            dot / length(&a) / length(&b)
        };
        let misspelt = similarity("tempfle", "tempfile");
        assert!(misspelt > 0.3, "{misspelt}");
        assert!(similarity("tempfile", "quantum") < 0.15);
        let texts = ["a tempfile", "the quantum", "files and more", ""].map(str::to_owned);
        assert_eq!(
            Lexical.alike("tempfle", &texts),
            [true, false, false, false]
        );
        assert_eq!(Lexical.alike("filing", &texts), [false, false, true, false]);
        assert_eq!(Lexical.alike("", &texts), [false; 4]);
    }
}
